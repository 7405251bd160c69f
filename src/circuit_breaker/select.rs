//! Selection of the circuit for a request: always the same, or by the request.

use super::handle::CircuitBreaker;
use super::owner::PermitOwner;
use crate::sealed::Sealed;
use std::borrow::Cow;

/// Selection of the circuit for a request. Sealed.
pub trait Select<Request>: Sealed {
    /// Owner of the permits.
    type PermitOwner: PermitOwner;

    #[doc(hidden)]
    fn select<'a>(&'a self, request: &Request) -> Cow<'a, Self::PermitOwner>;

    /// The circuit of every request; `None` if the request selects it.
    #[doc(hidden)]
    #[inline]
    fn always(&self) -> Option<&Self::PermitOwner> {
        None
    }
}

impl Sealed for CircuitBreaker {}

impl<Request> Select<Request> for CircuitBreaker {
    type PermitOwner = Self;

    #[inline]
    fn select<'a>(&'a self, _: &Request) -> Cow<'a, Self> {
        Cow::Borrowed(self)
    }

    #[inline]
    fn always(&self) -> Option<&Self> {
        Some(self)
    }
}
