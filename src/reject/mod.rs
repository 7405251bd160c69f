//! Rejections of calls: as errors, as responses, and as fallbacks.
//!
//! By default a layer's error is a boxed [`Rejected`], as in the rest of Tower. A responder ([`Respond`],
//! [`RespondInto`], [`Fallback`]) answers the request instead and leaves the service's error as it is, which servers of
//! axum and tonic need.
//!
//! A rejection is no evidence about the dependency. [`Rejected::find`] finds it in a chain of errors, and a response
//! carries it among its extensions, so that an outer breaker does not count it and an outer retry does not repeat it.
//!
//! # Examples
//!
//! ```
//! use backstop::{CircuitBreaker, Rejected};
//!
//! let breaker = CircuitBreaker::new("payments");
//! breaker.force_open("maintenance");
//! let error: Box<dyn std::error::Error + Send + Sync> = breaker.try_acquire().unwrap_err().into();
//! let rejected = Rejected::find(&*error).expect("it is one");
//! assert_eq!(rejected.to_string(), "circuit breaker payments rejected the call: forced open");
//! ```
//!
//! A retry in front of a breaker gives up on rejections, whether they are errors or responses:
//!
//! ```
//! # #[cfg(feature = "http")] {
//! use backstop::reject::BoxError;
//! use backstop::Rejected;
//! use std::future::{Ready, ready};
//! use tower::retry::Policy;
//!
//! #[derive(Clone)]
//! struct Attempts(u32);
//!
//! impl<B: Clone, R> Policy<http::Request<B>, http::Response<R>, BoxError> for Attempts {
//!     type Future = Ready<()>;
//!
//!     fn retry(
//!         &mut self,
//!         _: &mut http::Request<B>,
//!         result: &mut Result<http::Response<R>, BoxError>,
//!     ) -> Option<Ready<()>> {
//!         let (is_rejected, has_failed) = match result {
//!             Ok(response) => (response.extensions().get::<Rejected>().is_some(), response.status().is_server_error()),
//!             Err(error) => (Rejected::find(&**error).is_some(), true),
//!         };
//!         if !has_failed || is_rejected || self.0 == 0 {
//!             return None;
//!         }
//!         self.0 -= 1;
//!         Some(ready(()))
//!     }
//!
//!     fn clone_request(&mut self, request: &http::Request<B>) -> Option<http::Request<B>> {
//!         Some(request.clone())
//!     }
//! }
//! # }
//! ```
//!
//! # Compiler errors without a responder
//!
//! Servers of axum and tonic need services that never fail. A layer whose error is boxed does not fit, and this crate
//! cannot change the messages:
//!
//! | where | message | cure |
//! |---|---|---|
//! | axum: `.layer(breaker.layer())` | ``the trait bound `Infallible: From<Box<dyn Error + Send + Sync>>` is not satisfied`` | `.layer(breaker.layer().respond())` |
//! | tonic: `add_service(breaker.layer().layer(service))` | ``expected `Infallible`, found `Box<dyn Error + Send + Sync>` `` | `add_service(breaker.layer().respond().layer(service))` |
//!
//! ```compile_fail,E0277
//! # use axum::{Router, routing::get};
//! # use backstop::CircuitBreaker;
//! # let payments = CircuitBreaker::new("payments");
//! let app: Router = Router::new().route("/pay", get(|| async { "paid" })).layer(payments.layer());
//! ```
//!
//! `tonic::transport::Server::layer` and every client accept the boxed error: tonic finds the status that a
//! [`Rejected`] carries, with the pushback: `UNAVAILABLE` for a circuit breaker, `RESOURCE_EXHAUSTED` for a bulkhead.

mod answers;
mod call_error;
pub(crate) mod causes;
mod on_reject;
mod reason;
#[cfg(feature = "http")]
mod respond;
#[cfg(feature = "grpc")]
mod status;

pub(crate) use answers::{answers, is_inbound, sides};
pub use call_error::CallError;
pub(crate) use on_reject::is_uninhabited;
pub use on_reject::{AsError, Fallback, OnReject, Recover, RespondWith};
pub use reason::{Mechanism, RejectReason};
#[cfg(feature = "http")]
pub use respond::Respond;
#[cfg(feature = "axum-core")]
pub use respond::RespondInto;
#[cfg(feature = "http")]
pub(crate) use respond::{is_grpc, may_be_grpc};

