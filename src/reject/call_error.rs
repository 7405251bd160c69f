//! Error of a call through a mechanism.

use super::Rejected;
use crate::panic::catch_panic;
use crate::sync::thread_local;
use std::cell::Cell;
use std::error::Error;
use std::fmt;

/// Error of a call through a mechanism: a rejection, or the call's own error.
///
/// Transparent: text and sources are those of the error inside, so a report prints it once.
#[derive(Debug)]
pub enum CallError<E> {
    /// The call was rejected.
    Rejected(Rejected),
    /// The call was admitted and returned this error.
    Inner(E),
}

impl<E> From<Rejected> for CallError<E> {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let inside: &(dyn Error + 'static) = match self {
            Self::Rejected(rejected) => rejected,
            Self::Inner(error) => error,
        };
        if SHOWS_INSIDE.try_with(Cell::get).unwrap_or(false) { Some(inside) } else { inside.source() }
    }
}

impl<E> CallError<E> {
    /// Returns the rejection, if it is one.
    pub fn rejected(&self) -> Option<&Rejected> {
        match self {
            Self::Rejected(rejected) => Some(rejected),
            Self::Inner(_) => None,
        }
    }

    /// Returns the call's own error, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(error) => Some(error),
        }
    }
}

impl<E> CallError<CallError<E>> {
    /// Merges the errors of a call through two nested mechanisms.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use backstop::{Bulkhead, CallError, CircuitBreaker};
    ///
    /// let (bulkhead, breaker) = (Bulkhead::new("stock"), CircuitBreaker::new("stock"));
    /// breaker.force_open("maintenance");
    /// let call = async { Ok::<_, std::fmt::Error>(7) };
    /// match bulkhead.call(breaker.call(call)).await.map_err(CallError::flatten) {
    ///     Err(CallError::Rejected(rejected)) => println!("{rejected}"),
    ///     other => panic!("the circuit is open: {other:?}"),
    /// }
    /// # }
    /// ```
    pub fn flatten(self) -> CallError<E> {
        match self {
            Self::Rejected(rejected) => CallError::Rejected(rejected),
            Self::Inner(inner) => inner,
        }
    }
}

thread_local! {
    /// Set while [`source_inside`] asks for a source.
    static SHOWS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The source of an error; that of a `CallError` of any type is the error inside, which a transparent error hides.
pub(super) fn source_inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let _ = SHOWS_INSIDE.try_with(|shows| shows.set(true));
    let source = catch_panic(|| error.source());
    let _ = SHOWS_INSIDE.try_with(|shows| shows.set(false));
    source.flatten()
}
