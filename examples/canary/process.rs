//! Child processes of the same binary: a process has one metrics recorder, and each arm needs its own.
//!
//! A child reports events on its standard output, a JSON line each. It exits when its standard input closes, so that
//! none outlives the example, however that ends.

use backstop::BoxError;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;
use tokio::sync::mpsc;

/// Event reported by a child process.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Listening(SocketAddr),
    /// The bulkhead is full.
    Full {
        text: String,
    },
    /// The circuit changed to this state; in shadow, it would have opened.
    Circuit {
        to: Option<String>,
        text: String,
    },
}

/// Sends an event to the parent.
pub(crate) fn report(message: &Message) {
    let line = match message {
        Message::Listening(address) => json!({ "listening": address.to_string() }),
        Message::Full { text } => json!({ "full": text }),
        Message::Circuit { to, text } => json!({ "circuit": text, "to": to }),
    };
    // If the parent is gone, this process is about to exit, too.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
    if matches!(message, Message::Listening(_)) {
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
    messages: mpsc::UnboundedReceiver<(Instant, Message)>,
    _child: Killed,
}

/// Kills the child on drop and reaps it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill(); // may have exited already
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts a child and waits until it listens. `on_message` is called for each later event, without delay.
    pub(crate) async fn start(
        name: &'static str,
        args: &[&str],
        on_message: impl Fn(Instant, &Message) + Send + 'static,
    ) -> Result<Self, BoxError> {
        let mut child =
            Command::new(std::env::current_exe()?).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().expect("it is piped above");
        let child = Killed(child); // also holds its standard input open
        let (sender, mut messages) = mpsc::unbounded_channel();
        std::thread::spawn(move || listen(stdout, &sender, on_message));
        let Some((_, Message::Listening(address))) = messages.recv().await else {
            return Err(format!("{name} exited before it listened").into());
        };
        Ok(Self { name, address, messages, _child: child })
    }

    /// Waits for an event, at `since` or later, that `is_wanted` accepts.
    pub(crate) async fn wait_for(
        &mut self,
        since: Instant,
        is_wanted: impl Fn(&Message) -> bool,
    ) -> Result<Instant, BoxError> {
        while let Some((at, message)) = self.messages.recv().await {
            if at >= since && is_wanted(&message) {
                return Ok(at);
            }
        }
        Err(format!("{} has exited", self.name).into())
    }

    /// Waits until the circuit changes to a state.
    pub(crate) async fn circuit(&mut self, since: Instant, state: &str) -> Result<Instant, BoxError> {
        self.wait_for(since, |message| matches!(message, Message::Circuit { to: Some(to), .. } if to == state)).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

/// Reads the child's standard output to its end, on a thread, so that a busy runtime does not delay the time stamps.
fn listen(
    stdout: ChildStdout,
    sender: &mpsc::UnboundedSender<(Instant, Message)>,
    on_message: impl Fn(Instant, &Message) + Send + 'static,
) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let at = Instant::now();
        if let Some(message) = serde_json::from_str(&line).ok().and_then(|line| parse(&line)) {
            on_message(at, &message);
            let _ = sender.send((at, message)); // fails once the run is over
        }
    }
}

fn parse(line: &Value) -> Option<Message> {
    let text = |field: &str| Some(line.get(field)?.as_str()?.to_owned());
    if let Some(address) = text("listening") {
        return Some(Message::Listening(address.parse().ok()?));
    }
    let full = text("full").map(|text| Message::Full { text });
    full.or_else(|| Some(Message::Circuit { to: text("to"), text: text("circuit")? }))
}
