//! Events of one act: printed as they happen, and kept for the timeline.

use crate::console::{Console, Tone};
use crate::load::Arm;
use crate::process::Message;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Record of an act in progress.
pub(crate) struct Story {
    pub(crate) console: Arc<Console>,
    pub(crate) started: Instant,
    moments: Mutex<Vec<Moment>>,
    circuits: Mutex<Vec<CircuitChange>>,
}

/// An event on the timeline.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// A change of a circuit's state.
#[derive(Clone, Debug)]
pub(crate) struct CircuitChange {
    pub(crate) at: Duration,
    pub(crate) arm: Arm,
    pub(crate) to: String,
}

impl Story {
    pub(crate) fn new(console: &Arc<Console>) -> Self {
        let console = Arc::clone(console);
        Self { console, started: Instant::now(), moments: Mutex::default(), circuits: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Prints an event that is not on the timeline.
    pub(crate) fn say(&self, who: &str, tone: Tone, text: &str) {
        self.console.say(self.now(), who, tone, text);
    }

    /// Prints an event now, and marks it on the timeline as `short`.
    pub(crate) fn mark(&self, who: &str, tone: Tone, short: &str, text: &str) -> Duration {
        let at = self.now();
        self.mark_at(at, who, tone, short, text);
        at
    }

    fn mark_at(&self, at: Duration, who: &str, tone: Tone, short: &str, text: &str) {
        self.moments.lock().expect("no panic while locked").push(Moment { at, text: short.to_owned() });
        self.console.say(at, who, tone, text);
    }

    /// Prints and marks an event that an arm reported.
    pub(crate) fn record(&self, arm: Arm, at: Instant, message: &Message) {
        let (who, at) = (arm.as_str(), at.saturating_duration_since(self.started));
        let (tone, short, text) = match message {
            Message::Listening(_) => return,
            Message::Full { text } => (Tone::Bad, format!("{who}'s bulkhead full"), text),
            Message::Circuit { to: None, text } => (Tone::Plain, "would open".to_owned(), text),
            Message::Circuit { to: Some(to), text } => {
                let change = CircuitChange { at, arm, to: to.clone() };
                self.circuits.lock().expect("no panic while locked").push(change);
                let tone = match to.as_str() {
                    "open" => Tone::Bad,
                    "closed" => Tone::Good,
                    _ => Tone::Plain,
                };
                (tone, format!("{who}'s circuit {}", to.replace('_', "-")), text)
            }
        };
        self.mark_at(at, who, tone, &short, text);
    }

    pub(crate) fn moments(&self) -> Vec<Moment> {
        let mut moments = self.moments.lock().expect("no panic while locked").clone();
        moments.sort_by_key(|moment| moment.at);
        moments
    }

    pub(crate) fn circuits(&self) -> Vec<CircuitChange> {
        self.circuits.lock().expect("no panic while locked").clone()
    }
}
