//! Our own circuit breaker: count and time window, counted and leaked handle, slow-call timing, and
//! the ways to refuse.

use std::time::Duration;

use backstop::circuit_breaker::{CircuitBreakerBuilder, SlidingWindow};
use backstop::classify::Errors;
use backstop::config::Named;
use backstop::{CircuitBreaker, Rejected};
use tower_layer::Layer;

use super::REFUSED;
use crate::bare::{Fails, Works, serve};
use crate::subject::OPEN_TIME;
use crate::{Instance, Mechanism, Subject};

/// The rows of the table, in its order.
pub(super) fn subjects() -> Vec<Subject> {
    vec![
        Subject {
            mechanism: Mechanism::CircuitBreaker,
            name: "ours-count",
            title: "backstop, count window, counted handle",
            admits: Some(|| closed(&count())),
            rejects: Some(|| open(&count())),
        },
        Subject {
            mechanism: Mechanism::CircuitBreaker,
            name: "ours-count-static",
            title: "backstop, count window, leaked handle",
            admits: Some(|| closed(&count().leak())),
            rejects: Some(|| open(&count().leak())),
        },
        Subject {
            mechanism: Mechanism::CircuitBreaker,
            name: "ours-time",
            title: "backstop, time window, counted handle",
            admits: Some(|| closed(&time())),
            rejects: Some(|| open(&time())),
        },
        Subject {
            mechanism: Mechanism::CircuitBreaker,
            name: "ours-time-static",
            title: "backstop, time window, leaked handle",
            admits: Some(|| closed(&time().leak())),
            rejects: Some(|| open(&time().leak())),
        },
        Subject {
            mechanism: Mechanism::CircuitBreaker,
            name: "ours-slow-calls",
            title: "backstop, time window, slow-call timing, leaked handle",
            admits: Some(|| closed(&slow_calls().leak())),
            rejects: None,
        },
        Subject {
            mechanism: Mechanism::CircuitBreaker,
            name: "ours-responder",
            title: "backstop, count window, leaked handle, refusing by closure",
            admits: Some(|| closed(&count().leak())),
            rejects: Some(|| open_answered(&count().leak())),
        },
    ]
}

fn builder(window: SlidingWindow) -> CircuitBreakerBuilder<Named> {
    CircuitBreaker::builder("payments").window(window).open_time(OPEN_TIME)
}

fn build(builder: CircuitBreakerBuilder<Named>) -> CircuitBreaker {
    builder.build().expect("the settings are in their ranges")
}

pub(crate) fn count() -> CircuitBreaker {
    build(builder(SlidingWindow::count(100)))
}

fn time() -> CircuitBreaker {
    build(builder(SlidingWindow::time(Duration::from_secs(30), 10)))
}

fn slow_calls() -> CircuitBreaker {
    build(
        builder(SlidingWindow::time(Duration::from_secs(30), 10))
            .slow_call_duration_threshold(Duration::from_secs(2))
            .slow_call_rate_threshold(0.8),
    )
}

fn closed(breaker: &CircuitBreaker) -> Instance {
    let layer = breaker.layer().classify(Errors);
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok()
    })
}

/// Refuses with a boxed error, as a layer without a responder does.
fn open(breaker: &CircuitBreaker) -> Instance {
    let layer = breaker.layer().classify(Errors);
    Instance::tripped(move || {
        let mut service = layer.layer(Fails);
        move || serve(&mut service).is_err_and(|error| error.is::<Rejected>())
    })
}

/// Refuses with a response that a closure makes: nothing is boxed.
fn open_answered(breaker: &CircuitBreaker) -> Instance {
    let layer = breaker.layer().classify(Errors).respond_with(|_: &Rejected| REFUSED);
    Instance::tripped(move || {
        let mut service = layer.layer(Fails);
        move || serve(&mut service) == Ok(REFUSED)
    })
}
