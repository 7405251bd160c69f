//! Report of a rollout.

#[doc(hidden)]
pub mod draw;
