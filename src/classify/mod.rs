//! Classification of calls: the outcome of a response, of the end of its body, or of an error.
//!
//! A breaker that takes a timeout for a success, or a caller's typo for a failure, protects nothing. The response's
//! type chooses the rules: [`Auto`] reads HTTP and gRPC, [`Errors`] looks at `Result` alone, and a closure over the
//! result decides everything else.
//!
//! | [`Auto`] sees | outcome |
//! |---|---|
//! | a rejection of this crate, as error or response; tower's `Overloaded` | ignored |
//! | a request that could not be built, or whose own body broke off | ignored |
//! | an error of your own type, in the poll in which a mechanism rejected a call inside | ignored |
//! | `error_for_status` of reqwest | that of the status |
//! | any other error | failure |
//! | HTTP 5xx | failure, with the `Retry-After` |
//! | HTTP 408, 429 | failure, with the `Retry-After`; ignored, like 499, [where a client is served](crate::guide::abandoned_calls) |
//! | any other HTTP status | success if the body ends well; a body that ends in an error is a failure |
//! | an HTTP body dropped unread, or while frames arrive | that of the status |
//! | an HTTP body dropped before its first frame, or after it stalled (60 s by default) | abandoned |
//! | gRPC status in the headers or trailers | `UNKNOWN`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS` fail, `CANCELLED` is ignored unless it is a timeout of tonic, the others succeed |
//! | a gRPC body that ends without a status | failure |
//! | a gRPC body dropped before its first message, or after it stalled | abandoned |
//! | a gRPC body dropped later | ignored |
//! | a page instead of gRPC, for a client of tonic | failure; 401 and 403 succeed |
//! | gRPC-web | as HTTP: its status is in the body. Inside `GrpcWebLayer` it is gRPC |
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
//!
//! A closure has to name the type of its argument. Otherwise the compiler reports `type annotations needed`, or E0631,
//! `type mismatch in closure arguments`. The error's type may be left out:
//!
//! ```
//! # #[cfg(feature = "http")] {
//! # use backstop::{CircuitBreaker, Outcome};
//! # use axum::{Router, http::StatusCode, response::Response, routing::get};
//! # let breaker = CircuitBreaker::new("inventory");
//! let app: Router = Router::new().route("/", get(|| async { "here" })).layer(
//!     breaker
//!         .layer()
//!         .classify(|result: &Result<Response, _>| match result {
//!             Ok(response) if response.status() == StatusCode::NOT_FOUND => Outcome::Failure,
//!             Ok(_) => Outcome::Success,
//!             Err(_) => Outcome::Failure,
//!         })
//!         .respond(),
//! );
//! # }
//! ```
//!
//! ```compile_fail,E0282
//! # use backstop::{CircuitBreaker, Outcome};
//! # use axum::{Router, response::Response, routing::get};
//! # let breaker = CircuitBreaker::new("inventory");
//! let by_rule = breaker.layer().classify(|result| match result {
//!     Ok(_) => Outcome::Success,
//!     Err(_) => Outcome::Failure,
//! });
//! let app: Router = Router::new().route("/", get(|| async { "here" })).layer(by_rule.respond());
//! ```

/// The items of a classifier that returns the response as it is.
macro_rules! unwatched {
    ($response:ty) => {
        type Response<G: Settle> = $response;

        fn watch<G: Settle>(&self, response: $response, _: Option<G>) -> $response {
            response
        }
    };
}

#[cfg(feature = "http")]
mod body;
mod by_type;
mod errors;
#[cfg(feature = "http")]
mod grpc;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod status;

#[cfg(feature = "http")]
pub use self::body::WatchBody;
#[cfg(feature = "http")]
pub use self::http::{HttpHead, Overload, StatusRules};

pub(crate) use self::by_type::ByType;
use self::errors::{ignored, of_error};
use crate::outcome::{Classification, Outcome, Settle};
use crate::panic::catch_panic;
use crate::reject::{causes, is_uninhabited};

/// A classifier's result: the outcome, or that it depends on the response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classified {
    /// The outcome.
    Now(Classification),
    /// The end of the response's body decides the outcome.
    AtEnd,
}

impl<T: Into<Classification>> From<T> for Classified {
    fn from(classification: T) -> Self {
        Self::Now(classification.into())
    }
}

/// Classifies the result of a call.
///
/// Implemented by [`Auto`], [`Errors`] and every closure `Fn(&Result<R, E>) -> impl Into<Classification>`. A panic in
/// it counts as a panic of the call. It is cloned into each call's future: put state that is expensive to clone behind
/// an `Arc`.
///
/// # Examples
///
/// A classifier for an application's own response type:
///
/// ```
/// use backstop::classify::{Classified, Classify};
/// use backstop::outcome::Settle;
/// use backstop::{CircuitBreaker, Outcome};
///
/// /// Response of the stock service.
/// enum Stock {
///     Left(u32),
///     DatabaseDown,
/// }
///
/// #[derive(Clone)]
/// struct ByAnswer;
///
/// impl<E> Classify<Stock, E> for ByAnswer {
///     type Response<G: Settle> = Stock;
///
///     fn classify(&self, result: &Result<Stock, E>) -> Classified {
///         match result {
///             Ok(Stock::Left(_)) => Outcome::Success.into(),
///             Ok(Stock::DatabaseDown) | Err(_) => Outcome::Failure.into(),
///         }
///     }
///
///     fn watch<G: Settle>(&self, stock: Stock, _: Option<G>) -> Stock {
///         stock
///     }
/// }
///
/// let layer = CircuitBreaker::new("stock").layer().classify(ByAnswer);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot classify a call whose result is `Result<{R}, {E}>`",
    label = "does not classify this result",
    note = "`Auto`, the default, reads responses of HTTP and gRPC; for another response say which calls fail:",
    note = "`.classify(Errors)` counts each `Err`, `.classify(|result: &Result<Response, _>| ..)` returns an `Outcome`"
)]
pub trait Classify<R, E> {
    /// The response returned to the caller: `R`, or `R` with a body watched by `G`.
    type Response<G: Settle>;

