//! Drills: a switch is engaged for real, and the times until every instance is off and on again are measured.
//!
//! ```text
//!  engage (trigger: drill) ──▶ all off, or time is up ──▶ release ──▶ all on, or time is up ──▶ write it down
//! ```
//!
//! A switch that was never engaged may not work. A drill does not leave its engagement behind: it
//! releases when time is up and when something panics, and what it engaged ends by itself if the whole process dies.
//! A change by another author ends the drill and is left alone.

mod guard;
mod instance;
mod report;
mod run;
mod stats;

pub use instance::Instance;
pub use report::{DrillError, DrillReport};
pub use run::Drill;
pub use stats::{Limits, Percentiles, PhaseReport, Sample, is_stale};
