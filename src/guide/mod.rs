//! How to use it well: chapters to read, each with examples that compile.
//!
//! - [`choosing_thresholds`]: which numbers, and why
//! - [`sizing_bulkheads`]: how many calls, who waits, and for how long
//! - [`layer_order`]: what goes outside what
//! - [`adopting_safely`]: shadow first

pub mod adopting_safely;
pub mod choosing_thresholds;
pub mod layer_order;
pub mod sizing_bulkheads;