    /// Classifies a result.
    fn classify(&self, result: &Result<R, E>) -> Classified;

    /// Classifies a result on the inbound side, where a client is served. Default: as [`classify`](Self::classify).
    fn classify_inbound(&self, result: &Result<R, E>) -> Classified {
        self.classify(result)
    }

    /// Converts the response. With a guard, the returned response must settle it at its end.
    fn watch<G: Settle>(&self, response: R, guard: Option<G>) -> Self::Response<G>;
}

#[diagnostic::do_not_recommend]
impl<R, E, T, F> Classify<R, E> for F
where
    F: Fn(&Result<R, E>) -> T,
    T: Into<Classification>,
{
    unwatched!(R);

    fn classify(&self, result: &Result<R, E>) -> Classified {
        Classified::Now(self(result).into())
    }
}

/// Classifies by the response's own protocol: HTTP or gRPC. The default.
///
/// For any other type of response use [`Errors`] or a closure. The compiler asks for it:
///
/// ```compile_fail,E0277
/// # use backstop::{CircuitBreaker, classify::Auto};
/// # async fn example(breaker: CircuitBreaker) {
/// breaker.call_with(async { Ok::<_, std::io::Error>(7) }, &Auto).await;
/// // error[E0277]: `Auto` cannot classify a call whose result is `Result<{integer}, std::io::Error>`
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Auto;

/// Classifies `Ok` as a success and `Err` as a failure; a rejection of this crate is ignored.
///
/// It finds a rejection in boxed errors, `std::io::Error`, `tonic::Status`, `reqwest::Error` and a
/// [`CallError`](crate::CallError) of one of them. It cannot look into other types: an error of your own type is ignored
/// if it is returned in the same poll in which a mechanism rejected a call inside. [`Causes`] looks for the rejection
/// itself.
///
/// A service whose error is `Infallible`, as in axum, never returns a failure that it could see. That does not compile:
///
/// ```compile_fail,E0080
/// # use backstop::{CircuitBreaker, classify::Errors};
/// # use axum::{Router, routing::get};
/// # let breaker = CircuitBreaker::new("inventory");
/// let app: Router = Router::new()
///     .route("/", get(|| async { "here" }))
///     .layer(breaker.layer().classify(Errors).respond());
/// // error[E0080]: this service never returns an error, so `Errors` would never see a failure: classify its responses
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Errors;

impl<R, E: 'static> Classify<R, E> for Errors {
    unwatched!(R);

    fn classify(&self, result: &Result<R, E>) -> Classified {
        const {
            assert!(
                !is_uninhabited::<E>(),
                "this service never returns an error, so `Errors` would never see a failure: classify its responses"
            );
        }
        match result {
            Ok(_) => Outcome::Success.into(),
            Err(error) => of_error(error).into(),
        }
    }
}

/// Classifies as [`Errors`] does, and also finds a rejection among the sources of an error type of your own.
///
/// # Examples
///
/// ```
/// use backstop::{CallError, CircuitBreaker, classify::Causes};
///
/// #[derive(Debug, thiserror::Error)]
/// enum OrderError {
///     #[error("stock is unknown")]
///     Stock(#[from] CallError<std::fmt::Error>),
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (orders, stock) = (CircuitBreaker::new("orders"), CircuitBreaker::new("stock"));
/// stock.force_open("maintenance");
/// let order = async { Ok::<_, OrderError>(stock.call(async { Ok(7) }).await?) };
/// assert!(orders.call_with(order, &Causes).await.is_err());
/// assert_eq!(orders.totals().ignored, 1); // the orders' own dependency did not fail
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Causes;

impl<R, E: std::error::Error + 'static> Classify<R, E> for Causes {
    unwatched!(R);

    fn classify(&self, result: &Result<R, E>) -> Classified {
        match result {
            Err(error) if causes::is_local(error) => ignored(error).into(),
            _ => Errors.classify(result),
        }
    }
}

/// Classifies every response as a success and ignores errors. The default of bulkheads: it fits every service.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyResult;

impl<R, E> Classify<R, E> for AnyResult {
    unwatched!(R);

    fn classify(&self, result: &Result<R, E>) -> Classified {
        if result.is_ok() { Outcome::Success.into() } else { Outcome::Ignored.into() }
    }
}

/// Runs the classifier. A panic in it counts as one of the call; the caller still gets the result.
#[expect(clippy::inline_always, reason = "one frame instead of two on the path of a call")]
#[inline(always)]
pub(crate) fn classify<C: Classify<R, E>, R, E>(classifier: &C, result: &Result<R, E>, is_inbound: bool) -> Classified {
    let judged =
        catch_panic(|| if is_inbound { classifier.classify_inbound(result) } else { classifier.classify(result) });
    judged.unwrap_or(Outcome::Panicked.into())
}
