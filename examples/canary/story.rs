//! Events of one run: printed as they happen, and kept for the timeline.

use crate::console::{Console, Tone};
use crate::load::Arm;
use crate::process::Message;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Record of a run in progress.
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
        Self {
            console: Arc::clone(console),
            started: Instant::now(),
            moments: Mutex::default(),
            circuits: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Converts an instant to the time since the start of the run.
    pub(crate) fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.started)
    }

    /// Prints an event that is not on the timeline.
    pub(crate) fn say(&self, who: &str, tone: Tone, text: &str) {
        self.console.say(self.now(), who, tone, text);
    }

    /// Prints an event now, and marks it on the timeline as `short`.
    pub(crate) fn mark(&self, who: &str, tone: Tone, short: &str, text: &str) -> Duration {
        self.mark_at(self.now(), who, tone, short, text)
    }

    fn mark_at(&self, at: Duration, who: &str, tone: Tone, short: &str, text: &str) -> Duration {
        self.moments.lock().expect("no panic while locked").push(Moment { at, text: short.to_owned() });
        self.console.say(at, who, tone, text);
        at
    }

    /// Prints and marks an event that an arm reported.
    pub(crate) fn record(&self, arm: Arm, at: Instant, message: &Message) {
        let (who, at) = (arm.as_str(), self.since_start(at));
        let (tone, short, text) = match message {
            Message::Listening(_) => return,
            Message::FirstFailure(why) => {
                (Tone::Plain, "first failure".to_owned(), format!("first failed call to ratings: {why}"))
            }
            Message::Full { in_flight } => {
                let text = format!("bulkhead FULL: {in_flight} calls to ratings in flight; more get cached ratings");
                (Tone::Bad, format!("{who}'s bulkhead full"), text)
            }
            Message::WouldOpen { reason, calls, failed } => {
                let text = format!("circuit in shadow: would OPEN ({reason}): {failed} of {calls} calls failed");
                (Tone::Plain, format!("would open ({reason})"), text)
            }
            Message::Circuit { to, reason, calls, failed } => {
                let change = CircuitChange { at, arm, to: to.clone() };
                self.circuits.lock().expect("no panic while locked").push(change);
                let (tone, text) = match to.as_str() {
                    "open" => (Tone::Bad, format!("{failed} of {calls} calls failed; callers get cached ratings")),
                    "half_open" => (Tone::Plain, "a few calls probe the dependency".into()),
                    "closed" => (Tone::Good, format!("{} of {calls} probes succeeded", calls - failed)),
                    _ => (Tone::Plain, String::new()),
                };
                let state = to.replace('_', "-");
                let text = format!("circuit {} ({reason}): {text}", state.to_uppercase());
                (tone, format!("{who}'s circuit {state}"), text)
            }
        };
        self.mark_at(at, who, tone, &short, &text);
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
