//! A command that was run to its end.

use serde_json::Value;
use std::process::{Command, Output};

/// How a command ended, and what it said.
#[derive(Debug, PartialEq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn by(command: &mut Command) -> Self {
        loop {
            match command.output() {
                // A copy of the program is open for writing in whatever another thread has just forked.
                Err(busy) if busy.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                output => return Self::of(&output.unwrap()),
            }
        }
    }

    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let ran = Self { code: output.status.code().expect("it was not killed"), stdout, stderr };
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self
    }

    /// It ends with this code, prints nothing where results are, and says these words where errors are.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, says: &str) {
        assert!(self.code == code && self.stdout.is_empty() && self.stderr.contains(says), "{code}, {says}: {self:?}");
    }

    /// The one JSON value that it printed.
    pub(crate) fn value(&self) -> Value {
        self.stdout.parse().unwrap()
    }
}
