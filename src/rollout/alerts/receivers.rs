//! Receivers of alerts. One that does not answer delays its own alerts only; each delivery is evidence.

use super::inbox::{Inbox, Waiting};
use super::payload::About;
use super::sending::send;
use crate::clock::{Clock, timestamp};
use crate::rollback::plan::{Alert, AlertKind, Level, Plan};
use crate::rollout::filing::Filing;
use crate::rollout::redact::clean;
use crate::sync::{Arc, Mutex};
use serde_json::json;
use std::path::PathBuf;
use std::thread::{self, Thread};
use std::time::Duration;

/// Pauses before further attempts.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];
/// Between two looks at an empty queue: a new alert wakes the thread before.
const IDLE: Duration = Duration::from_secs(1);

/// Sends alerts to every receiver of a plan.
pub(crate) struct Alerts {
    receivers: Vec<Receiver>,
    deliveries: Deliveries,
}

struct Receiver {
    level: Level,
    kind: AlertKind,
    lost: Arc<Mutex<Lost>>,
    inbox: Arc<Mutex<Inbox>>,
    /// `None` if the system had no thread for it.
    thread: Option<Thread>,
}

/// Alerts that did not arrive.
#[derive(Default)]
struct Lost {
    count: usize,
    why: String,
}

impl Lost {
    fn why(&self) -> &str {
        if self.why.is_empty() { "no answer" } else { &self.why }
    }

    fn add(&mut self, why: &str) {
        self.count += 1;
        why.clone_into(&mut self.why);
    }
}

struct Worker {
    plan: Arc<Plan>,
    rollout: String,
    place: usize,
    inbox: Arc<Mutex<Inbox>>,
    lost: Arc<Mutex<Lost>>,
    deliveries: Deliveries,
}

/// The file of deliveries, and its writer.
#[derive(Clone)]
pub(crate) struct Deliveries {
    pub(crate) path: PathBuf,
    pub(crate) filing: Filing,
}

impl Deliveries {
    fn add(&self, place: usize, kind: AlertKind, Waiting { level, text, failed }: &Waiting, why: Option<&str>) {
        let outcome = why.map_or("sent", |_| "failed");
        let line = json!({
            "at": timestamp(), "receiver": place, "kind": kind.as_str(), "level": level.as_str(), "text": text,
            "outcome": outcome, "why": why.map(clean), "attempts": failed + 1,
        });
        self.filing.append(self.path.clone(), &line);
    }
}

impl Alerts {
    pub(crate) fn new(plan: &Arc<Plan>, rollout: &str, deliveries: &Deliveries) -> Self {
        let receiver = |(place, alert): (usize, &Alert)| {
            let inbox: Arc<Mutex<Inbox>> = Arc::default();
            let lost: Arc<Mutex<Lost>> = Arc::default();
            let (plan, rollout, deliveries) = (Arc::clone(plan), rollout.to_owned(), deliveries.clone());
            let worker =
                Worker { plan, rollout, place, inbox: Arc::clone(&inbox), lost: Arc::clone(&lost), deliveries };
            let started = thread::Builder::new().name("backstop-alerts".to_owned()).spawn(move || worker.run());
            let thread = started.ok().map(|handle| handle.thread().clone());
            Receiver { level: alert.level, kind: alert.kind, lost, inbox, thread }
        };
        Self { receivers: plan.alerts.iter().enumerate().map(receiver).collect(), deliveries: deliveries.clone() }
    }

    pub(crate) fn push(&self, level: Level, text: impl Into<String>) {
        let text = clean(&text.into());
        for receiver in self.receivers.iter().filter(|receiver| level >= receiver.level) {
            let Some(thread) = &receiver.thread else {
                receiver.lost.lock().add("the system has no thread for it");
                continue;
            };
            if receiver.inbox.lock().push(level, text.clone()) {
                receiver.lost.lock().add("too many wait for it");
            }
            thread.unpark();
        }
    }

