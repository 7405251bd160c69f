//! failsafe: a mutex round a failure policy. Consecutive failures round a closure and round a
//! future, and its default, which adds a success rate over a time window.

use std::future::ready;
use std::hint::black_box;

use failsafe::backoff::{Constant, constant};
use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures, success_rate_over_time_window};
use failsafe::futures::CircuitBreaker as FutureBreaker;
use failsafe::{CircuitBreaker, Config, Error, FailurePolicy, StateMachine};
use std::time::Duration;

use crate::bare::{CallError, Message, drive, request};
use crate::subject::OPEN_TIME;
use crate::{Instance, Mechanism, Subject};

pub(super) const SUBJECTS: [Subject; 3] = [
    Subject {
        mechanism: Mechanism::CircuitBreaker,
        name: "failsafe",
        title: "failsafe 1.3, consecutive failures, closure",
        admits: Some(|| closed(consecutive())),
        rejects: Some(|| open(consecutive())),
    },
    Subject {
        mechanism: Mechanism::CircuitBreaker,
        name: "failsafe-future",
        title: "failsafe 1.3, consecutive failures, future",
        admits: Some(future_closed),
        rejects: Some(future_open),
    },
    Subject {
        mechanism: Mechanism::CircuitBreaker,
        name: "failsafe-default",
        title: "failsafe 1.3, default policy (rate or consecutive), closure",
        admits: Some(|| closed(rate_or_consecutive())),
        rejects: Some(|| open(rate_or_consecutive())),
    },
];

fn consecutive_policy() -> ConsecutiveFailures<Constant> {
    consecutive_failures(5, constant(OPEN_TIME))
}

fn consecutive() -> StateMachine<ConsecutiveFailures<Constant>, ()> {
    Config::new().failure_policy(consecutive_policy()).build()
}

/// What `Config::new()` builds, with its numbers, but a fixed open time.
fn rate_or_consecutive() -> StateMachine<impl FailurePolicy + Send + Sync + 'static, ()> {
    let rate = success_rate_over_time_window(0.8, 5, Duration::from_secs(30), constant(OPEN_TIME));
    Config::new().failure_policy(rate.or_else(consecutive_policy())).build()
}

fn closed<P: FailurePolicy + Send + Sync + 'static>(breaker: StateMachine<P, ()>) -> Instance {
    Instance::new(move || {
        let breaker = breaker.clone();
        move || {
            let answer = CircuitBreaker::call(&breaker, || Ok::<_, CallError>(request()));
            answer.map(black_box).is_ok()
        }
    })
}

fn open<P: FailurePolicy + Send + Sync + 'static>(breaker: StateMachine<P, ()>) -> Instance {
    Instance::tripped(move || {
        let breaker = breaker.clone();
        move || {
            let answer = CircuitBreaker::call(&breaker, || Err::<Message, _>(CallError::Failed));
            matches!(answer, Err(Error::Rejected))
        }
    })
}

fn future_closed() -> Instance {
    let breaker = consecutive();
    Instance::new(move || {
        let breaker = breaker.clone();
        move || drive(FutureBreaker::call(&breaker, ready(Ok::<_, CallError>(request())))).is_ok()
    })
}

fn future_open() -> Instance {
    let breaker = consecutive();
    Instance::tripped(move || {
        let breaker = breaker.clone();
        move || {
            let failure = ready(Err::<Message, _>(CallError::Failed));
            matches!(drive(FutureBreaker::call(&breaker, failure)), Err(Error::Rejected))
        }
    })
}
