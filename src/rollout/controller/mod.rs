//! Controller: performs a rollout, with a journal before each step.
//!
//! ```text
//!  requests, HTTP ──▶ request files ──┐
//!  source, judge ──▶ looking (thread) ┼──▶ Rollout::step ──▶ journal ──▶ acting (thread) ──▶ actuator, commands
//!  acting: outcomes, weights ─────────┘          │                        alerts (thread) ──▶ webhooks
//!                                                └──▶ status.json, answers
//! ```
//!
//! One loop decides; everything that may be slow has a thread of its own, so that a source that hangs never delays a
//! rollback, nor a receiver of alerts a person's command. A journal that cannot be written stops promotion; a rollback goes
//! on, is said to be unrecorded, and is written down once that is possible again.

mod acting;
mod error;
mod judged;
mod looking;
mod run;
mod settings;
mod status;

pub use super::alerts::refuse;
pub use error::StartError;
pub use judged::Judged;
pub use looking::{Looks, Seen};
pub use run::{Controller, Ended};
pub use settings::Settings;
pub use status::Status;
