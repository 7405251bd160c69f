//! The rollback verdict: is this release worse than the one before it, and what follows?
//!
//! A [`Judge`] takes a [`Tick`] a second (or any other interval) with the counts of canary and baseline, and returns a
//! [`Verdict`]: `continue`, `collecting`, `pause` or `rollback`, each with its evidence and one plain sentence. It may be read
//! at every tick: the tests behind it are valid at every look, so that a release that is as good as the last one is rolled
//! back in less than one rollout of a hundred. A [`plan`] states how a release is undone before it starts, and a [`decision`]
//! whether to undo it or to fix it forward. Everything here is pure: time is an argument, and no file is read.
//!
//! | trigger of the default [`Policy`] | fires when | acts |
//! |---|---|---|
//! | `errors` | the canary has more server errors than the baseline, in the same segments at the same time | rolls back; pauses under twice as many |
//! | `latency` | its tails are longer, at five quantiles of the past baseline | rolls back |
//! | `readiness` | over 10 % of its instances are not ready for 2 min and the baseline's are, or it was never ready in 5 min | rolls back |
//! | `breakers` | a circuit is open in half of it, and in under half as much of the baseline | rolls back |
//! | `client errors` | it has more client errors | pauses |
//! | `cpu`, `memory` | 1.5 times the baseline's for a minute | pauses |
//! | missing data | for 10 min | pauses; `collecting` before, which never promotes |
//!
//! [`Policy::DEFAULT`] is that policy as a file, with every value and its reason; the
//! [guide](crate::guide) has a chapter on policies of one's own. The command `backstop judge` does the same with files.
//!
//! # Examples
//!
//! ```
//! use backstop::rollback::{Arm, Decision, Judge, Policy, Segment, Tick};
//!
//! fn arm(requests: f64, errors: f64) -> Arm {
//!     let mut segment = Segment::default();
//!     (segment.requests, segment.server_errors) = (Some(requests), Some(errors));
//!     let mut arm = Arm::default();
//!     arm.segments.insert("default".to_owned(), segment);
//!     arm
//! }
//!
//! let mut judge = Judge::new(Policy::default());
//! let verdict = judge.observe(Tick::new(1.0, arm(100.0, 0.0), Some(arm(1_900.0, 2.0)))?);
//! assert_eq!(verdict.decision, Decision::Continue);
//! let bad = |at| Tick::new(at, arm(100.0, 20.0), Some(arm(1_900.0, 2.0)));
//! judge.observe(bad(2.0)?);
//! judge.observe(bad(3.0)?);
//! let verdict = judge.observe(bad(4.0)?);
//! assert_eq!(verdict.decision, Decision::Rollback);
//! println!("{}", verdict.sentence);
//! # Ok::<(), backstop::ConfigError>(())
//! ```

pub mod decision;
pub(crate) mod fields;
mod judge;
pub mod plan;
mod policy;
mod recorded;
mod runbook;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod stats;
mod tick;
mod trigger;
mod verdict;

pub use judge::Judge;
pub use policy::Policy;
pub use recorded::Recorded;
pub use tick::{
    Arm, BreakerReport, BreakerShare, BreakerState, Buckets, Instances, Kpi, Latency, Segment, Tick, TickError,
    TickReader,
};
pub(crate) use tick::{Object, unique_objects};
pub use verdict::{Data, Decision, Override, Samples, TriggerReport, TriggerState, Verdict};
