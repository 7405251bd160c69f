//! `protect()` with keys from the request: one key's trouble stays that key's, streams and probes count as behind the
//! plain breaker, and every call is counted once.

use crate::protect::{on_a_runtime, poll, switch};
use axum::body::{Body, Bytes};
use backstop::bulkhead::BulkheadConfig;
use backstop::bulkhead::keyed::KeyedBulkhead;
use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
use backstop::circuit_breaker::{CircuitBreakerConfig, SlidingWindow, State};
use backstop::classify::Errors;
use backstop::clock::{Clock, ManualClock};
use backstop::kill_switch::{KillSwitches, OnUnknown, Scope, Target};
use backstop::reject::Mechanism;
use backstop::{BoxError, Bulkhead, CallError, CircuitBreaker, Rejected, protect};
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;
use std::time::Duration;
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, service_fn};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

type Host = &'static str;

/// A circuit for each host, and room for one call of each tenant while one waits.
struct Scene {
    hosts: KeyedCircuitBreaker<Host>,
    tenants: KeyedBulkhead<Host>,
    time: ManualClock,
}

fn scene() -> Scene {
    let (clock, time) = Clock::manual();
    let config = CircuitBreakerConfig::builder().window(SlidingWindow::count(10)).minimum_calls(4);
    let hosts = KeyedCircuitBreaker::builder("hosts").clock(clock.clone()).config(config.build().unwrap());
    let config = BulkheadConfig::builder().max_concurrent_calls(1).max_queue(1).max_wait(MINUTE);
    let tenants = KeyedBulkhead::builder("tenants").clock(clock).config(config.build().unwrap());
    Scene { hosts: hosts.build().unwrap(), tenants: tenants.build().unwrap(), time }
}

pub(crate) async fn fails() -> io::Result<u8> {
    Err(io::Error::other("failed"))
}

pub(crate) async fn works() -> io::Result<u8> {
    Ok(7)
}

/// The mechanism that rejected a call.
pub(crate) fn by<T>(result: Result<T, CallError<io::Error>>) -> Option<Mechanism> {
    match result {
        Err(CallError::Rejected(rejected)) => Some(rejected.by()),
        _ => None,
    }
}

#[test]
fn one_bad_host_opens_its_own_circuit_only() {
    let Scene { hosts, tenants, .. } = scene();
    let layer =
        protect().keyed_circuit_breaker(&hosts, |host: &Host| *host).keyed_bulkhead(&tenants, |host: &Host| *host);
    let answer = |host| async move { if host == "bad" { fails().await } else { works().await } };
    let mut service = layer.classify(Errors).layer(service_fn(answer));
    for _ in 0..20 {
        let _ = service.call("bad").now_or_never().unwrap();
        assert!(service.call("good").now_or_never().unwrap().is_ok());
    }
    assert_eq!(hosts.not_closed(), [(Some("bad"), State::Open)]);
    let totals = hosts.totals();
    assert_eq!((totals.successful, totals.failed, totals.not_permitted), (20, 4, 16));
    assert_eq!((tenants.totals().permitted, tenants.snapshot().in_flight), (24, 0), "an open key takes no permit");
}

#[test]
fn a_host_whose_window_is_of_time_opens_its_own_circuit_only() {
    let Scene { hosts, .. } = scene();
    let window = CircuitBreakerConfig::builder().window(SlidingWindow::time(MINUTE, 60)).minimum_calls(4);
    hosts.reconfigure(window.build().unwrap());
    let layer = protect().keyed_circuit_breaker(&hosts, |host: &Host| *host);
    for _ in 0..20 {
        let _ = layer.call_for(&"bad", fails()).now_or_never().unwrap();
        assert!(layer.call_for(&"good", works()).now_or_never().unwrap().is_ok());
    }
    let totals = hosts.totals();
    assert_eq!((totals.successful, totals.failed, totals.not_permitted), (20, 4, 16));
}

#[test]
fn one_greedy_tenant_fills_its_own_bulkhead_only() {
    on_a_runtime(|| {
        let Scene { tenants, .. } = scene();
        let layer = protect().keyed_bulkhead(&tenants, |tenant: &Host| *tenant).classify(Errors);
        let hangs = |tenant| async move { if tenant == "greedy" { pending().await } else { works().await } };
        let mut service = layer.layer(service_fn(hangs));
        let mut inside = Box::pin(service.call("greedy"));
        let mut waits = Box::pin(service.call("greedy"));
        assert!(poll(&mut inside).is_pending() && poll(&mut waits).is_pending());
        let error = service.call("greedy").now_or_never().unwrap().unwrap_err();
        assert_eq!(Rejected::find(&*error).unwrap().by(), Mechanism::Bulkhead);
        for _ in 0..5 {
            assert!(service.call("modest").now_or_never().unwrap().is_ok());
        }
        drop(inside);
        assert!(poll(&mut waits).is_pending());
        assert_eq!(tenants.key(&"greedy").snapshot().in_flight, 1, "the permit went on to the next of the same key");
        drop(waits);
        assert_eq!(tenants.snapshot().in_flight, 0);
    });
}

