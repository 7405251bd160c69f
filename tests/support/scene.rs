//! Breakers on a clock that stands still until a test moves it, and a dependency that does as it is told.

use backstop::circuit_breaker::{CircuitBreakerBuilder, CircuitBreakerService, Event, Reason, SlidingWindow, State};
use backstop::clock::{Clock, ManualClock};
use backstop::config::Named;
use backstop::{BoxError, CircuitBreaker, Outcome};
use futures_util::FutureExt;
use std::fmt;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tower::Service;

pub(crate) type Builder = CircuitBreakerBuilder<Named>;

/// How long the breakers of [`breaker`] stay open, and half-open at most.
pub(crate) const OPEN_TIME: Duration = Duration::from_secs(10);
pub(crate) const PROBE_TIME: Duration = Duration::from_secs(5);

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);

/// One millisecond less than these.
pub(crate) const JUST_OPEN: Duration = Duration::from_millis(9_999);
pub(crate) const JUST_PROBING: Duration = Duration::from_millis(4_999);

/// Two failures of two calls open it, one probe decides; `configure` says what else the test is about.
pub(crate) fn breaker(configure: impl FnOnce(Builder) -> Builder) -> (CircuitBreaker, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder("scene")
        .clock(clock)
        .window(SlidingWindow::count(2))
        .open_time(OPEN_TIME)
        .half_open_max_calls(1)
        .half_open_timeout(PROBE_TIME);
    (configure(builder).build().expect("the settings of the test are allowed"), time)
}

pub(crate) fn fail(breaker: &CircuitBreaker, calls: u32) {
    (0..calls).for_each(|_| breaker.try_acquire().expect("the circuit admits it").failure());
}

pub(crate) fn succeed(breaker: &CircuitBreaker, calls: u32) {
    (0..calls).for_each(|_| breaker.try_acquire().expect("the circuit admits it").success());
}

/// Opens a breaker of [`breaker`] by failures, and lets the open time pass.
pub(crate) fn about_to_probe(breaker: &CircuitBreaker, time: &ManualClock) {
    fail(breaker, 2);
    assert_eq!(breaker.state(), State::Open);
    time.advance(OPEN_TIME);
}

/// Everything that the breaker tells from now on.
pub(crate) fn events(breaker: &CircuitBreaker) -> Arc<Mutex<Vec<Event>>> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    breaker.subscribe(move |event| log.lock().unwrap().push(event.clone())).forever();
    events
}

/// The transitions among events.
pub(crate) fn path(events: &Mutex<Vec<Event>>) -> Vec<(State, State, Reason)> {
    let events = events.lock().unwrap();
    let transitions = events.iter().filter(|event| matches!(event, Event::Transition(_)));
    transitions.map(|event| (event.details().from, event.details().to, event.details().reason)).collect()
}

/// Calls that were let through and have ended.
pub(crate) fn ended(breaker: &CircuitBreaker) -> u64 {
    let totals = breaker.totals();
    totals.successful + totals.failed + totals.ignored + totals.abandoned + totals.stale
}

/// Runs what panics; a panic of [`quiet_panic`] prints nothing.
pub(crate) fn panics<T>(work: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

/// Unwinds as a panic does, but without the hook that prints it.
pub(crate) fn quiet_panic() -> ! {
    resume_unwind(Box::new("told to"))
}

/// What a request tells [`Dependency`] to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    Answer,
    Fail,
    /// An error that is not the dependency's fault.
    Refuse,
    Hang,
    Panic,
    PanicInCall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Broken,
    NotItsFault,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Failure {}

/// A service that counts the calls that reach it, and insists on being asked whether it is ready.
#[derive(Debug, Default)]
pub(crate) struct Dependency {
    arrived: Arc<AtomicU64>,
    is_ready: bool,
}

impl Dependency {
    /// Calls that reached this one and its clones.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }
}

impl Clone for Dependency {
    fn clone(&self) -> Self {
        Self { arrived: Arc::clone(&self.arrived), is_ready: false }
    }
}

impl Service<Do> for Dependency {
    type Response = ();
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Do) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being asked whether it is ready");
        self.arrived.fetch_add(1, Ordering::Relaxed);
        if request == Do::PanicInCall {
            quiet_panic();
        }
        Box::pin(async move {
            match request {
                Do::Answer => Ok(()),
                Do::Fail => Err(Failure::Broken),
                Do::Refuse => Err(Failure::NotItsFault),
                Do::Hang => pending().await,
                Do::Panic | Do::PanicInCall => quiet_panic(),
            }
        })
    }
}

pub(crate) type Judge = fn(&Result<(), Failure>) -> Outcome;
pub(crate) type Guarded = CircuitBreakerService<Dependency, Judge>;

/// The dependency behind the breaker.
pub(crate) fn guarded(breaker: &CircuitBreaker) -> Guarded {
    let judge: Judge = |result| match result {
        Ok(()) => Outcome::Success,
        Err(Failure::NotItsFault) => Outcome::Ignored,
        Err(_) => Outcome::Failure,
    };
    let layer = breaker.layer().classify(judge);
    tower::Layer::layer(&layer, Dependency::default())
}

pub(crate) fn is_ready<S: Service<R>, R>(service: &mut S) -> bool {
    matches!(service.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())))
}

/// Asks a service whether it is ready, and calls it.
pub(crate) fn call<S: Service<R>, R>(service: &mut S, request: R) -> S::Future {
    assert!(is_ready(service), "the service is ready");
    service.call(request)
}

/// Makes a call and polls it once; what is not over by then is dropped, and `None`.
pub(crate) fn try_now<S, R>(service: &mut S, request: R) -> Option<Result<S::Response, S::Error>>
where
    S: Service<R>,
{
    call(service, request).now_or_never()
}

/// The rejection that a layer's boxed error is, if it is one.
pub(crate) fn rejection<T>(result: &Result<T, BoxError>) -> Option<&backstop::Rejected> {
    result.as_ref().err().and_then(|error| backstop::Rejected::find(error.as_ref()))
}

/// Polls a future once, with a waker that nobody hears.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Counts how often it is woken.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicU64);

impl Bell {
    pub(crate) fn rung(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