use crate::outcome::{RetryAfter, note_rejection};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A boxed error, as in Tower.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The rejection of a call by a mechanism.
///
/// Small and made without allocation, so that rejecting stays cheap.
#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Rejected {
    by: Mechanism,
    reason: RejectReason,
    name: &'static str,
    retry_after: RetryAfter,
    #[cfg(feature = "grpc")]
    #[cfg_attr(feature = "serde", serde(skip))]
    status: std::sync::OnceLock<Box<tonic::Status>>,
}

impl Rejected {
    pub(crate) fn new(
        by: Mechanism,
        name: &'static str,
        reason: RejectReason,
        retry_after: impl Into<RetryAfter>,
    ) -> Self {
        note_rejection(by as u8);
        Self {
            by,
            reason,
            name,
            retry_after: retry_after.into(),
            #[cfg(feature = "grpc")]
            status: std::sync::OnceLock::new(),
        }
    }

    /// The mechanism that rejected the call.
    pub const fn by(&self) -> Mechanism {
        self.by
    }

    /// The same text for the same reason, without internal names: for answers that clients see.
    #[cfg(feature = "http")]
    fn public_text(&self) -> String {
        format!("the call was rejected: {}", self.reason)
    }

    /// The name of that circuit breaker, bulkhead or kill switch.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The reason.
    pub const fn reason(&self) -> RejectReason {
        self.reason
    }

    /// How long to wait before the next call; `None` if unknown.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after.get()
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No remaining time: error trackers group by this text.
        write!(f, "{} {} rejected the call: {}", self.by.as_str(), self.name, self.reason)
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("by", &self.by)
            .field("name", &self.name)
            .field("reason", &self.reason)
            .field("retry_after", &self.retry_after())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Rejected {
    fn eq(&self, other: &Self) -> bool {
        (self.by, self.reason, self.name, self.retry_after) == (other.by, other.reason, other.name, other.retry_after)
    }
}

#[cfg(not(feature = "grpc"))]
impl Error for Rejected {}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_any<E: 'static>(error: &E) -> Option<&Rejected> {
        causes::as_error(error).and_then(Rejected::find)
    }

    fn rejected() -> Rejected {
        Rejected::new(Mechanism::CircuitBreaker, "payments", RejectReason::Open, Some(Duration::from_secs(5)))
    }

    #[test]
    fn a_report_of_a_call_error_has_each_text_once() {
        let report = |error: &dyn Error| {
            let (mut text, mut cause) = (error.to_string(), error.source());
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            text
        };
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(report(&CallError::Inner(refused)), "connection refused");
        let text = report(&CallError::<std::io::Error>::Rejected(rejected()));
        assert_eq!(text.matches("circuit breaker").count(), 1, "{text}");
    }

    #[test]
    fn the_text_of_a_rejection_does_not_change_with_the_remaining_time() {
        let after = |seconds| {
            Rejected::new(Mechanism::Bulkhead, "stock", RejectReason::Full, Some(Duration::from_secs(seconds)))
        };
        assert_eq!(after(5).to_string(), after(50).to_string());
    }

    #[test]
    fn a_rejection_is_found_however_it_is_wrapped() {
        let boxed: BoxError = rejected().into();
        let io = std::io::Error::other(boxed);
        let call: CallError<std::io::Error> = CallError::Inner(io);
        assert_eq!(Rejected::find(&call), Some(&rejected()));
        assert_eq!(find_any(&call), Some(&rejected()));
        let boxed: BoxError = Box::new(call);
        assert_eq!(find_any(&boxed), Some(&rejected()));
        let call: CallError<BoxError> = CallError::Inner(boxed);
        assert_eq!(find_any(&call), Some(&rejected()));
        assert_eq!(Rejected::find(&std::fmt::Error), None);
        let outer: CallError<std::fmt::Error> = CallError::Rejected(rejected());
        assert_eq!(Rejected::find(&outer), Some(&rejected()));
    }
}
