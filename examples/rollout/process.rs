//! Child processes of the same binary: each arm needs a metrics recorder of its own.
//!
//! A child prints its address once it listens, and exits when its standard input closes: none outlives the example,
//! however that ends.

use backstop::BoxError;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// Prints the address of this child.
pub(crate) fn announce(address: SocketAddr) {
    println!("{address}");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

/// A process that exits when its standard input closes, as it does on drop.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self, BoxError> {
        Ok(Self(command.stdin(Stdio::piped()).spawn()?))
    }

    /// Starts a child and waits until it listens or exits.
    pub(crate) fn server(args: &[&str]) -> Result<(Self, SocketAddr), BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = Self::start(command.args(args).stdout(Stdio::piped()))?;
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().expect("it is piped above")).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| format!("step `start of {}`: it exited", args.join(" ")))?;
        Ok((process, address))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
