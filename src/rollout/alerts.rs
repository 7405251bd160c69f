//! Alerts: a thread of their own, a bounded queue, and no secret in any text.

use super::actuator::post;
use crate::clock::timestamp;
use crate::rollback::plan::{Alert, AlertKind, Level, Plan};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// Most alerts that wait: one beyond takes the place of the oldest that wakes nobody.
const QUEUE: usize = 100;
/// Time limit of one request, and pauses before further attempts.
const WITHIN: Duration = Duration::from_secs(5);
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Level, String)>,
    is_busy: bool,
    is_over: bool,
}

/// Sends alerts in the order in which they come.
pub(crate) struct Alerts {
    queue: Arc<Mutex<Queue>>,
    failures: Arc<AtomicU64>,
    thread: Option<Thread>,
}

impl Alerts {
    pub(crate) fn new(plan: &Arc<Plan>, rollout: &str) -> Self {
        let queue: Arc<Mutex<Queue>> = Arc::default();
        let failures: Arc<AtomicU64> = Arc::default();
        let (plan, rollout, inbox, failed) =
            (Arc::clone(plan), rollout.to_owned(), Arc::clone(&queue), Arc::clone(&failures));
        let send = move || deliver(&plan, &rollout, &inbox, &failed);
        let started: Option<JoinHandle<()>> =
            (thread::Builder::new().name("backstop-alerts".to_owned()).spawn(send)).ok();
        Self { queue, failures, thread: started.map(|handle| handle.thread().clone()) }
    }

    pub(crate) fn push(&self, level: Level, text: String) {
        let mut queue = self.queue.lock();
        if queue.waiting.len() >= QUEUE {
            let oldest = queue.waiting.iter().position(|(level, _)| *level != Level::Page).unwrap_or(0);
            queue.waiting.remove(oldest);
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        queue.waiting.push_back((level, text));
        drop(queue);
        self.thread.as_ref().inspect(|thread| thread.unpark());
    }

    /// Number of alerts that did not arrive at a receiver.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Returns whether none waits.
    pub(crate) fn are_sent(&self) -> bool {
        let queue = self.queue.lock();
        queue.waiting.is_empty() && !queue.is_busy
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.queue.lock().is_over = true;
        self.thread.as_ref().inspect(|thread| thread.unpark());
    }
}

fn deliver(plan: &Plan, rollout: &str, queue: &Mutex<Queue>, failures: &AtomicU64) {
    loop {
        let next = {
            let mut queue = queue.lock();
            let next = queue.waiting.pop_front();
            queue.is_busy = next.is_some();
            if next.is_none() && queue.is_over {
                return;
            }
            next
        };
        let Some((level, text)) = next else {
            thread::park_timeout(Duration::from_secs(1));
            continue;
        };
        for (place, alert) in plan.alerts.iter().enumerate().filter(|(_, alert)| level >= alert.level) {
            if let Err(why) = send(plan, rollout, alert, level, &text) {
                failures.fetch_add(1, Ordering::Relaxed);
                #[cfg(feature = "tracing")]
                tracing::warn!(target: "backstop::rollout", place, kind = alert.kind.as_str(), why, "an alert did not arrive");
                #[cfg(not(feature = "tracing"))]
                let _ = (place, why);
            }
        }
    }
}

fn send(plan: &Plan, rollout: &str, alert: &Alert, level: Level, text: &str) -> Result<(), String> {
    let url = secret(&alert.url).ok_or("its url names a variable that is not set")?;
    let key =
        alert.key.as_deref().map_or(Some(String::new()), secret).ok_or("its key names a variable that is not set")?;
    let body = payload(plan, rollout, alert.kind, &key, level, text);
    let mut pauses = PAUSES.iter();
    loop {
        let Err(error) = post(&url, &body, WITHIN) else { return Ok(()) };
        let Some(pause) = pauses.next().filter(|_| !error.is_final()) else { return Err(error.to_string()) };
        thread::sleep(*pause);
    }
}

/// Alerts the receivers of a plan that a rollout does not start with, as far as they can be read. One attempt each.
pub fn refuse(text: &str, why: &str) {
    let Some(plan) = Plan::draft(text) else { return };
    let text = format!("a rollout was not started, as its plan is not valid: {why}");
    for alert in plan.alerts.iter().filter(|alert| Level::Notify >= alert.level) {
        let key = alert.key.as_deref().map_or(Some(String::new()), secret);
        if let (Some(url), Some(key)) = (secret(&alert.url), key) {
            let body = payload(&plan, "", alert.kind, &key, Level::Notify, &text);
            let _ = post(&url, &body, WITHIN); // the command's own error says it, too
        }
    }
}

/// The secret itself, or the variable that holds it.
fn secret(text: &str) -> Option<String> {
    match text.strip_prefix("env:") {
        Some(name) => std::env::var(name).ok().filter(|value| !value.is_empty()),
        None => Some(text.to_owned()),
    }
}

fn payload(plan: &Plan, rollout: &str, kind: AlertKind, key: &str, level: Level, text: &str) -> Value {
    let severity = match level {
        Level::Page => "critical",
        Level::Notify => "warning",
        Level::Info => "info",
    };
    let about = json!({
        "service": plan.service,
        "artifact": plan.artifact,
        "previous": plan.previous,
        "rollout": rollout,
        "owner": plan.owner,
        "contacts": plan.escalation.contacts,
    });
    match kind {
        AlertKind::Pagerduty => json!({
            "routing_key": key,
            "event_action": "trigger",
            "dedup_key": format!("backstop/{}/{rollout}/{}", plan.service, level.as_str()),
            "payload": {
                "summary": format!("{}: {text}", plan.service).chars().take(1_024).collect::<String>(),
                "source": plan.service,
                "severity": severity,
                "custom_details": about,
            },
        }),
        AlertKind::Slack => json!({ "text": format!("[{}] {}: {text}", level.as_str(), plan.service) }),
        AlertKind::Generic => {
            json!({ "level": level.as_str(), "text": text, "at": timestamp().to_string(), "about": about })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_receiver_gets_its_shape() {
        let text = include_str!("../../tests/rollout/plan.toml");
        let plan = Plan::parse(text).unwrap();
        let of = |kind| payload(&plan, "0001", kind, "secret", Level::Page, "rolling back");
        let pagerduty = of(AlertKind::Pagerduty);
        assert_eq!(
            (&pagerduty["routing_key"], &pagerduty["payload"]["severity"]),
            (&json!("secret"), &json!("critical"))
        );
        assert_eq!(of(AlertKind::Slack), json!({ "text": "[page] checkout: rolling back" }));
        assert_eq!(of(AlertKind::Generic)["about"]["contacts"][0], "on call: +41 44 000 00 00");
        assert!(!format!("{}{}", of(AlertKind::Slack), of(AlertKind::Generic)).contains("secret"));
    }

    #[test]
    fn a_full_queue_drops_what_wakes_nobody_first() {
        let alerts = Alerts { queue: Arc::default(), failures: Arc::default(), thread: None };
        alerts.push(Level::Page, "page".to_owned());
        (0..200).for_each(|number| alerts.push(Level::Info, number.to_string()));
        let queue = alerts.queue.lock();
        assert_eq!((queue.waiting.len(), &*queue.waiting[0].1, alerts.failures()), (QUEUE, "page", 101));
        drop(queue);
    }
}
