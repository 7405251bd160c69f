//! Responders: the answers of a layer to rejected calls.

use super::{BoxError, Rejected};

/// Answers rejected calls for a layer.
///
/// It works in two steps so that a waiting future stays small: [`reject`](OnReject::reject) keeps the needed parts of
/// the request, [`answer`](OnReject::answer) makes the response when the future is polled.
///
/// `R` is the service's own response, `O` that of the layer: the same, or a response with a watched body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer for a service whose response is `{R}`",
    label = "does not fit this service",
    note = "`.respond()` is for an `http::Request` and a response whose body can be made of `Bytes`",
    note = "`.respond_with(|rejected| ..)` returns a response of the service's own type, `.fallback(|request, rejected| ..)` such a result"
)]
pub trait OnReject<Request, R, O, E> {
    /// The layer's error.
    type Error;
    /// The state between the two steps.
    type Rejection;

    /// Whether an answer counts as a fallback.
    const IS_FALLBACK: bool = false;
    /// Whether it answers a server's clients, so that a layer with it is on the inbound side.
    const IS_INBOUND: bool = false;

    /// Takes the rejected request.
    fn reject(&self, request: Request, rejected: Rejected) -> Self::Rejection;

    /// Makes the answer. `pass` converts a response of the service's type into one of the layer's.
    ///
    /// # Errors
    ///
    /// The layer's error, if that is the answer.
    fn answer(&self, rejection: Self::Rejection, pass: impl FnOnce(R) -> O) -> Result<O, Self::Error>;

    /// Converts an error of the service into one of the layer.
    fn carry(error: E) -> Self::Error;

    /// Replaces the result of a failed call; `true` if a fallback did.
    ///
    /// # Errors
    ///
    /// The service's error, if it is not replaced.
    fn recover(&self, failed: Result<R, E>) -> (Result<R, E>, bool) {
        (failed, false)
    }
}

/// Returns the rejection as the layer's error, boxed with the service's own errors. The default.
///
/// For clients, and for stacks whose errors are boxed anyway. Servers of axum and tonic do not accept it; the
/// [module](super) shows the compiler's message and the cure.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsError;

impl<Request, R, O, E: Into<BoxError>> OnReject<Request, R, O, E> for AsError {
    type Error = BoxError;
    type Rejection = Rejected;

    fn reject(&self, _: Request, rejected: Rejected) -> Rejected {
        rejected
    }

    fn answer(&self, rejection: Rejected, _: impl FnOnce(R) -> O) -> Result<O, BoxError> {
        Err(rejection.into())
    }

    fn carry(error: E) -> BoxError {
        error.into()
    }
}

/// Answers with a response of the service's own type that a function makes from the rejection.
///
/// Insert the rejection into the extensions of an HTTP response, so that an outer breaker does not count it as a
/// failure: `response.extensions_mut().insert(rejected.clone())`.
#[derive(Clone, Copy, Debug)]
pub struct RespondWith<F>(pub(crate) F);

impl<Request, R, O, E, F: Fn(&Rejected) -> R> OnReject<Request, R, O, E> for RespondWith<F> {
    type Error = E;
    type Rejection = Rejected;

    const IS_INBOUND: bool = true;

    fn reject(&self, _: Request, rejected: Rejected) -> Rejected {
        rejected
    }

    fn answer(&self, rejection: Rejected, pass: impl FnOnce(R) -> O) -> Result<O, E> {
        Ok(pass((self.0)(&rejection)))
    }

    fn carry(error: E) -> E {
        error
    }
}

/// Answers with the result of a function of the request: cached data, a default response. Each use is counted.
#[derive(Clone, Copy, Debug)]
pub struct Fallback<F>(pub(crate) F);

impl<Request, R, O, E, F> OnReject<Request, R, O, E> for Fallback<F>
where
    F: Fn(Request, Rejected) -> Result<R, E>,
{
    type Error = E;
    type Rejection = Result<R, E>;

    const IS_FALLBACK: bool = true;
    /// A service that never fails is one that is served, as those of axum are.
    const IS_INBOUND: bool = is_uninhabited::<E>();

    fn reject(&self, request: Request, rejected: Rejected) -> Result<R, E> {
        (self.0)(request, rejected)
    }

    fn answer(&self, rejection: Result<R, E>, pass: impl FnOnce(R) -> O) -> Result<O, E> {
        rejection.map(pass)
    }

    fn carry(error: E) -> E {
        error
    }
}

/// Adds to another responder a function that may replace the result of an admitted call that failed.
#[derive(Clone, Copy, Debug)]
pub struct Recover<P, F> {
    pub(crate) on_reject: P,
    pub(crate) recover: F,
}

impl<Request, R, O, E, P, F> OnReject<Request, R, O, E> for Recover<P, F>
where
    P: OnReject<Request, R, O, E>,
    F: Fn(Result<R, E>) -> Result<R, E>,
{
    type Error = P::Error;
    type Rejection = P::Rejection;

    const IS_FALLBACK: bool = P::IS_FALLBACK;
    const IS_INBOUND: bool = P::IS_INBOUND;

    fn reject(&self, request: Request, rejected: Rejected) -> P::Rejection {
        self.on_reject.reject(request, rejected)
    }

    fn answer(&self, rejection: P::Rejection, pass: impl FnOnce(R) -> O) -> Result<O, P::Error> {
        self.on_reject.answer(rejection, pass)
    }

    fn carry(error: E) -> P::Error {
        P::carry(error)
    }

    fn recover(&self, failed: Result<R, E>) -> (Result<R, E>, bool) {
        ((self.recover)(failed), true)
    }
}

/// Returns whether a type has no values, such as `Infallible`: `Option<Infallible>` has size 0.
pub(crate) const fn is_uninhabited<E>() -> bool {
    size_of::<E>() == 0 && size_of::<Option<E>>() == 0
}

#[cfg(test)]
mod tests {
    use super::is_uninhabited;

    #[test]
    fn infallible_differs_from_a_unit_error() {
        assert!(is_uninhabited::<std::convert::Infallible>());
        assert!(!is_uninhabited::<()>());
        assert!(!is_uninhabited::<std::fmt::Error>());
    }
}
