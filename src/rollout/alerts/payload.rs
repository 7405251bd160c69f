//! Body of an alert in the shape of its receiver.

use crate::clock::Timestamp;
use crate::kill_switch::Sha256;
use crate::rollback::plan::{AlertKind, Level, Plan};
use serde_json::{Value, json};

/// Hexadecimal digits of a text's hash in the key that `PagerDuty` merges alerts by.
const DIGITS: usize = 12;

/// The rollout of an alert, and the time of day.
pub(super) struct About<'a> {
    pub(super) plan: &'a Plan,
    pub(super) rollout: &'a str,
    pub(super) at: Timestamp,
}

/// The secret itself, or the variable that holds it.
pub(super) fn secret(text: &str) -> Option<String> {
    match text.strip_prefix("env:") {
        Some(name) => std::env::var(name).ok().filter(|value| !value.is_empty()),
        None => Some(text.to_owned()),
    }
}

/// Variables of receivers that are not set, each in a sentence.
pub(crate) fn unset(plan: &Plan) -> Vec<String> {
    let mut unset = Vec::new();
    for (place, alert) in plan.alerts.iter().enumerate() {
        for (field, text) in [("url", Some(&alert.url)), ("key", alert.key.as_ref())] {
            let variable = text.and_then(|text| text.strip_prefix("env:").filter(|_| secret(text).is_none()));
            let sentence =
                |name| format!("alert[{place}] gets no alerts: the variable {name} of its {field} is not set");
            unset.extend(variable.map(sentence));
        }
    }
    unset
}

pub(super) fn payload(about: &About<'_>, kind: AlertKind, key: &str, level: Level, text: &str) -> Value {
    let About { plan, rollout, at } = about;
    let severity = match level {
        Level::Page => "critical",
        Level::Notify => "warning",
        Level::Info => "info",
    };
    let details = json!({
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
            "dedup_key": dedup_key(&plan.service, rollout, level, text),
            "payload": {
                "summary": format!("{}: {text}", plan.service).chars().take(1_024).collect::<String>(),
                "source": plan.service,
                "severity": severity,
                "custom_details": details,
            },
        }),
        AlertKind::Slack => json!({ "text": format!("[{}] {}: {text}", level.as_str(), plan.service) }),
        AlertKind::Generic => {
            json!({ "level": level.as_str(), "text": text, "at": at.to_string(), "about": details })
        }
    }
}

/// The same for each attempt at an alert, and another for each text: an alert with the key of one that was acknowledged
/// is merged into it, and wakes no person.
fn dedup_key(service: &str, rollout: &str, level: Level, text: &str) -> String {
    let hash = Sha256::of(text.as_bytes()).to_string();
    let short: String = hash.chars().skip_while(|char| *char != ':').skip(1).take(DIGITS).collect();
    format!("backstop/{service}/{rollout}/{}/{short}", level.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: AlertKind, text: &str) -> Value {
        let plan = Plan::parse(include_str!("../../../tests/rollout/plan.toml")).unwrap();
        let about = About { plan: &plan, rollout: "0001", at: Timestamp::UNIX_EPOCH };
        payload(&about, kind, "secret", Level::Page, text)
    }

    #[test]
    fn each_receiver_gets_its_shape() {
        let pagerduty = of(AlertKind::Pagerduty, "rolling back");
        assert_eq!(
            (&pagerduty["routing_key"], &pagerduty["payload"]["severity"]),
            (&json!("secret"), &json!("critical"))
        );
        let (slack, generic) = (of(AlertKind::Slack, "rolling back"), of(AlertKind::Generic, "rolling back"));
        assert_eq!(slack, json!({ "text": "[page] checkout: rolling back" }));
        assert_eq!(generic["about"]["contacts"][0], "on call: +41 44 000 00 00");
        assert!(!format!("{slack}{generic}").contains("secret"));
    }

    #[test]
    fn a_page_is_merged_with_its_own_attempts_only() {
        let key = |text| of(AlertKind::Pagerduty, text)["dedup_key"].as_str().unwrap().to_owned();
        assert_eq!(key("rolling back"), key("rolling back"));
        assert_ne!(key("rolling back"), key("the weight could not be set"));
        let (before, hash) = key("rolling back").rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert_eq!((&*before, hash.len()), ("backstop/checkout/0001/page", DIGITS));
    }
}
