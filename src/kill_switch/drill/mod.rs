//! Rehearsals: a switch is engaged for real, and how long it takes until every instance is off and on again is told.
//!
//! ```text
//!  engage (trigger: drill) ──▶ all off, or time is up ──▶ release ──▶ all on, or time is up ──▶ write it down
//! ```
//!
//! A switch that nobody dares to try is one that nobody can rely on. A drill does not leave its engagement behind: it
//! releases when time is up and when something panics, and what it engaged ends by itself where the whole process dies.
//! What somebody else engaged, widened or pinned meanwhile is not the drill's: it stops and leaves that alone.

mod guard;
mod instance;
mod report;
mod run;
mod stats;

pub use instance::Instance;
pub use report::{DrillError, DrillReport};
pub use run::Drill;
pub use stats::{Limits, Percentiles, PhaseReport, Sample, is_stale};
