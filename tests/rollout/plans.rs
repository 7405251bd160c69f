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
