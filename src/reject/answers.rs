//! Setters of a layer's classifier, responder and side, the same for every mechanism.

use super::OnReject;
use crate::outcome::Side;

/// The setters of `Layer<.., C, P, ..>`, whose other parameters follow its name: `answers!(Layer, K, F; L)`. The layer has
/// a method `with(self, impl FnOnce(C, P) -> (D, Q))`.
macro_rules! answers {
    ($layer:ident $(, $parameter:ident)* $(; $($last:ident),*)?) => {
        /// Sets the classifier: [`Errors`](crate::classify::Errors), a closure over the result, or your own.
        ///
        /// A closure names the type of its argument, `|result: &Result<Response, _>|`;
        /// [`classify`](crate::classify#examples) has examples.
        pub fn classify<D>(self, classifier: D) -> $layer<$($parameter,)* D, P$(, $($last),*)?> {
            self.with(|_, on_reject| (classifier, on_reject))
        }

        /// Sets the responder for rejected requests.
        pub fn on_reject<Q>(self, on_reject: Q) -> $layer<$($parameter,)* C, Q$(, $($last),*)?> {
            self.with(|classifier, _| (classifier, on_reject))
        }

        /// Answers rejected requests in their own protocol: 503 with `Retry-After` and problem+json, or a gRPC status.
        /// The layer's error is then the service's own.
        #[cfg(feature = "http")]
        pub fn respond(self) -> $layer<$($parameter,)* C, crate::reject::Respond$(, $($last),*)?> {
            self.on_reject(crate::reject::Respond)
        }

        /// Answers rejected requests with a response of the service's own type, built by `make`.
        ///
        /// An outer breaker ignores an HTTP response with the rejection among its extensions:
        /// `response.extensions_mut().insert(rejected.clone())`.
        pub fn respond_with<A, R>(self, make: A) -> $layer<$($parameter,)* C, crate::reject::RespondWith<A>$(, $($last),*)?>
        where
            A: Fn(&crate::reject::Rejected) -> R,
        {
            self.on_reject(crate::reject::RespondWith(make))
        }

        /// Answers rejected requests with any value that axum can convert into a response.
        #[cfg(feature = "axum-core")]
        pub fn respond_into<A, R>(self, make: A) -> $layer<$($parameter,)* C, crate::reject::RespondInto<A>$(, $($last),*)?>
        where
            A: Fn(&crate::reject::Rejected) -> R,
            R: axum_core::response::IntoResponse,
        {
            self.on_reject(crate::reject::RespondInto(make))
        }

        /// Answers rejected requests with the result of `answer`, which gets the request: cached data, a default. Each
        /// use is counted as a fallback.
        ///
        /// A closure that reads the request names its type: `|request: Request<Body>, rejected|`.
        pub fn fallback<A, Request, R, E>(self, answer: A) -> $layer<$($parameter,)* C, crate::reject::Fallback<A>$(, $($last),*)?>
        where
            A: Fn(Request, crate::reject::Rejected) -> Result<R, E>,
        {
            self.on_reject(crate::reject::Fallback(answer))
        }

        /// Lets `recover` replace the result of an admitted call that failed. Each use is counted as a fallback.
        ///
        /// The call still counts as a failure. A failure that is known only at the end of the body comes too late for
        /// it. A breaker does not call `recover` for an ignored error; a bulkhead calls it for every error.
        pub fn recover<A, R, E>(self, recover: A) -> $layer<$($parameter,)* C, crate::reject::Recover<P, A>$(, $($last),*)?>
        where
            A: Fn(Result<R, E>) -> Result<R, E>,
        {
            self.with(|classifier, on_reject| (classifier, crate::reject::Recover { on_reject, recover }))
        }
    };
}

/// The setters of the side that a layer is on. The layer has a field `side`.
macro_rules! sides {
    () => {
        /// Puts the layer on the inbound side, in front of a server's own handlers: the caller is a client. Its leaving,
        /// 408, 429 and 499 say nothing; 5xx are failures.
        ///
        /// The default of a layer with `.respond()` or one of its relatives.
        pub fn inbound(mut self) -> Self {
            self.side = Some(crate::outcome::Side::Inbound);
            self
        }

        /// Puts the layer on the outbound side, in front of a client of a dependency: 5xx, 408 and 429 are failures, and
        /// enough calls in a row that were abandoned without any answer open the circuit.
        ///
        /// The default of a layer without a responder.
        pub fn outbound(mut self) -> Self {
            self.side = Some(crate::outcome::Side::Outbound);
            self
        }
    };
}

/// Returns whether a layer with this responder is on the inbound side.
#[inline]
pub(crate) fn is_inbound<P: OnReject<Request, R, O, E>, Request, R, O, E>(side: Option<Side>) -> bool {
    // One comparison of a byte, which an `Option` of an enum is not.
    let side = match side {
        Some(Side::Inbound) => 0_u8,
        Some(Side::Outbound) => 1,
        None => 2,
    };
    if P::IS_INBOUND { side != 1 } else { side == 0 }
}

pub(crate) use {answers, sides};