#[test]
fn an_open_key_rejects_before_the_queue_and_others_go_on_waiting() {
    on_a_runtime(|| {
        let Scene { hosts, .. } = scene();
        let all = Bulkhead::builder("all").max_concurrent_calls(1).max_queue(5).max_wait(MINUTE).build().unwrap();
        let layer = protect().bulkhead(&all).keyed_circuit_breaker(&hosts, |host: &Host| *host).classify(Errors);
        let mut service = layer.layer(service_fn(|_: Host| works()));
        let held = all.try_acquire().unwrap();
        let (mut bad, mut good) = (Box::pin(service.call("bad")), Box::pin(service.call("good")));
        assert!(poll(&mut bad).is_pending() && poll(&mut good).is_pending());
        hosts.key(&"bad").force_open("test");
        assert!(service.call("bad").now_or_never().expect("it does not wait").is_err());
        assert_eq!(all.snapshot().queue_depth, 2);
        drop(held);
        assert!(matches!(poll(&mut bad), Poll::Ready(Err(_))), "it opened while the call waited");
        assert!(matches!(poll(&mut good), Poll::Ready(Ok(7))));
        assert_eq!((hosts.totals().not_permitted, all.snapshot().in_flight), (2, 0));
    });
}

#[test]
fn a_probe_that_finds_its_tenants_bulkhead_full_leaves_its_place_to_another() {
    let Scene { hosts, tenants, time } = scene();
    let layer =
        protect().keyed_circuit_breaker(&hosts, |_: &Host| "host").keyed_bulkhead(&tenants, |tenant: &Host| *tenant);
    hosts.key(&"host").trip_for(SECOND, "test");
    time.advance(SECOND);
    let held = tenants.key(&"acme").try_acquire().unwrap();
    for _ in 0..30 {
        let rejected = layer.call_for(&"acme", works()).now_or_never().unwrap();
        assert_eq!(by(rejected), Some(Mechanism::Bulkhead), "there is no runtime to wait on");
    }
    drop(held);
    for _ in 0..10 {
        layer.call_for(&"acme", works()).now_or_never().unwrap().expect("every place of a probe is free");
    }
    assert_eq!(hosts.key(&"host").state(), State::Closed);
}

#[test]
fn each_mechanism_rejects_a_call_in_its_turn_and_counts_it_once() {
    let Scene { hosts, tenants, .. } = scene();
    let (recs, engage) = switch();
    let layer = protect()
        .keyed_bulkhead(&tenants, |tenant: &Host| *tenant)
        .keyed_circuit_breaker(&hosts, |_: &Host| "host")
        .kill_switch(&recs)
        .target(|tenant: &Host| Target::new().tenant(tenant));
    let call = |tenant: Host| layer.call_for(&tenant, works()).now_or_never().unwrap();
    assert!(matches!(call("acme"), Ok(7)));
    let held = tenants.key(&"acme").try_acquire().unwrap();
    assert_eq!(by(call("acme")), Some(Mechanism::Bulkhead));
    hosts.key(&"host").force_open("test");
    assert_eq!(by(call("acme")), Some(Mechanism::CircuitBreaker));
    engage(Scope::new().tenant("acme"));
    assert_eq!(by(call("acme")), Some(Mechanism::KillSwitch));
    assert_eq!(by(call("other")), Some(Mechanism::CircuitBreaker), "the switch is engaged for another tenant");
    drop(held);
    let (breaker, bulkhead) = (hosts.totals(), tenants.totals());
    assert_eq!((recs.blocked(), breaker.not_permitted, bulkhead.rejected_full), (1, 2, 1));
    assert_eq!((breaker.successful, bulkhead.permitted, tenants.snapshot().in_flight), (1, 2, 0));
}

