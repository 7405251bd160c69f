//! The gate as a Tower layer.

pub(crate) use crate::kill_switch::target::Anyone;
use crate::kill_switch::{KillSwitch, KillSwitchService, Target};
use crate::reject::{AsError, Fallback, OnReject, Rejected, RespondWith};
use crate::sealed::Sealed;
use tower_layer::Layer;

/// No degraded mode yet: the layer does not compile.
#[derive(Clone, Copy, Debug)]
pub struct Undeclared(());

/// A degraded mode: the answer to requests while the switch is engaged. Sealed.
#[diagnostic::on_unimplemented(
    message = "this kill switch has no degraded mode for when it is engaged",
    label = "no degraded mode",
    note = "say so: `.respond()`, `.fallback(|request, rejected| ..)`, `.respond_with(|rejected| ..)` or `.as_error()`"
)]
pub trait Declared: Clone + Sealed {}

impl Sealed for AsError {}
impl<F> Sealed for RespondWith<F> {}
impl<F> Sealed for Fallback<F> {}
#[cfg(feature = "http")]
impl Sealed for crate::reject::Respond {}
#[cfg(feature = "axum-core")]
impl<F> Sealed for crate::reject::RespondInto<F> {}

impl Declared for AsError {}
impl<F: Clone> Declared for RespondWith<F> {}
impl<F: Clone> Declared for Fallback<F> {}
#[cfg(feature = "http")]
impl Declared for crate::reject::Respond {}
#[cfg(feature = "axum-core")]
impl<F: Clone> Declared for crate::reject::RespondInto<F> {}

/// Function that turns a rejection into a response with a gRPC status.
#[cfg(feature = "grpc")]
pub type MakeStatus = fn(&Rejected) -> http::Response<tonic::body::Body>;

/// Puts a kill switch in front of services, with a declared degraded mode.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "http")] {
/// use axum::{Router, extract::{OriginalUri, Request}, response::IntoResponse, routing::get};
/// use backstop::kill_switch::{KillSwitches, OnUnknown, Target};
///
/// let switches = KillSwitches::builder("shop").build()?;
/// let recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
/// let layer = recommendations
///     .layer()
///     .target(|request: &Request| {
///         // Inside of `nest` the request's own path lacks the prefix.
///         let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |OriginalUri(uri)| uri);
///         Target::new().route(uri.path())
///     })
///     .fallback(|_: Request, _| Ok("the bestsellers of last week".into_response()));
/// let app: Router = Router::new().route("/recommendations", get(async || "made for you")).layer(layer);
/// # }
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct KillSwitchLayer<T = Anyone, P = Undeclared> {
    switch: KillSwitch,
    targets: T,
    degraded: P,
}

impl<T, P> KillSwitchLayer<T, P> {
    /// Sets the target of a request, for switches that are engaged for some. It is called only while one is.
    pub fn target<Request, F>(self, targets: F) -> KillSwitchLayer<F, P>
    where
        F: for<'a> Fn(&'a Request) -> Target<'a>,
    {
        KillSwitchLayer { switch: self.switch, targets, degraded: self.degraded }
    }

    fn declare<Q>(self, degraded: Q) -> KillSwitchLayer<T, Q> {
        KillSwitchLayer { switch: self.switch, targets: self.targets, degraded }
    }

    /// Engaged: 503 with problem+json, or gRPC's `UNAVAILABLE`, by the request's own protocol.
    #[cfg(feature = "http")]
    pub fn respond(self) -> KillSwitchLayer<T, crate::reject::Respond> {
        self.declare(crate::reject::Respond)
    }

    /// Engaged: gRPC's `UNAVAILABLE`, in front of a service that tonic made. Its body is made of nothing but tonic's
    /// own, so [`respond`](Self::respond) does not fit there.
    #[cfg(feature = "grpc")]
    pub fn respond_status(self) -> KillSwitchLayer<T, RespondWith<MakeStatus>> {
        self.declare(RespondWith(|rejected| tonic::Status::from(rejected.clone()).into_http()))
    }

    /// Engaged: a response that `make` builds, of the service's own type.
    pub fn respond_with<A, R>(self, make: A) -> KillSwitchLayer<T, RespondWith<A>>
    where
        A: Fn(&Rejected) -> R,
    {
        self.declare(RespondWith(make))
    }

    /// Engaged: whatever axum can turn into a response.
    #[cfg(feature = "axum-core")]
    pub fn respond_into<A, R>(self, make: A) -> KillSwitchLayer<T, crate::reject::RespondInto<A>>
    where
        A: Fn(&Rejected) -> R,
        R: axum_core::response::IntoResponse,
    {
        self.declare(crate::reject::RespondInto(make))
    }

    /// Engaged: what `answer` makes of the request, cached data or a default. Counted.
    pub fn fallback<A, Request, R, E>(self, answer: A) -> KillSwitchLayer<T, Fallback<A>>
    where
        A: Fn(Request, Rejected) -> Result<R, E>,
    {
        self.declare(Fallback(answer))
    }

    /// Engaged: the rejection is the layer's error, boxed with the service's own. For clients.
    pub fn as_error(self) -> KillSwitchLayer<T, AsError> {
        self.declare(AsError)
    }

    /// Engaged: another answer of this crate, or of your own.
    pub fn on_engaged<Q>(self, degraded: Q) -> KillSwitchLayer<T, Custom<Q>> {
        self.declare(Custom(degraded))
    }
}

/// An answer of the user's own.
#[derive(Clone, Copy, Debug)]
pub struct Custom<P>(P);

impl<P> Sealed for Custom<P> {}
impl<P: Clone> Declared for Custom<P> {}

impl<Request, R, O, E, P: OnReject<Request, R, O, E>> OnReject<Request, R, O, E> for Custom<P> {
    type Error = P::Error;
    type Rejection = P::Rejection;

    const IS_FALLBACK: bool = P::IS_FALLBACK;

    fn reject(&self, request: Request, rejected: Rejected) -> P::Rejection {
        self.0.reject(request, rejected)
    }

    fn answer(&self, rejection: P::Rejection, pass: impl FnOnce(R) -> O) -> Result<O, P::Error> {
        self.0.answer(rejection, pass)
    }

    fn carry(error: E) -> P::Error {
        P::carry(error)
    }
}

impl<S, T: Clone, P: Declared> Layer<S> for KillSwitchLayer<T, P> {
    type Service = KillSwitchService<S, T, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { switch, targets, degraded } = self.clone();
        KillSwitchService::new(switch, inner, targets, degraded)
    }
}

impl KillSwitch {
    /// A Tower layer. It needs a degraded mode:
    /// [`respond`](KillSwitchLayer::respond), [`fallback`](KillSwitchLayer::fallback),
    /// [`respond_with`](KillSwitchLayer::respond_with), [`as_error`](KillSwitchLayer::as_error).
    ///
    /// ```compile_fail,E0277
    /// # use backstop::kill_switch::{KillSwitches, OnUnknown};
    /// # let switches = KillSwitches::builder("shop").build().unwrap();
    /// # let recommendations = switches.switch("recommendations", OnUnknown::Allow).unwrap();
    /// # let service = tower::service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) });
    /// tower::Layer::layer(&recommendations.layer(), service);
    /// // error[E0277]: this kill switch has no degraded mode for when it is engaged
    /// ```
    pub fn layer(&self) -> KillSwitchLayer {
        KillSwitchLayer { switch: self.clone(), targets: Anyone, degraded: Undeclared(()) }
    }
}
