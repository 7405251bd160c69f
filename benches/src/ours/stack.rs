//! Our own circuit breaker over our own bulkhead. It rejects where the bulkhead is full; the breaker does
//! not count that as a failure and stays closed.

use backstop::classify::Errors;
use backstop::reject::Mechanism as By;
use backstop::{Bulkhead, CircuitBreaker, Rejected, protect};
use tower_layer::Layer;

use super::{bulkhead, circuit_breaker, kill_switch};
use crate::bare::{Works, serve};
use crate::{Instance, Mechanism, Subject};

/// The rows of the table, in its order.
pub(super) fn subjects() -> Vec<Subject> {
    vec![
        Subject {
            mechanism: Mechanism::Stack,
            name: "ours-stack",
            title: "backstop, count window, leaked handles, two layers",
            admits: Some(|| admitting(&bulkhead::roomy().leak())),
            rejects: Some(|| rejecting(&bulkhead::full().leak())),
        },
        Subject {
            mechanism: Mechanism::Stack,
            name: "ours-stack-protect",
            title: "backstop, count window, leaked handles, `protect()`",
            admits: Some(|| protected(&circuit_breaker::count().leak(), &bulkhead::roomy().leak(), true)),
            rejects: Some(|| protected(&circuit_breaker::count().leak(), &bulkhead::full().leak(), false)),
        },
        Subject {
            mechanism: Mechanism::Stack,
            name: "ours-stack-protect-counted",
            title: "backstop, count window, counted handles, `protect()`",
            admits: Some(|| protected(&circuit_breaker::count(), &bulkhead::roomy(), true)),
            rejects: None,
        },
        Subject {
            mechanism: Mechanism::Stack,
            name: "ours-stack-switch",
            title: "backstop, count window, leaked handles, with a kill switch, `protect()`",
            admits: Some(|| switched(&circuit_breaker::count().leak(), &bulkhead::roomy().leak(), true)),
            rejects: Some(|| switched(&circuit_breaker::count().leak(), &bulkhead::full().leak(), false)),
        },
    ]
}

/// Both in one layer; what `admits` says is what every call has to do.
fn protected(breaker: &CircuitBreaker, bulkhead: &Bulkhead, admits: bool) -> Instance {
    let layer = protect().circuit_breaker(breaker).bulkhead(bulkhead).classify(Errors);
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok() == admits
    })
}

/// All three in one layer, the switch released.
fn switched(breaker: &CircuitBreaker, bulkhead: &Bulkhead, admits: bool) -> Instance {
    let switch = kill_switch::released();
    let layer = protect().kill_switch(&switch).circuit_breaker(breaker).bulkhead(bulkhead).classify(Errors);
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok() == admits
    })
}

fn admitting(bulkhead: &Bulkhead) -> Instance {
    let breaker = circuit_breaker::count().leak().layer().classify(Errors);
    let bulkhead = bulkhead.layer();
    Instance::new(move || {
        let mut service = breaker.layer(bulkhead.layer(Works));
        move || serve(&mut service).is_ok()
    })
}

fn rejecting(bulkhead: &Bulkhead) -> Instance {
    let breaker = circuit_breaker::count().leak().layer().classify(Errors);
    let bulkhead = bulkhead.layer();
    let by_bulkhead = |rejected: &Rejected| rejected.by() != By::CircuitBreaker;
    Instance::new(move || {
        let mut service = breaker.layer(bulkhead.layer(Works));
        move || serve(&mut service).is_err_and(|error| error.downcast_ref().is_some_and(by_bulkhead))
    })
}