    /// Alerts that did not arrive, by receiver, in a sentence; at the end with those that still wait.
    pub(crate) fn trouble(&self, is_end: bool) -> Option<String> {
        let of = |(place, receiver): (usize, &Receiver)| {
            let unsent = if is_end { receiver.inbox.lock().unsent().count() } else { 0 };
            let lost = receiver.lost.lock();
            let (count, why) = (lost.count + unsent, lost.why());
            (count > 0).then(|| format!("{count} to alert[{place}] ({}): {why}", receiver.kind.as_str()))
        };
        let all: Vec<_> = self.receivers.iter().enumerate().filter_map(of).collect();
        (!all.is_empty()).then(|| format!("alerts did not arrive: {}", all.join("; ")))
    }

    /// Returns whether none waits.
    pub(crate) fn are_sent(&self) -> bool {
        self.receivers.iter().all(|receiver| receiver.inbox.lock().unsent().next().is_none())
    }

    /// Writes down those that still wait: nothing sends them any more.
    pub(crate) fn leave(&self) {
        for (place, receiver) in self.receivers.iter().enumerate() {
            let unsent: Vec<_> = receiver.inbox.lock().unsent().cloned().collect();
            let lost = receiver.lost.lock();
            for alert in &unsent {
                self.deliveries.add(place, receiver.kind, alert, Some(lost.why()));
            }
        }
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        for receiver in &self.receivers {
            receiver.inbox.lock().is_over = true;
            receiver.thread.iter().for_each(Thread::unpark);
        }
    }
}

impl Worker {
    fn run(self) {
        let Some(alert) = self.plan.alerts.get(self.place) else { return };
        loop {
            let (next, is_over) = {
                let mut inbox = self.inbox.lock();
                (inbox.take(), inbox.is_over)
            };
            match next {
                Some(next) => self.attempt(alert, next),
                None if is_over => return,
                None => thread::park_timeout(IDLE),
            }
        }
    }

    /// One attempt. After a failure the alert waits in its place for the next one, and pages pass it.
    fn attempt(&self, alert: &Alert, next: Waiting) {
        let about = About { plan: &self.plan, rollout: &self.rollout, at: timestamp() };
        let Err(failed) = send(&about, alert, next.level, &next.text) else { return self.keep(alert, &next, None) };
        match PAUSES.get(next.failed).filter(|_| !failed.is_final()) {
            Some(pause) => {
                self.lost.lock().why = clean(&failed.to_string());
                let is_page = next.level == Level::Page;
                self.inbox.lock().put_back(Waiting { failed: next.failed + 1, ..next });
                self.pause(*pause, is_page);
            }
            None => self.keep(alert, &next, Some(&failed.to_string())),
        }
    }

    /// Waits, and ends early for a page if what waits is none.
    fn pause(&self, pause: Duration, is_page: bool) {
        let clock = Clock::system();
        let until = clock.now().saturating_add(pause);
        loop {
            let now = clock.now();
            if until.is_reached(now) || !is_page && self.inbox.lock().has_page() {
                return;
            }
            thread::park_timeout(until.saturating_duration_since(now));
        }
    }

    /// Writes down that an alert arrived, or why it did not.
    fn keep(&self, alert: &Alert, sent: &Waiting, why: Option<&str>) {
        self.deliveries.add(self.place, alert.kind, sent, why);
        if let Some(why) = why {
            self.lost.lock().add(&clean(why));
            #[cfg(feature = "tracing")]
            tracing::warn!(target: "backstop::rollout", place = self.place, kind = alert.kind.as_str(), why, "an alert did not arrive");
            #[cfg(not(feature = "tracing"))]
            let _ = why;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_that_still_waits_at_the_end_is_evidence() {
        let folder = tempfile::tempdir().unwrap();
        let alert = "\nalert = [{ kind = \"generic\", url = \"http://127.0.0.1:1/\" }]\n";
        let plan = Plan::parse(&format!("{}{alert}", include_str!("../../../tests/rollout/plan.toml"))).unwrap();
        let (path, filing) = (folder.path().join("alerts.jsonl"), Filing::new().unwrap());
        let alerts = Alerts::new(&Arc::new(plan), "0001", &Deliveries { path: path.clone(), filing: filing.clone() });
        alerts.push(Level::Page, "the end");
        alerts.leave();
        while !filing.is_done() {
            thread::yield_now();
        }
        let line = std::fs::read_to_string(path).unwrap();
        assert!(line.contains("\"the end\"") && line.contains("\"failed\""), "{line}");
    }
}
