//! Guide: chapters with examples that compile.
//!
//! - [`choosing_thresholds`]: which numbers, and why
//! - [`sizing_bulkheads`]: how many calls, which callers wait, and for how long
//! - [`abandoned_calls`]: callers that leave, hedges and streams: what counts when, on either side of a call
//! - [`layer_order`]: the order of the layers, and what each of them sees
//! - [`kill_switches`]: what gets one, how much to turn off, permissions
//! - [`a_rollback_policy`]: which triggers judge a release, and what their settings do
//! - [`a_judge_for_a_controller`]: one process that judges a release, and what Argo Rollouts and Flagger ask it
//! - [`controllers`]: files for Argo Rollouts, Flagger and Prometheus, and what a verdict does there
//! - [`a_rollout`]: a release without a deployment controller, its commands, and what to do at 3 am
//! - [`adopting_safely`]: shadow first
//! - [`planning_a_rollback`]: what to write down before a release, and what an operator gets from it
//! - [`testing`]: clocks, paused time, forced states, both states of a switch

#[cfg(feature = "rollout")]
pub mod a_judge_for_a_controller;
#[cfg(feature = "rollback")]
pub mod a_rollback_policy;
#[cfg(feature = "rollout")]
pub mod a_rollout;
pub mod abandoned_calls;
pub mod adopting_safely;
pub mod choosing_thresholds;
#[cfg(feature = "rollout")]
pub mod controllers;
#[cfg(feature = "axum")]
pub mod health_checks;
#[cfg(feature = "kill-switch")]
pub mod kill_switches;
pub mod layer_order;
#[cfg(feature = "rollback")]
pub mod planning_a_rollback;
pub mod sizing_bulkheads;
#[cfg(all(feature = "kill-switch", feature = "tokio"))]
pub mod testing;
