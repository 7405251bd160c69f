//! What a response, the end of its body, or an error says about the dependency.
//!
//! A breaker that takes a timeout for a success, or a caller's typing error for a failure, protects nothing.
//! The response's type chooses the rules: [`Auto`] reads HTTP and gRPC, [`Errors`] looks at `Result` alone,
//! and a closure over the result says anything else.
//!
//! | what [`Auto`] sees | outcome |
//! |---|---|
//! | a rejection of this crate, as error or response | ignored |
//! | any other error | failure |
//! | HTTP 5xx, 429 | failure, with the `Retry-After` |
//! | any other HTTP status | success, when the body ends well; a body that breaks is a failure |
//! | an HTTP body dropped unread | as its status says |
//! | gRPC status in the headers or trailers | `UNKNOWN`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS` fail, `CANCELLED` is ignored, the others succeed |
//! | a gRPC body that ends without a status | failure |
//! | a gRPC body dropped before its trailers | abandoned |
//!
//! # Examples
//!
//! ```
//! use backstop::{CircuitBreaker, Outcome, classify::Errors};
//!
//! let breaker = CircuitBreaker::new("inventory");
//! let by_errors = breaker.layer().classify(Errors);
//! let by_rule = breaker.layer().classify(|result: &Result<u32, std::io::Error>| match result {
//!     Ok(_) => Outcome::Success,
//!     Err(error) if error.kind() == std::io::ErrorKind::NotFound => Outcome::Ignored,
//!     Err(_) => Outcome::Failure,
//! });
//! ```

#[cfg(feature = "http")]
mod body;
#[cfg(feature = "http")]
mod grpc;
#[cfg(feature = "http")]
mod http;

#[cfg(feature = "http")]
pub use self::body::WatchBody;
#[cfg(feature = "http")]
pub use self::http::{HttpHead, StatusRules};
pub use crate::outcome::{Classification, Settle};

use crate::outcome::Outcome;
use crate::reject::Rejected;

/// What is known of a call when its response, or its error, is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classified {
    /// The outcome.
    Now(Classification),
    /// The end of the response's body decides.
    AtEnd,
}

impl<T: Into<Classification>> From<T> for Classified {
    fn from(classification: T) -> Self {
        Self::Now(classification.into())
    }
}

/// Tells how a call ended.
///
/// Implemented by [`Auto`], [`Errors`] and every closure `Fn(&Result<R, E>) -> impl Into<Classification>`. A
/// panic in it counts as a panic of the call. It is cloned into each call's future: put state that is dear to
/// clone behind an `Arc`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot tell how a call ended whose result is `Result<{R}, {E}>`",
    label = "does not say whether this call failed",
    note = "`Auto`, the default, reads responses of HTTP and gRPC; for another response say which calls fail:",
    note = "`.classify(Errors)` counts each `Err`, `.classify(|result: &Result<Response, _>| ..)` returns an `Outcome`"
)]
pub trait Classify<R, E> {
    /// The response that the caller gets: `R`, or `R` with a body that is watched by `G`.
    type Response<G: Settle>;

    /// Looks at a result.
    fn classify(&self, result: &Result<R, E>) -> Classified;

    /// Hands the response on. With a guard, the response must settle it in the end.
    fn watch<G: Settle>(&self, response: R, guard: Option<G>) -> Self::Response<G>;
}

#[diagnostic::do_not_recommend]
impl<R, E, T, F> Classify<R, E> for F
where
    F: Fn(&Result<R, E>) -> T,
    T: Into<Classification>,
{
    type Response<G: Settle> = R;

    fn classify(&self, result: &Result<R, E>) -> Classified {
        Classified::Now(self(result).into())
    }

    fn watch<G: Settle>(&self, response: R, _: Option<G>) -> R {
        response
    }
}

/// By the response's own protocol: HTTP and gRPC. The default.
///
/// For a type that is no such response use [`Errors`] or a closure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Auto;

/// `Ok` is a success, `Err` a failure; a rejection of this crate is ignored.
///
/// It says nothing about a service whose error is `Infallible`, as in axum: there the status decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Errors;

impl<R, E: 'static> Classify<R, E> for Errors {
    type Response<G: Settle> = R;

    fn classify(&self, result: &Result<R, E>) -> Classified {
        const {
            assert!(
                !is_uninhabited::<E>(),
                "this service never returns an error, so `Errors` would never see a failure: classify its responses"
            );
        }
        match result {
            Ok(_) => Outcome::Success.into(),
            Err(error) => of_error(error),
        }
    }

    fn watch<G: Settle>(&self, response: R, _: Option<G>) -> R {
        response
    }
}

/// Whether a type has no values, as `Infallible` has none: `Option<Infallible>` needs no room for it.
const fn is_uninhabited<E>() -> bool {
    size_of::<E>() == 0 && size_of::<Option<E>>() == 0
}

/// An error is a failure, unless an inner layer rejected the call.
pub(crate) fn of_error<E: 'static>(error: &E) -> Classified {
    match Rejected::find_any(error) {
        Some(_) => Outcome::Ignored.into(),
        None => Outcome::Failure.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infallible_is_told_from_a_unit_error() {
        assert!(is_uninhabited::<std::convert::Infallible>());
        assert!(!is_uninhabited::<()>());
        assert!(!is_uninhabited::<std::fmt::Error>());
    }
}
