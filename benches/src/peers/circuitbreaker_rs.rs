//! circuitbreaker-rs: counters in atomics, two clock reads a call, round a closure.

use std::hint::black_box;

use circuitbreaker_rs::{BreakerError, CircuitBreaker, DefaultPolicy};

use crate::bare::{CallError, Message, request};
use crate::subject::OPEN_TIME;
use crate::{Instance, Mechanism, Subject};

pub(super) const SUBJECT: Subject = Subject {
    mechanism: Mechanism::CircuitBreaker,
    name: "circuitbreaker-rs",
    title: "circuitbreaker-rs 0.1, closure",
    admits: Some(closed),
    rejects: Some(open),
};

fn breaker() -> CircuitBreaker<DefaultPolicy, CallError> {
    CircuitBreaker::<DefaultPolicy, CallError>::builder().cooldown(OPEN_TIME).build()
}

fn closed() -> Instance {
    let breaker = breaker();
    Instance::new(move || {
        let breaker = breaker.clone();
        move || breaker.call(|| Ok(request())).map(black_box).is_ok()
    })
}

fn open() -> Instance {
    let breaker = breaker();
    Instance::tripped(move || {
        let breaker = breaker.clone();
        move || {
            let answer = breaker.call(|| Err::<Message, _>(CallError::Failed));
            matches!(answer, Err(BreakerError::Open))
        }
    })
}
