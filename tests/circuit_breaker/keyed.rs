//! Breakers by key: bounded, judged one by one, and never all open at once. FAULTS.md group F.

use backstop::CircuitBreaker;
use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
use backstop::circuit_breaker::keyed::KeyedCircuitBreakerBuilder;
use backstop::circuit_breaker::{
    CircuitBreakerConfig, Event, HalfOpenDecision, Permit, PermitOwner, SlidingWindow, State,
};
use backstop::clock::{Clock, ManualClock};
use backstop::outcome::Settle;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::{Layer, Service, ServiceExt, service_fn};

fn config() -> CircuitBreakerConfig {
    CircuitBreakerConfig::builder()
        .window(SlidingWindow::count(10))
        .minimum_calls(4)
        .open_time(Duration::from_secs(5))
        .half_open_max_calls(1)
        .half_open_decision(HalfOpenDecision::ConsecutiveSuccesses { calls: 1 })
        .build()
        .unwrap()
}

fn builder() -> (KeyedCircuitBreakerBuilder<String>, ManualClock) {
    let (clock, time) = Clock::manual();
    (KeyedCircuitBreaker::builder("keyed").config(config()).clock(clock), time)
}

fn fail(breakers: &KeyedCircuitBreaker<String>, key: &str, times: usize) {
    for _ in 0..times {
        if let Ok(permit) = breakers.key(key).try_acquire() {
            permit.failure();
        }
    }
}

fn succeed(breakers: &KeyedCircuitBreaker<String>, key: &str, times: usize) {
    for _ in 0..times {
        breakers.key(key).try_acquire().unwrap().success();
    }
}

#[test]
fn one_failing_key_is_rejected_and_the_others_are_not() {
    let (builder, time) = builder();
    let breakers = builder.build().unwrap();
    fail(&breakers, "bad", 10);
    succeed(&breakers, "good", 10);
    assert_eq!(breakers.not_closed(), [(Some("bad".into()), State::Open)]);
    assert!(breakers.key("bad").try_acquire().is_err());
    time.advance(Duration::from_secs(5));
    breakers.key("bad").try_acquire().unwrap().success();
    assert_eq!((breakers.key("bad").state(), breakers.open_len()), (State::Closed, 0));
    let totals = breakers.totals();
    assert_eq!((totals.successful, totals.failed, totals.not_permitted), (11, 4, 7));
}

#[test]
fn successes_of_a_healthy_key_count_when_it_begins_to_fail() {
    let (builder, _) = builder();
    let breakers = builder.build().unwrap();
    succeed(&breakers, "k", 1_000);
    fail(&breakers, "k", 4);
    let snapshot = breakers.key("k").snapshot();
    assert_eq!((snapshot.calls, snapshot.failed, breakers.key("k").state()), (10, 4, State::Closed));
    fail(&breakers, "k", 1);
    assert_eq!(breakers.key("k").state(), State::Open, "half of the last ten");
}

#[test]
fn a_key_that_recovered_is_small_again_and_its_stale_results_stay_stale() {
    let (builder, time) = builder();
    let breakers = builder.build().unwrap();
    let late = breakers.key("k").try_acquire().unwrap();
    fail(&breakers, "k", 4);
    time.advance(Duration::from_secs(5));
    succeed(&breakers, "k", 1);
    succeed(&breakers, "k", 20);
    late.failure();
    let snapshot = breakers.key("k").snapshot();
    assert_eq!((snapshot.calls, snapshot.failed, breakers.totals().stale), (10, 0, 1));
}

#[test]
fn never_more_keys_than_allowed_and_only_idle_healthy_ones_make_room() {
    let (builder, _) = builder();
    let breakers = builder.max_keys(50).build().unwrap();
    fail(&breakers, "open", 4);
    fail(&breakers, "troubled", 1);
    let held = breakers.key("held").try_acquire().unwrap();
    for i in 0..10_000 {
        succeed(&breakers, &format!("user-{i}"), 1);
    }
    assert!(breakers.len() <= 50, "{}", breakers.len());
    assert_eq!(breakers.get("open").expect("kept").state(), State::Open);
    assert_eq!(breakers.get("troubled").expect("kept").snapshot().failed, 1);
    assert!(breakers.get("held").is_some());
    assert!(breakers.evicted() > 9_000);
    held.success();
}

