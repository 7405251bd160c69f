//! Plans for tests.

use backstop::rollback::plan::Plan;
use std::sync::Arc;

/// Two stages of a minute, then all of it.
pub(crate) const PLAN: &str = include_str!("plan.toml");

pub(crate) fn plan() -> Arc<Plan> {
    plan_with("", "")
}

/// The plan with one text replaced by another.
pub(crate) fn plan_with(old: &str, new: &str) -> Arc<Plan> {
    assert!(PLAN.contains(old), "{old}");
    Arc::new(Plan::parse(&PLAN.replacen(old, new, 1)).unwrap())
}

#[test]
fn the_plans_to_copy_pass_their_check() {
    for name in ["haproxy", "nginx", "kubernetes"] {
        let path = format!("{}/deploy/rollout/plan-{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let plan = Plan::check(&text, "2026-11-28T00:00:00Z".parse().unwrap());
        let plan = plan.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(plan.traffic.is_some(), "{path}");
    }
}
