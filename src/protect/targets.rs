//! Targets of requests, with and without the feature `kill-switch`.

#[cfg(feature = "kill-switch")]
use crate::kill_switch::Target;
#[cfg(feature = "kill-switch")]
pub(super) use crate::kill_switch::{Anyone, KillSwitch, Targets};

/// Source of targets of a layer that has a kill switch.
#[cfg(feature = "kill-switch")]
#[derive(Clone, Copy, Debug)]
pub struct Switched<T = Anyone>(pub(super) T);

#[cfg(feature = "kill-switch")]
impl<Request, T: Targets<Request>> Targets<Request> for Switched<T> {
    #[inline]
    fn target<'a>(&self, request: &'a Request) -> Target<'a> {
        self.0.target(request)
    }
}

/// Source of the target of a call without Tower: a function, if there is a kill switch.
#[diagnostic::on_unimplemented(
    message = "this kill switch does not know whom the call is for",
    label = "no target",
    note = "say so after it: `.target(|order: &Order| Target::new().tenant(&order.tenant))`"
)]
pub trait CallTargets<Request>: Targets<Request> {}

impl<Request> CallTargets<Request> for Anyone {}

#[cfg(feature = "kill-switch")]
impl<Request, F: for<'a> Fn(&'a Request) -> Target<'a>> CallTargets<Request> for F {}

#[cfg(feature = "kill-switch")]
impl<Request, F: for<'a> Fn(&'a Request) -> Target<'a>> CallTargets<Request> for Switched<F> {}

/// Stands for the type without the feature `kill-switch`.
#[cfg(not(feature = "kill-switch"))]
pub(super) type KillSwitch = std::convert::Infallible;

/// Target of a request; empty without the feature `kill-switch`.
#[cfg(not(feature = "kill-switch"))]
pub trait Targets<Request> {}

#[cfg(not(feature = "kill-switch"))]
impl<Request, T> Targets<Request> for T {}

/// A request that says nothing of itself to a kill switch.
#[cfg(not(feature = "kill-switch"))]
#[derive(Clone, Copy, Debug)]
pub struct Anyone;
