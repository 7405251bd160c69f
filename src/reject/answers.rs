//! Setters of a layer for classification and rejections: the same for every mechanism.

/// The setters of `Layer<.., C, P>`, whose first parameters follow its name: `answers!(Layer, K, F)`. The layer has
/// a method `with(self, impl FnOnce(C, P) -> (D, Q))`.
macro_rules! answers {
    ($layer:ident $(, $parameter:ident)*) => {
        /// Sets the classifier: [`Errors`](crate::classify::Errors), a closure over the result, or
        /// another classifier.
        ///
        /// A closure names its argument's type, `|result: &Result<Response, _>|`;
        /// [`classify`](crate::classify#examples) has examples.
        pub fn classify<D>(self, classifier: D) -> $layer<$($parameter,)* D, P> {
            self.with(|_, on_reject| (classifier, on_reject))
        }

        /// Sets what answers rejected requests.
        pub fn on_reject<Q>(self, on_reject: Q) -> $layer<$($parameter,)* C, Q> {
            self.with(|classifier, _| (classifier, on_reject))
        }

        /// Answers rejected requests in their own protocol: 503 with `Retry-After` and problem+json, or a status of
        /// gRPC. The layer's error is then the service's own.
        #[cfg(feature = "http")]
        pub fn respond(self) -> $layer<$($parameter,)* C, crate::reject::Respond> {
            self.on_reject(crate::reject::Respond)
        }

        /// Answers rejected requests with a response that `make` builds; it is of the service's own type.
        ///
        /// An outer breaker ignores an HTTP response that has the rejection among its extensions:
        /// `response.extensions_mut().insert(rejected.clone())`.
        pub fn respond_with<A, R>(self, make: A) -> $layer<$($parameter,)* C, crate::reject::RespondWith<A>>
        where
            A: Fn(&crate::reject::Rejected) -> R,
        {
            self.on_reject(crate::reject::RespondWith(make))
        }

        /// Answers rejected requests with whatever axum can turn into a response.
        #[cfg(feature = "axum-core")]
        pub fn respond_into<A, R>(self, make: A) -> $layer<$($parameter,)* C, crate::reject::RespondInto<A>>
        where
            A: Fn(&crate::reject::Rejected) -> R,
            R: axum_core::response::IntoResponse,
        {
            self.on_reject(crate::reject::RespondInto(make))
        }

        /// Answers rejected requests with what `answer` makes of the request: cached data, a default. Counted.
        ///
        /// A closure that looks into the request names its type: `|request: Request<Body>, rejected|`.
        pub fn fallback<A, Request, R, E>(self, answer: A) -> $layer<$($parameter,)* C, crate::reject::Fallback<A>>
        where
            A: Fn(Request, crate::reject::Rejected) -> Result<R, E>,
        {
            self.on_reject(crate::reject::Fallback(answer))
        }

        /// Lets `recover` replace the result of a call that was let through and failed. Counted as a fallback.
        ///
        /// The call still counts as failed. A failure that only shows at the end of the body comes too late. To a
        /// breaker
        /// an ignored error is no failure; to a bulkhead every error is one here.
        pub fn recover<A, R, E>(self, recover: A) -> $layer<$($parameter,)* C, crate::reject::Recover<P, A>>
        where
            A: Fn(Result<R, E>) -> Result<R, E>,
        {
            self.with(|classifier, on_reject| (classifier, crate::reject::Recover { on_reject, recover }))
        }
    };
}

pub(crate) use answers;