#[test]
fn keys_without_room_share_one_circuit() {
    let (builder, _) = builder();
    let breakers = builder.max_keys(3).build().unwrap();
    for key in ["a", "b", "c"] {
        fail(&breakers, key, 1);
    }
    fail(&breakers, "d", 2);
    fail(&breakers, "e", 2);
    assert!(breakers.key("f").try_acquire().is_err(), "the overflow circuit is open");
    assert_eq!(breakers.not_closed(), [(None, State::Open)]);
    assert_eq!((breakers.len(), breakers.overflowed()), (3, 5));
}

#[test]
fn no_more_than_the_allowed_fraction_opens() {
    let (builder, time) = builder();
    let breakers = builder.max_open_fraction(0.3).build().unwrap();
    for i in 0..10 {
        succeed(&breakers, &format!("shard-{i}"), 1);
    }
    for i in 0..10 {
        fail(&breakers, &format!("shard-{i}"), 10);
    }
    assert_eq!((breakers.open_len(), breakers.not_closed().len()), (3, 3));
    assert!(breakers.suppressed() >= 7);
    time.advance(Duration::from_secs(5));
    let probing: Vec<_> = breakers.not_closed();
    for (key, _) in &probing {
        succeed(&breakers, key.as_deref().unwrap(), 1);
    }
    assert_eq!(breakers.open_len(), 0);
    for i in 0..10 {
        fail(&breakers, &format!("shard-{i}"), 10);
    }
    assert_eq!(breakers.open_len(), 3, "places are given back");
}

#[test]
fn every_event_names_its_key_and_the_numbers_have_no_gap() {
    let (builder, _) = builder();
    let breakers = builder.build().unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    let (heard, again) = (Arc::clone(&log), breakers.clone());
    let _subscription = breakers.subscribe(move |told| {
        again.totals(); // may call back
        if let Event::Transition(transition) = &told.event {
            heard.lock().unwrap().push((told.key.clone(), transition.to, transition.sequence));
        }
    });
    fail(&breakers, "a", 4);
    breakers.key("b").force_open("maintenance");
    breakers.key("a").reset("fixed");
    let (a, b) = (Some("a".into()), Some("b".into()));
    let expected = [(a.clone(), State::Open, 1), (b, State::ForcedOpen, 2), (a, State::Closed, 3)];
    assert_eq!(*log.lock().unwrap(), expected);
}

#[test]
fn new_settings_reach_keys_that_are_known() {
    let (builder, _) = builder();
    let breakers = builder.build().unwrap();
    fail(&breakers, "k", 3);
    let strict = CircuitBreakerConfig::builder().window(SlidingWindow::count(10)).minimum_calls(10).build().unwrap();
    breakers.reconfigure(strict);
    fail(&breakers, "k", 6);
    assert_eq!(breakers.key("k").state(), State::Closed);
    fail(&breakers, "k", 1);
    assert_eq!(breakers.key("k").state(), State::Open);
}

#[test]
fn hostile_keys_are_only_keys() {
    let (builder, _) = builder();
    let breakers = builder.max_keys(100).build().unwrap();
    for key in ["", "\0", "a\nb", "\"quoted\"", "раураl", &"x".repeat(1_000_000)] {
        succeed(&breakers, key, 1);
        fail(&breakers, key, 1);
        assert_eq!(breakers.get(key).expect("known").key().map(String::as_str), Some(key));
    }
}

#[test]
fn many_threads_lose_no_call_and_leave_no_key_in_use() {
    let (builder, _) = builder();
    let breakers = builder.max_keys(64).max_open_fraction(0.5).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let breakers = breakers.clone();
            scope.spawn(move || {
                for i in 0..5_000_usize {
                    let key = format!("k{}", (i * 7 + thread * 13) % 200);
                    match (breakers.key(&key).try_acquire(), i % 5) {
                        (Ok(permit), 0 | 1) => permit.failure(),
                        (Ok(permit), 2) => drop(permit),
                        (Ok(permit), _) => permit.success(),
                        (Err(_), _) => {}
                    }
                }
            });
        }
    });
    let totals = breakers.totals();
    let ended = totals.successful + totals.failed + totals.ignored + totals.abandoned + totals.stale;
    assert_eq!(ended + totals.not_permitted, 20_000);
    assert_eq!(breakers.open_len(), breakers.not_closed().len() as u64);
}

