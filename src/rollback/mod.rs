//! The rollback verdict: is this release worse than the one before it?

mod judge;
mod policy;
pub mod stats;
mod tick;
mod trigger;
mod verdict;

pub use judge::Judge;
pub use policy::{Acts, NoDataActs, Policy, Score};
pub use tick::{
    Arm, BreakerReport, BreakerShare, BreakerState, Buckets, Instances, Kpi, Latency, Segment, Tick, TickError,
    TickReader,
};
pub use verdict::{Data, Decision, Override, Samples, TriggerReport, TriggerState, Verdict};