#[test]
fn fallbacks_of_keyed_mechanisms_are_counted_where_the_call_was_rejected() {
    let Scene { hosts, tenants, .. } = scene();
    let (recs, engage) = switch();
    let layer = protect()
        .kill_switch(&recs)
        .keyed_circuit_breaker(&hosts, |host: &Host| *host)
        .keyed_bulkhead(&tenants, |host: &Host| *host)
        .classify(Errors)
        .fallback(|_: Host, _: Rejected| Ok::<_, io::Error>(0));
    let mut service = layer.layer(service_fn(|_: Host| works()));
    let held = tenants.key(&"host").try_acquire().unwrap();
    assert_eq!(service.call("host").now_or_never().unwrap().unwrap(), 0);
    drop(held);
    hosts.key(&"host").force_open("test");
    assert_eq!(service.call("host").now_or_never().unwrap().unwrap(), 0);
    engage(Scope::all());
    assert_eq!(service.call("host").now_or_never().unwrap().unwrap(), 0);
    assert_eq!((hosts.totals().fallbacks, tenants.totals().fallbacks, recs.blocked()), (1, 1, 1));
}

/// FAULTS B9, with keys, through Tower and without.
#[test]
fn conservation_holds_with_keys() {
    on_a_runtime(|| {
        for seed in 0..2 {
            let Scene { hosts, tenants, time } = scene();
            let (switches, hand) = KillSwitches::manual();
            let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
            let layer = protect()
                .kill_switch(&recs)
                .target(|_: &Host| Target::new())
                .keyed_circuit_breaker(&hosts, |key: &Host| *key)
                .keyed_bulkhead(&tenants, |key: &Host| *key);
            let script = Arc::new(AtomicU8::new(0));
            let work = || {
                let how = script.load(Ordering::Relaxed);
                async move {
                    match how {
                        0 => pending().await,
                        1 => fails().await,
                        _ => works().await,
                    }
                }
            };
            let service = layer.clone().classify(Errors).layer(service_fn(|_: Host| work()));
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut offered, mut flying) = (0, Vec::new());
            for _ in 0..8_000 {
                script.store(rng.u8(..8), Ordering::Relaxed);
                let key = *rng.choice(&["a", "b", "c"]).unwrap();
                match rng.u8(..10) {
                    0..3 => {
                        offered += 1;
                        let mut service = service.clone();
                        flying.push(service.call(key).map(|_| ()).boxed_local());
                    }
                    3..5 => {
                        offered += 1;
                        let (layer, work) = (layer.clone(), work());
                        flying.push(async move { drop(layer.call_for(&key, work).await) }.boxed_local());
                        let call = flying.last_mut().unwrap();
                        if poll(call).is_ready() {
                            flying.pop();
                        }
                    }
                    5 if !flying.is_empty() => drop(flying.swap_remove(rng.usize(..flying.len()))),
                    6 => hosts.key(&key).trip_for(SECOND, "test"),
                    7 => hosts.key(&key).reset("test"),
                    8 if rng.u8(..20) == 0 => hand.engage("recs"),
                    8 if rng.u8(..5) == 0 => hand.release("recs"),
                    _ => time.advance(Duration::from_millis(rng.u64(..900))),
                }
                (0..5).for_each(|_| flying.retain_mut(|call| poll(call).is_pending()));
            }
            flying.clear();
            let (breaker, bulkhead) = (hosts.totals(), tenants.totals());
            assert_eq!((tenants.snapshot().in_flight, tenants.snapshot().queue_depth), (0, 0));
            let refused = bulkhead.rejected_full + bulkhead.timed_out + bulkhead.left_queue;
            let judged = breaker.successful + breaker.failed + breaker.ignored + breaker.abandoned + breaker.stale;
            let told = format!("{breaker:?} {bulkhead:?} {}", recs.blocked());
            assert_eq!(offered, recs.blocked() + breaker.not_permitted + refused + judged, "{told}");
            assert!(judged > 100 && refused > 10 && breaker.not_permitted > 10 && recs.blocked() > 10, "{told}");
        }
    });
}

// ---- streams and probes, as behind the plain breaker: tests/circuit_breaker/half_open_traffic.rs

type Front =
    BoxCloneService<Request<()>, Response<http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>>, BoxError>;

/// A front of each kind, just before the first probe.
struct Upstream {
    name: &'static str,
    front: Front,
    state: Box<dyn Fn() -> State>,
    time: ManualClock,
}

