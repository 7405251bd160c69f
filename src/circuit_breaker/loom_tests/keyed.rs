//! A group of circuits.

use super::{OPEN_TIME, model};
use crate::circuit_breaker::config::CircuitBreakerConfig;
use crate::circuit_breaker::keyed::KeyedCircuitBreaker;
use crate::circuit_breaker::permit::Permit;
use crate::circuit_breaker::state::State;
use crate::clock::Clock;
use loom::thread;

#[test]
fn loom_a_key_that_is_called_while_it_is_forgotten_is_counted_once() {
    model(3, || {
        let config = CircuitBreakerConfig::builder()
            .consecutive_failures_threshold(1)
            .open_time(OPEN_TIME)
            .half_open_timeout(OPEN_TIME)
            .half_open_max_calls(1);
        let (clock, time) = Clock::manual();
        let breakers =
            KeyedCircuitBreaker::builder("loom").clock(clock).config(config.build().expect("valid settings"));
        let breakers = breakers.build().expect("valid settings");
        breakers.key(&1).try_acquire().expect("closed").failure();
        time.advance(3 * OPEN_TIME);
        let called = breakers.clone();
        let call = thread::spawn(move || called.key(&1).try_acquire().map(Permit::success));
        breakers.publish(); // forgets circuits that get no calls
        call.join().expect("no panic").expect("a probe, or a call of a new circuit");
        assert_eq!((breakers.open_len(), breakers.key(&1).state()), (0, State::Closed));
    });
}
