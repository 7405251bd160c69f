//! Targets of requests, with and without the feature `kill-switch`.

#[cfg(feature = "kill-switch")]
pub(super) use crate::kill_switch::{Anyone, Targets};

/// Target of a request; empty without the feature `kill-switch`.
#[cfg(not(feature = "kill-switch"))]
pub trait Targets<Request> {}

#[cfg(not(feature = "kill-switch"))]
impl<Request, T> Targets<Request> for T {}

/// A request that says nothing of itself to a kill switch.
#[cfg(not(feature = "kill-switch"))]
#[derive(Clone, Copy, Debug)]
pub struct Anyone;
