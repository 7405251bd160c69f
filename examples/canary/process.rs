//! The servers are child processes of the same binary: one process has one metrics recorder, and so has each arm.
//!
//! A child says what happens to it on its standard output, a JSON line each. It ends when its standard input
//! does, so that none outlives the example, however that ends.

use backstop::BoxError;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;
use tokio::sync::mpsc;

/// What a child says.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Listening(SocketAddr),
    /// A call to the dependency has failed for the first time.
    FirstFailure(String),
    /// The bulkhead refuses calls: so many are in flight.
    Full {
        in_flight: u32,
    },
    /// The circuit changed its state.
    Circuit {
        to: String,
        reason: String,
        calls: u64,
        failed: u64,
    },
    /// In shadow, the circuit would have opened.
    WouldOpen {
        reason: String,
        calls: u64,
        failed: u64,
    },
}

/// Says it to the parent.
pub(crate) fn tell(said: &Message) {
    let line = match said {
        Message::Listening(address) => json!({ "listening": address.to_string() }),
        Message::FirstFailure(why) => json!({ "first_failure": why }),
        Message::Full { in_flight } => json!({ "full": in_flight }),
        Message::Circuit { to, reason, calls, failed } => {
            json!({ "to": to, "reason": reason, "calls": calls, "failed": failed })
        }
        Message::WouldOpen { reason, calls, failed } => {
            json!({ "reason": reason, "calls": calls, "failed": failed })
        }
    };
    // A parent that is gone does not listen; this process is about to end, too.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
    if matches!(said, Message::Listening(_)) {
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
    }
}

/// A child process that serves HTTP.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    said: mpsc::UnboundedReceiver<(Instant, Message)>,
    _child: Killed,
}

/// Kills the child when it goes, and takes it off the system's table.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended by itself
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts a child and waits until it listens. `overhear` is told at once of whatever it says later.
    pub(crate) async fn start(
        name: &'static str,
        args: &[&str],
        overhear: impl Fn(Instant, &Message) + Send + 'static,
    ) -> Result<Self, BoxError> {
        let mut child =
            Command::new(std::env::current_exe()?).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().expect("it was asked for above");
        let child = Killed(child); // holds its standard input open, too
        let (sender, mut said) = mpsc::unbounded_channel();
        std::thread::spawn(move || listen(stdout, &sender, overhear));
        let Some((_, Message::Listening(address))) = said.recv().await else {
            return Err(format!("{name} ended before it listened").into());
        };
        Ok(Self { name, address, said, _child: child })
    }

    /// Waits until the child has said, at `since` or later, what `pick` picks.
    pub(crate) async fn heard(&mut self, since: Instant, pick: impl Fn(&Message) -> bool) -> Result<Instant, BoxError> {
        while let Some((at, said)) = self.said.recv().await {
            if at >= since && pick(&said) {
                return Ok(at);
            }
        }
        Err(format!("{} has ended", self.name).into())
    }

    /// Waits until the circuit changes to a state.
    pub(crate) async fn circuit(&mut self, since: Instant, state: &str) -> Result<Instant, BoxError> {
        self.heard(since, |said| matches!(said, Message::Circuit { to, .. } if to == state)).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

/// Runs until the child's standard output ends: on a thread of its own, so that a busy runtime delays no time stamp.
fn listen(
    stdout: ChildStdout,
    sender: &mpsc::UnboundedSender<(Instant, Message)>,
    overhear: impl Fn(Instant, &Message) + Send + 'static,
) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let at = Instant::now();
        if let Some(said) = serde_json::from_str(&line).ok().and_then(|line| understand(&line)) {
            overhear(at, &said);
            let _ = sender.send((at, said)); // nobody waits for it: the run is over
        }
    }
}

fn understand(line: &Value) -> Option<Message> {
    let text = |field: &str| Some(line.get(field)?.as_str()?.to_owned());
    let count = |field: &str| line.get(field)?.as_u64();
    if let Some(address) = text("listening") {
        return Some(Message::Listening(address.parse().ok()?));
    }
    if let Some(why) = text("first_failure") {
        return Some(Message::FirstFailure(why));
    }
    if let Some(in_flight) = count("full") {
        return Some(Message::Full { in_flight: in_flight.try_into().ok()? });
    }
    let (reason, calls, failed) = (text("reason")?, count("calls")?, count("failed")?);
    Some(match text("to") {
        Some(to) => Message::Circuit { to, reason, calls, failed },
        None => Message::WouldOpen { reason, calls, failed },
    })
}