/// Circuits that open and are dead within milliseconds are forgotten while others call them.
#[test]
fn keys_that_are_called_while_they_are_forgotten_leave_the_number_of_open_ones_right() {
    let moment = Duration::from_millis(1);
    let config = CircuitBreakerConfig::builder()
        .consecutive_failures_threshold(2)
        .open_time(moment)
        .half_open_timeout(moment)
        .half_open_decision(HalfOpenDecision::ConsecutiveSuccesses { calls: 1 });
    let breakers = KeyedCircuitBreaker::builder("forgotten").config(config.build().unwrap()).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let breakers = breakers.clone();
            scope.spawn(move || {
                for i in 0..15_000_usize {
                    match (breakers.key(&((i * 7 + thread * 13) % 80)).try_acquire(), (i + thread) % 5) {
                        (Ok(permit), 0 | 1) => permit.failure(),
                        (Ok(permit), _) => permit.success(),
                        (Err(_), _) => {}
                    }
                }
            });
        }
    });
    assert_eq!(breakers.open_len(), breakers.not_closed().len() as u64);
}

#[tokio::test]
async fn the_layer_finds_the_key_of_each_request() {
    let (builder, _) = builder();
    let breakers = builder.build().unwrap();
    let layer =
        breakers.layer(|host: &&'static str| (*host).to_owned()).classify(|result: &Result<bool, Infallible>| {
            match result {
                Ok(true) => backstop::Outcome::Success,
                _ => backstop::Outcome::Failure,
            }
        });
    let mut service = layer.layer(service_fn(|host: &'static str| async move { Ok::<_, Infallible>(host != "bad") }));
    for _ in 0..4 {
        service.ready().await.unwrap().call("bad").await.unwrap();
        service.ready().await.unwrap().call("good").await.unwrap();
    }
    assert!(service.ready().await.unwrap().call("bad").await.is_err());
    assert!(service.ready().await.unwrap().call("good").await.is_ok());
}

#[test]
fn a_key_that_is_gone_gives_its_place_among_the_open_ones_back() {
    let (builder, time) = builder();
    let breakers = builder.max_open_fraction(0.1).build().unwrap();
    for i in 0..10 {
        succeed(&breakers, &format!("host-{i}"), 1);
    }
    fail(&breakers, "host-0", 10);
    time.advance(Duration::from_secs(86_400));
    fail(&breakers, "host-1", 10);
    assert_eq!(breakers.not_closed(), [(Some("host-1".into()), State::Open)]);
    assert_eq!((breakers.len(), breakers.open_len()), (9, 1));
}

#[test]
fn old_failures_of_a_time_window_do_not_keep_a_key_for_ever() {
    let (clock, time) = Clock::manual();
    let window = SlidingWindow::time(Duration::from_secs(10), 10);
    let config = CircuitBreakerConfig::builder().window(window).minimum_calls(4).build().unwrap();
    let builder = KeyedCircuitBreaker::<String>::builder("keyed").config(config).clock(clock);
    let breakers = builder.max_keys(20).build().unwrap();
    for i in 0..20 {
        fail(&breakers, &format!("old-{i}"), 1);
    }
    time.advance(Duration::from_secs(60));
    for i in 0..100 {
        succeed(&breakers, &format!("new-{i}"), 1);
    }
    assert_eq!((breakers.overflowed(), breakers.len()), (0, 20));
}

#[test]
fn keys_in_shadow_make_room_too() {
    let (clock, _) = Clock::manual();
    let config = CircuitBreakerConfig::builder().initial_state(State::Shadow).build().unwrap();
    let builder = KeyedCircuitBreaker::<String>::builder("keyed").config(config).clock(clock).max_keys(5);
    let breakers = builder.build().unwrap();
    for i in 0..50 {
        breakers.key(&format!("k{i}")).try_acquire().unwrap().ignore();
    }
    assert_eq!((breakers.overflowed(), breakers.len(), breakers.evicted()), (0, 5, 45));
}

#[test]
fn a_group_does_not_begin_open() {
    let config = CircuitBreakerConfig::builder().initial_state(State::HalfOpen).build().unwrap();
    let error = KeyedCircuitBreaker::<u64>::builder("keyed").config(config).build().unwrap_err();
    assert_eq!(error.problems()[0].field(), "config.initial_state");
}

#[test]
fn nonsense_settings_are_refused_together() {
    let error = KeyedCircuitBreaker::<u64>::builder("").max_keys(0).max_open_fraction(f64::NAN).build().unwrap_err();
    let fields: Vec<_> = error.problems().iter().map(backstop::config::Problem::field).collect();
    assert_eq!(fields, ["name", "max_keys", "max_open_fraction"]);
}

/// Half-open rounds, streams, callers that leave: `half_open_traffic.rs` has the properties of the plain breaker.
#[test]
fn a_keys_circuit_decides_as_the_plain_breaker_does() {
    fn step<H: PermitOwner>(permits: &mut Vec<Permit<H>>, at: usize, how: u8) {
        match how {
            0 => permits.swap_remove(at).success(),
            1 => permits.swap_remove(at).failure(),
            2 => permits.swap_remove(at).ignore(),
            3 => drop(permits.swap_remove(at)),
            4 => permits[at].answered(),
            5 => {
                permits[at].answered();
                permits[at].streams();
            }
            _ => permits[at].awaits_frame(),
        }
    }
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (clock, time) = Clock::manual();
        let builder = CircuitBreakerConfig::builder().minimum_calls(10).consecutive_failures_threshold(5);
        let builder = builder.slow_call_duration_threshold(Duration::from_secs(5)).slow_call_rate_threshold(0.5);
        let window = [SlidingWindow::count(20), SlidingWindow::time(Duration::from_secs(60), 60)][rng.usize(..2)];
        let builder = builder.window(window).detect_slow_calls_in_flight(rng.bool());
        let config = builder.automatic_half_open(rng.bool()).build().unwrap();
        let plain = CircuitBreaker::builder("plain").clock(clock.clone()).build().unwrap();
        plain.reconfigure(config.clone());
        let keyed = KeyedCircuitBreaker::<u8>::builder("keyed").clock(clock).config(config).build().unwrap().key(&7);
        let (mut of_plain, mut of_keyed, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        let failing = rng.u8(1..6);
        for i in 0..3_000 {
            match rng.u8(..10) {
                0..5 => match (plain.try_acquire(), keyed.try_acquire()) {
                    (Ok(one), Ok(other)) => {
                        of_plain.push(one);
                        of_keyed.push(other);
                    }
                    (Err(one), Err(other)) => assert_eq!(one.retry_after(), other.retry_after()),
                    (one, other) => panic!("seed {seed}, step {i}: {one:?}, {other:?}"),
                },
                5..9 if !of_plain.is_empty() => {
                    let how = if rng.u8(..10) < failing { 1 } else { rng.u8(..7) };
                    let at = rng.usize(..of_plain.len());
                    step(&mut of_plain, at, how);
                    step(&mut of_keyed, at, how);
                }
                _ => time.advance(Duration::from_millis(rng.u64(..8_000))),
            }
            let both = (plain.state(), plain.snapshot());
            assert_eq!(both, (keyed.state(), keyed.snapshot()), "seed {seed}, step {i}");
            seen.insert(both.0);
        }
        assert_eq!(seen.len(), 3, "seed {seed}: closed, open and half-open: {seen:?}");
    }
}

/// A circuit that wants to open looks for places at those that have opened before, itself among them.
#[test]
fn circuits_that_open_again_while_all_places_are_taken_lock_nobody() {
    let (builder, time) = builder();
    let breakers = builder.max_open_fraction(0.5).build().unwrap();
    (0..300).for_each(|i| succeed(&breakers, &format!("k{i}"), 1));
    (0..150).for_each(|i| fail(&breakers, &format!("k{i}"), 10));
    time.advance(Duration::from_secs(5));
    for i in 0..150 {
        succeed(&breakers, &format!("k{i}"), 1);
        fail(&breakers, &format!("k{}", 150 + i), 10);
        fail(&breakers, &format!("k{i}"), 10);
    }
    assert!(breakers.open_len() <= 150, "{} open", breakers.open_len());
}
