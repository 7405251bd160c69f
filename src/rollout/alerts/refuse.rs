//! The alert of a rollout that does not start.

use super::payload::{About, payload, secret};
use crate::clock::timestamp;
use crate::rollback::plan::{Level, Plan};
use crate::rollout::actuator::post;
use crate::rollout::redact::clean;
use std::time::Duration;

/// Time limit of one request.
const WITHIN: Duration = Duration::from_secs(5);

/// Alerts the receivers of a plan that a rollout does not start with, as far as they can be read. One attempt each.
pub fn refuse(text: &str, why: &str) {
    let Some(plan) = Plan::draft(text) else { return };
    let text = clean(&format!("a rollout was not started, as its plan is not valid: {why}"));
    for alert in plan.alerts.iter().filter(|alert| Level::Notify >= alert.level) {
        let key = alert.key.as_deref().map_or(Some(String::new()), secret);
        if let (Some(url), Some(key)) = (secret(&alert.url), key) {
            let about = About { plan: &plan, rollout: "", at: timestamp() };
            let body = payload(&about, alert.kind, &key, Level::Notify, &text);
            let _ = post(&url, &body, WITHIN); // the command's own error says it, too
        }
    }
}
