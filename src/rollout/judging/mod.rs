//! Judging: one process looks at a source, and publishes a verdict that others read.
//!
//! ```text
//!  source ──look──▶ Judging ──▶ Judge ──▶ Published ──▶ Verdicts ──▶ router, hooks, rollout controller
//!                      │ ticks                └──▶ Evidence, at each change
//!                      └──▶ state on disk
//! ```
//!
//! | signature | |
//! |---|---|
//! | `Judging::new(service: &str, policy: Policy, source: impl Source + 'static) -> Judging` | nothing happens before the first look |
//! | `.recorded(baseline: Baseline) -> Judging` | a recorded baseline while there is no live one |
//! | `.state(directory: impl AsRef<Path>) -> Result<Judging, StateError>` | keeps and resumes |
//! | `.look(&mut self) -> Arc<Published>` | about once a second, on one thread |
//! | `.set_stage(&mut self, percent: f64) -> Result<(), ConfigError>` | from the next tick on |
//! | `.override_by(&mut self, by: &str, reason: &str)` | a person decides |
//! | `.begin(&mut self, rollout: &str)` | a new rollout |
//! | `.verdicts(&self) -> Verdicts` | a cheap handle for readers, without locks |
//!
//! # Missing data
//!
//! A source that fails, or has nothing new for 10 seconds (or three of its usual gaps), becomes ticks without measurements.
//! The verdict is then `collecting`, and after the policy's time whatever its rule says: no data never promotes. The
//! source's sentence is among the warnings.
//!
//! # Rollouts
//!
//! A rollout has a name: that of [`Judging::begin`], or what a controller says (`POST /v1/rollout`, and the `checksum` of
//! Flagger's hooks). Another name begins a new rollout, and everything is judged anew; a hook with a name that was superseded
//! within the last ten minutes is refused. The first name is given to the rollout that is judged already. A rollout begins by itself when
//! the canary comes back after it had no listed instance for a minute, since controllers scale it to 0 after an abort; one
//! that has a name and is paused goes on. In between nothing is judged: `continue` becomes `collecting`, `pause` and
//! `rollback` stay. A rollout that a controller named is judged from the first listed instance on, one that
//! [`Judging::begin`] began from that moment. List instances that are not ready as well, or a canary that crashes seems to be gone.
//!
//! # Restarts
//!
//! Without [state](Judging::state), a process that was started does not know what an earlier one knew. Until it has
//! had data for a minute, or a rollout was begun, `data` is `restarted` and the verdict is `collecting` in place of
//! `continue`; `pause` and `rollback` pass. With state, the ticks since the rollout began are judged again, to the same
//! verdict. At 16 MiB, hours of a usual service, two of them at a time become one: what a restart judges again is bounded, its
//! counts are exact, and older ticks are coarser. A `pause` or `rollback` that they alone would not give holds until a person
//! overrides it or a rollout begins.
//!
//! # Metrics
//!
//! `backstop_verdict`, `backstop_rollback_triggers_total`, `backstop_verdict_source_stale_seconds`.

mod compact;
mod evidence;
mod filed;
mod halved;
mod metrics;
mod names;
mod presence;
mod process;
mod published;
mod recording;
mod restarted;
mod resume;
mod shared;
mod state;
mod taking;
mod ticks;
mod timeline;

pub use evidence::Evidence;
pub(crate) use names::{NAME_MAX, Named};
pub use process::Judging;
pub use published::{DataState, Published};
pub use shared::Verdicts;
pub use state::StateError;
