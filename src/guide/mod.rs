//! Guide: chapters with examples that compile.
//!
//! - [`choosing_thresholds`]: which numbers, and why
//! - [`sizing_bulkheads`]: how many calls, who waits, and for how long
//! - [`layer_order`]: what goes outside what
//! - [`kill_switches`]: what gets one, how much to turn off, who may
//! - [`adopting_safely`]: shadow first

pub mod adopting_safely;
pub mod choosing_thresholds;
#[cfg(feature = "kill-switch")]
pub mod kill_switches;
pub mod layer_order;
pub mod sizing_bulkheads;
