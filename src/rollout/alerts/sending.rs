//! One attempt at an alert, and the alert of a rollout that does not start.

use super::payload::{About, payload, secret};
use crate::clock::timestamp;
use crate::rollback::plan::{Alert, Level, Plan};
use crate::rollout::actuator::{MoveError, post};
use crate::rollout::redact::clean;
use std::time::Duration;

/// Time limit of one request.
const WITHIN: Duration = Duration::from_secs(5);

pub(super) fn send(about: &About<'_>, alert: &Alert, level: Level, text: &str) -> Result<(), MoveError> {
    let unset = |field: &str| MoveError::refused(format!("its {field} names a variable that is not set"));
    let url = secret(&alert.url).ok_or_else(|| unset("url"))?;
    let key = alert.key.as_deref().map_or(Some(String::new()), secret).ok_or_else(|| unset("key"))?;
    post(&url, &payload(about, alert.kind, &key, level, text), WITHIN)
}

/// Alerts the receivers of a plan that a rollout does not start, or does not go on, as far as they can be read. One attempt each.
pub fn refuse(text: &str, level: Level, why: &str) {
    let Some(plan) = Plan::draft(text) else { return };
    let text = clean(why);
    for alert in plan.alerts.iter().filter(|alert| level >= alert.level) {
        let about = About { plan: &plan, rollout: "", at: timestamp() };
        let _ = send(&about, alert, level, &text); // the command's own error says it, too
    }
}
