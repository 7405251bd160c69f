//! Calls through `protect()` without Tower: they wait, are rejected, judged and counted as those of a service.

use crate::protect::{on_a_runtime, poll, switch};
use crate::protect_keyed::{breaks, by, fails, works};
use backstop::classify::Auto;
use backstop::clock::{Clock, ManualClock};
use backstop::kill_switch::{Scope, Target};
use backstop::reject::Mechanism;
use backstop::{Bulkhead, CallError, CircuitBreaker, Outcome, protect};
use futures_util::FutureExt;
use http::Response;
use http_body_util::BodyExt;
use std::future::{pending, poll_fn, ready};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A breaker and a bulkhead with room for one call while one waits.
fn plain() -> (CircuitBreaker, Bulkhead, ManualClock) {
    let (clock, time) = Clock::manual();
    let breaker = CircuitBreaker::builder("plain").clock(clock.clone()).minimum_calls(4).build().unwrap();
    let bulkhead = Bulkhead::builder("plain").clock(clock).max_concurrent_calls(1).max_queue(1).max_wait(MINUTE);
    (breaker, bulkhead.build().unwrap(), time)
}

#[test]
fn a_call_that_waits_is_made_in_its_turn_or_leaves_when_it_is_dropped() {
    on_a_runtime(|| {
        let (breaker, bulkhead, time) = plain();
        let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead);
        let held = bulkhead.try_acquire().unwrap();
        drop(layer.call(works()));
        let mut waits = Box::pin(layer.call(works()));
        assert_eq!(bulkhead.snapshot().queue_depth, 0, "nothing is asked before the first poll");
        assert!(poll(&mut waits).is_pending());
        time.advance(MINUTE / 2);
        drop(waits);
        assert_eq!((bulkhead.totals().left_queue, bulkhead.snapshot().queue_depth), (1, 0));
        let mut waits = Box::pin(layer.call(works()));
        assert!(poll(&mut waits).is_pending());
        drop(held);
        assert!(matches!(poll(&mut waits), Poll::Ready(Ok(7))));
        let totals = breaker.totals();
        assert_eq!((totals.successful, totals.abandoned, bulkhead.snapshot().in_flight), (1, 0, 0));
        assert_eq!(bulkhead.totals().permitted, 2);
    });
}

#[test]
fn a_call_that_has_waited_is_rejected_by_a_circuit_that_has_opened() {
    on_a_runtime(|| {
        let (breaker, bulkhead, _) = plain();
        let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead);
        let held = bulkhead.try_acquire().unwrap();
        let mut waits = Box::pin(layer.call(works()));
        assert!(poll(&mut waits).is_pending());
        breaker.trip("test");
        drop(held);
        let Poll::Ready(result) = poll(&mut waits) else { panic!("it waits for nothing") };
        assert_eq!(by(result), Some(Mechanism::CircuitBreaker));
        assert_eq!((breaker.totals().not_permitted, bulkhead.snapshot().in_flight), (1, 0));
    });
}

#[test]
fn a_switch_engaged_for_all_stops_a_call_that_waits() {
    on_a_runtime(|| {
        let (_, bulkhead, _) = plain();
        let (recs, engage) = switch();
        let layer = protect()
            .kill_switch(&recs)
            .target(|tenant: &&'static str| Target::new().tenant(tenant))
            .bulkhead(&bulkhead);
        let held = bulkhead.try_acquire().unwrap();
        let mut waits = Box::pin(layer.call_for(&"acme", works()));
        assert!(poll(&mut waits).is_pending());
        engage(Scope::all());
        drop(held);
        let Poll::Ready(result) = poll(&mut waits) else { panic!("it waits for nothing") };
        assert_eq!(by(result), Some(Mechanism::KillSwitch));
        assert_eq!((recs.blocked(), bulkhead.snapshot().in_flight), (1, 0));
    });
}

#[test]
fn a_call_is_judged_as_by_the_breaker_alone() {
    let (breaker, bulkhead, _) = plain();
    let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead);
    let totals = || {
        let totals = breaker.totals();
        (totals.successful, totals.failed, totals.ignored, totals.abandoned)
    };
    let missing = async { Err::<u8, _>(tonic::Status::not_found("stock")) };
    assert!(matches!(layer.call(missing).now_or_never().unwrap(), Err(CallError::Inner(_))));
    assert_eq!(totals(), (1, 0, 0, 0), "the service has answered");
    layer.call(fails()).now_or_never().unwrap().unwrap_err();
    assert_eq!(totals(), (1, 1, 0, 0));
    let ignores = |_: &io::Result<u8>| Outcome::Ignored;
    layer.call_with(fails(), &ignores).now_or_never().unwrap().unwrap_err();
    assert_eq!(totals(), (1, 1, 1, 0));
    let mut call = Box::pin(layer.call(pending::<io::Result<u8>>()));
    assert!(poll(&mut call).is_pending());
    assert_eq!(bulkhead.snapshot().in_flight, 1);
    drop(call);
    assert_eq!(totals(), (1, 1, 1, 1));
    let panics = poll_fn(|_| -> Poll<io::Result<u8>> { panic!("in a call") });
    assert!(catch_unwind(AssertUnwindSafe(|| layer.call(panics).now_or_never())).is_err());
    assert_eq!(totals(), (1, 2, 1, 1));
    assert_eq!((bulkhead.snapshot().in_flight, bulkhead.totals().permitted), (0, 5));
}

#[test]
fn a_body_of_a_call_decides_and_holds_what_is_asked() {
    let (breaker, bulkhead, _) = plain();
    let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead).until_body_end();
    let answer = async { Ok::<_, io::Error>(Response::new(breaks())) };
    let mut body = layer.call_with(answer, &Auto).now_or_never().unwrap().unwrap().into_body();
    assert!(body.frame().now_or_never().unwrap().unwrap().is_ok());
    assert_eq!((bulkhead.snapshot().in_flight, breaker.totals().failed), (1, 0));
    assert!(body.frame().now_or_never().unwrap().unwrap().is_err());
    assert_eq!((bulkhead.snapshot().in_flight, breaker.totals().failed), (0, 1));
}

#[test]
fn a_call_holds_its_future_once() {
    let (breaker, bulkhead, _) = plain();
    let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead);
    let large = || async {
        let held = [0_u8; 4_096];
        ready(()).await;
        Ok::<_, io::Error>(held.len())
    };
    let (own, whole) = (size_of_val(&large()), size_of_val(&layer.call(large())));
    assert!(whole <= own + 512, "{own} and {whole}");
}

#[tokio::test]
async fn a_call_wakes_when_its_turn_comes() {
    let (breaker, bulkhead, _) = plain();
    let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead);
    let held = bulkhead.try_acquire().unwrap();
    let mut waits = Box::pin(layer.call(works()));
    assert!(poll(&mut waits).is_pending());
    let (result, ()) = tokio::join!(waits, async { drop(held) });
    assert!(matches!(result, Ok(7)));
}
