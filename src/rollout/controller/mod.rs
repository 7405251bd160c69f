//! Controller: performs a rollout, with a journal before each step.
//!
//! ```text
//!  requests, HTTP ──▶ request files ──┐
//!  source, judge ──▶ looking (thread) ┼──▶ Rollout::step ──▶ journal ──▶ acting (thread) ──▶ actuator, commands
//!  acting: outcomes, weights ─────────┘          │                        alerts (thread) ──▶ webhooks
//!                                                └──▶ status.json, answers
//! ```
//!
//! One loop decides; everything that may be slow has a thread of its own: the source, load balancers, receivers of alerts,
//! commands of people, and the disk. None of them delays a rollback.
//!
//! A record is on the disk before what follows from it is begun. If the journal does not take one within a second, whatever
//! gives the release more traffic waits for it, and everything else goes on: a rollback is said to be unrecorded, and is
//! written down once that is possible again. The controller ends when its end is recorded.

mod acting;
mod alone;
mod ended;
mod ending;
mod error;
#[cfg(test)]
mod hanging;
mod judged;
mod looking;
mod recording;
mod run;
mod saying;
mod settings;
mod status;

pub use super::alerts::refuse;
pub use alone::{Asked, rollback, silence};
pub use ended::Ended;
pub use error::StartError;
pub use judged::Judged;
pub use looking::{Looks, Seen};
pub use run::Controller;
pub use settings::Settings;
pub use status::Status;
