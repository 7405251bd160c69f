//! Our own circuit breaker over our own bulkhead. It rejects where the bulkhead is full; the breaker does
//! not count that as a failure and stays closed.

use backstop::classify::Errors;
use backstop::reject::Mechanism as By;
use backstop::{Bulkhead, Rejected};
use tower_layer::Layer;

use super::{bulkhead, circuit_breaker};
use crate::bare::{Works, serve};
use crate::{Instance, Mechanism, Subject};

/// The rows of the table, in its order.
pub(super) fn subjects() -> Vec<Subject> {
    vec![Subject {
        mechanism: Mechanism::Stack,
        name: "ours-stack",
        title: "backstop, count window, leaked handles",
        admits: Some(|| admitting(&bulkhead::roomy().leak())),
        rejects: Some(|| rejecting(&bulkhead::full().leak())),
    }]
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
