//! Keyed breakers whose keys come from a client that means harm, and the work of a call among many keys.

use backstop::bulkhead::BulkheadConfig;
use backstop::bulkhead::keyed::KeyedBulkhead;
use backstop::circuit_breaker::keyed::{KeyHandle, KeyedCircuitBreaker};
use backstop::circuit_breaker::{CircuitBreakerConfig, Permit, State};
use backstop::clock::{Clock, ManualClock};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn breakers() -> (KeyedCircuitBreaker<u64>, ManualClock) {
    let (clock, time) = Clock::manual();
    time.advance(SECOND);
    (KeyedCircuitBreaker::builder("hosts").clock(clock).build().unwrap(), time)
}

/// Fills the table with keys of one bad call each.
fn fill(breakers: &KeyedCircuitBreaker<u64>, end: fn(Permit<KeyHandle<u64>>)) {
    for key in 0..12_000 {
        let _ = breakers.key(&key).try_acquire().map(end); // the last find no room, and open the overflow
    }
}

/// Each key learns how long its answers take.
#[test]
fn a_slow_key_beside_fast_ones_waits_and_hangs_as_a_breaker_of_its_own() {
    let (clock, time) = Clock::manual();
    let five = CircuitBreakerConfig::builder().consecutive_failures_threshold(5).build().unwrap();
    let breakers = KeyedCircuitBreaker::<&str>::builder("hosts").clock(clock).config(five).build().unwrap();
    let call = |key, lasts| {
        let permit = breakers.key(key).try_acquire().unwrap();
        time.advance(lasts);
        permit
    };
    let millisecond = Duration::from_millis(1);
    (0..3).for_each(|_| call(&"slow", 2 * SECOND).success());
    (0..1_000).for_each(|_| call(&"fast", 5 * millisecond).success());
    (0..10).for_each(|_| drop(call(&"slow", 300 * millisecond)));
    assert_eq!(breakers.not_closed(), []);
    (0..50).for_each(|_| call(&"slow", 2 * SECOND).success());
    (0..5).for_each(|_| drop(call(&"fast", 100 * millisecond)));
    assert_eq!(breakers.not_closed(), [(Some("fast"), State::Open)]);
}

#[test]
fn keys_with_one_bad_call_each_do_not_end_the_isolation_of_new_ones() {
    for (idle, end) in [
        (10 * SECOND, Permit::failure as fn(Permit<KeyHandle<u64>>)),
        (60 * SECOND, drop),
        (365 * 86_400 * SECOND, Permit::failure),
    ] {
        let (breakers, time) = breakers();
        fill(&breakers, end);
        time.advance(idle);
        let overflowed = breakers.overflowed();
        for key in 20_000..20_400 {
            breakers.key(&key).try_acquire().unwrap().failure();
        }
        assert!(breakers.key(&30_000).try_acquire().is_ok());
        assert_eq!(breakers.overflowed(), overflowed, "each has a circuit of its own");
        assert!(breakers.len() <= 10_000);
    }
}

#[test]
fn a_stream_of_bad_keys_leaves_isolation_and_open_circuits_alone() {
    let (breakers, time) = breakers();
    for _ in 0..200 {
        let _ = breakers.key(&u64::MAX).try_acquire().map(Permit::failure);
    }
    let failing = breakers.key(&u64::MAX).state();
    for key in 0..40_000 {
        breakers.key(&key).try_acquire().unwrap().failure();
        time.advance(SECOND / 1_000);
    }
    assert_eq!((failing, breakers.get(&u64::MAX).unwrap().state()), (State::Open, State::Open));
    assert_eq!((breakers.overflowed(), breakers.not_closed().len()), (0, 1));
}

#[test]
fn gone_hosts_give_their_places_back_however_many_there_are() {
    let (clock, time) = Clock::manual();
    let config = CircuitBreakerConfig::builder().consecutive_failures_threshold(1).minimum_calls(1).build().unwrap();
    let builder = KeyedCircuitBreaker::<u64>::builder("gone").config(config).clock(clock).max_open_fraction(0.5);
    let breakers = builder.build().unwrap();
    for key in 0..2_000 {
        breakers.key(&key).try_acquire().unwrap().success();
    }
    let fail = |key: u64| breakers.key(&key).try_acquire().map_or((), Permit::failure);
    (0..1_000).for_each(fail);
    assert_eq!(breakers.open_len(), 1_000);
    time.advance(3_600 * SECOND);
    (1_000..1_500).for_each(fail);
    let open = breakers.not_closed().into_iter().filter(|(key, _)| key.is_some_and(|key| key >= 1_000)).count();
    assert_eq!((open, breakers.suppressed()), (500, 0));
    breakers.publish();
    assert!(breakers.open_len() < 1_000, "{}", breakers.open_len());
}

/// The time of the fastest of many calls that do the group's work.
fn fastest(mut call: impl FnMut()) -> Duration {
    let time = |()| {
        let begin = Instant::now();
        call();
        begin.elapsed()
    };
    std::iter::repeat_n((), 200).map(time).min().unwrap()
}

#[test]
fn a_call_among_many_keys_does_as_much_work_as_among_few() {
    let [few, many] = [1_000, 200_000].map(|keys| {
        let (clock, time) = Clock::manual();
        let builder = KeyedCircuitBreaker::<u64>::builder("many").clock(clock).max_keys(400_000).max_open_fraction(0.1);
        let breakers = builder.build().unwrap();
        for key in 0..keys {
            breakers.key(&key).try_acquire().unwrap().success();
        }
        breakers.key(&0).trip("test");
        let mut key = 0;
        fastest(|| {
            time.advance(2 * SECOND);
            key += 1;
            breakers.key(&key).try_acquire().unwrap().failure(); // publishes, and looks for dead circuits
        })
    });
    assert!(many < 30 * few, "{many:?}, {few:?} among few");
}

#[test]
fn a_publication_of_many_bulkheads_does_as_much_work_as_of_few() {
    let config = BulkheadConfig::builder().max_hold(60 * SECOND).build().unwrap();
    let [few, many] = [1_000, 200_000].map(|keys| {
        let builder = KeyedBulkhead::<u64>::builder("many").config(config.clone()).max_keys(400_000);
        let bulkheads = builder.build().unwrap();
        for key in 0..keys {
            drop(bulkheads.key(&key).try_acquire().unwrap());
        }
        fastest(|| (0..1_024).for_each(|_| drop(bulkheads.key(&1).try_acquire().unwrap())))
    });
    assert!(many < 30 * few, "{many:?}, {few:?} among few");
}
