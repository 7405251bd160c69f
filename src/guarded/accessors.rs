//! Accessors of the services that wrap another: a macro for all mechanisms.

/// `get_ref`, `into_inner` and tonic's name of a service: `wrapper!(Service<S, C, P>, "breaker")`.
macro_rules! wrapper {
    ($service:ident<S $(, $parameter:ident)*>, $mechanism:literal) => {
        impl<S $(, $parameter)*> $service<S $(, $parameter)*> {
            /// The inner service.
            pub fn get_ref(&self) -> &S {
                &self.inner
            }

            #[doc = concat!("Takes the ", $mechanism, " away again.")]
            pub fn into_inner(self) -> S {
                self.inner
            }
        }

        /// tonic routes by the service's name.
        #[cfg(feature = "grpc")]
        impl<S: tonic::server::NamedService $(, $parameter)*> tonic::server::NamedService
            for $service<S $(, $parameter)*>
        {
            const NAME: &'static str = S::NAME;
        }
    };
}

pub(crate) use wrapper;
