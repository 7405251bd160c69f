//! Answers of the judge as the simulations use them; `real.rs` compares them with those of the real endpoint.

use serde_json::json;

pub(crate) const DECISIONS: [&str; 4] = ["continue", "collecting", "pause", "rollback"];

/// `GET /v1/verdict`, as it is documented.
pub(crate) fn verdict(decision: &str) -> String {
    let code = DECISIONS.iter().position(|name| *name == decision);
    json!({
        "decision": decision, "code": code, "stage": 5, "data": "ok", "n": { "canary": 1000, "baseline": 19000 },
        "log_e": 0.3, "alpha": 0.0166, "triggers": [], "override": null, "evidence_id": "1",
    })
    .to_string()
}

/// `POST /v1/hooks/{hook}`. `is_first`: the canary has had no traffic.
pub(crate) fn hook_status(hook: &str, decision: &str, is_first: bool) -> u16 {
    let is_yes = match (hook, decision) {
        ("rollback", decision) => decision == "rollback",
        (_, "continue") | ("confirm-rollout", "collecting") => true,
        ("confirm-traffic-increase", "collecting") => is_first,
        _ => false,
    };
    if is_yes { 200 } else { 403 }
}