/// A breaker, a key's circuit, and both through `protect()`. The body sends a part now, and then goes on or breaks.
fn upstreams(then: impl Fn() -> Body + Clone + Send + 'static) -> [Upstream; 4] {
    fn boxed<S, B>(service: S) -> Front
    where
        S: Service<Request<()>, Response = Response<B>, Error = BoxError> + Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        BoxCloneService::new(
            service.map_response(|response| response.map(|body| body.map_err(Into::into).boxed_unsync())),
        )
    }
    let inner = || {
        let then = then.clone();
        service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(then()))))
    };
    let host = |_: &Request<()>| "host";
    let plain = || {
        let (clock, time) = Clock::manual();
        let breaker = CircuitBreaker::builder("plain").clock(clock).build().unwrap();
        breaker.probe("test");
        (breaker, time)
    };
    let keyed = || {
        let (clock, time) = Clock::manual();
        let hosts = KeyedCircuitBreaker::<Host>::builder("keyed").clock(clock).build().unwrap();
        hosts.key(&"host").probe("test");
        (hosts, time)
    };
    let bulkhead = Bulkhead::new("upstream");
    let ((a, a_time), (b, b_time), (c, c_time), (d, d_time)) = (plain(), keyed(), plain(), keyed());
    let of = |name, front, state, time| Upstream { name, front, state, time };
    let layers = (a.layer(), b.layer(host), protect().circuit_breaker(&c).bulkhead(&bulkhead));
    let last = protect().keyed_circuit_breaker(&d, host).bulkhead(&bulkhead);
    [
        of("plain", boxed(layers.0.layer(inner())), Box::new(move || a.state()), a_time),
        of("keyed", boxed(layers.1.layer(inner())), Box::new(move || b.key(&"host").state()), b_time),
        of("protect, plain", boxed(layers.2.layer(inner())), Box::new(move || c.state()), c_time),
        of("protect, keyed", boxed(last.layer(inner())), Box::new(move || d.key(&"host").state()), d_time),
    ]
}

/// A part, then nothing more for now.
fn flows() -> Body {
    Body::from_stream(stream::once(async { Ok::<_, Infallible>(Bytes::from("part")) }).chain(stream::pending()))
}

/// A part, then an error.
pub(crate) fn breaks() -> Body {
    Body::from_stream(stream::iter([Ok(Bytes::from("part")), Err(io::Error::other("broken"))]))
}

impl Upstream {
    /// A response of which a part has arrived; `None` if the call is rejected.
    fn begin(&mut self) -> Option<impl http_body::Body<Data = Bytes, Error = BoxError> + use<>> {
        let response = self.front.call(Request::new(())).now_or_never().unwrap().ok()?;
        let mut body = response.into_body();
        body.frame().now_or_never().unwrap().unwrap().unwrap();
        Some(body)
    }
}

#[test]
fn streams_that_flow_close_a_round_at_its_limit_whatever_is_in_front() {
    for mut upstream in upstreams(flows) {
        let bodies: Vec<_> = (0..20).map(|_| upstream.begin().unwrap()).collect();
        assert!(upstream.begin().is_none(), "{}: each place twice", upstream.name);
        upstream.time.advance(59_999 * MILLISECOND);
        assert_eq!((upstream.state)(), State::HalfOpen, "{}", upstream.name);
        upstream.time.advance(MILLISECOND);
        assert_eq!((upstream.state)(), State::Closed, "{}", upstream.name);
        drop(bodies);
        assert_eq!((upstream.state)(), State::Closed, "{}", upstream.name);
    }
}

#[test]
fn streams_that_readers_leave_close_a_round_whatever_is_in_front() {
    for mut upstream in upstreams(flows) {
        (0..10).for_each(|_| drop(upstream.begin().unwrap()));
        assert_eq!((upstream.state)(), State::Closed, "{}", upstream.name);
    }
}

#[test]
fn streams_that_break_reopen_whatever_is_in_front() {
    for mut upstream in upstreams(breaks) {
        let mut begun = 0;
        while let Some(mut body) = upstream.begin() {
            assert!(body.frame().now_or_never().unwrap().unwrap().is_err());
            begun += 1;
        }
        assert_eq!((upstream.state)(), State::Open, "{}: {begun}", upstream.name);
        assert!(begun <= 10, "{}: {begun}", upstream.name);
    }
}

#[test]
fn probes_of_which_nothing_is_heard_are_as_many_as_behind_the_plain_breaker() {
    // Callers with a deadline, and callers that leave at once: see `half_open_traffic.rs`.
    for (patience, most) in [(100 * MILLISECOND, 10), (MILLISECOND, 20)] {
        let (clock, time) = Clock::manual();
        let hosts = KeyedCircuitBreaker::<Host>::builder("keyed").clock(clock).build().unwrap();
        hosts.key(&"host").probe("test");
        let layer = protect().keyed_circuit_breaker(&hosts, |host: &Host| *host);
        let mut probes = 0;
        loop {
            let mut call = Box::pin(layer.call_for(&"host", pending::<io::Result<u8>>()));
            if poll(&mut call).is_ready() {
                break;
            }
            time.advance(patience);
            probes += 1;
        }
        assert_eq!((probes, hosts.key(&"host").state()), (most, State::Open), "patience: {patience:?}");
    }
}
