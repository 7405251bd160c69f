//! Our own bulkhead: counted and leaked handle, the ways to refuse, without Tower, and with a queue that
//! stays empty.

use std::hint::black_box;
use std::mem;
use std::time::Duration;

use backstop::bulkhead::BulkheadLayer;
use backstop::{Bulkhead, Rejected};
use tower_layer::Layer;

use super::REFUSED;
use crate::bare::{Works, request, serve};
use crate::subject::LIMIT;
use crate::{Instance, Mechanism, Subject};

/// The rows of the table, in its order.
pub(super) fn subjects() -> Vec<Subject> {
    vec![
        Subject {
            mechanism: Mechanism::Bulkhead,
            name: "ours-bulkhead",
            title: "backstop, counted handle",
            admits: Some(|| admitting(&roomy().layer())),
            rejects: Some(|| rejecting(&full().layer())),
        },
        Subject {
            mechanism: Mechanism::Bulkhead,
            name: "ours-bulkhead-static",
            title: "backstop, leaked handle",
            admits: Some(|| admitting(&roomy().leak().layer())),
            rejects: Some(|| rejecting(&full().leak().layer())),
        },
        Subject {
            mechanism: Mechanism::Bulkhead,
            name: "ours-bulkhead-queue",
            title: "backstop, leaked handle, a second's queue that stays empty",
            admits: Some(|| admitting(&queueing().leak().layer())),
            rejects: None,
        },
        Subject {
            mechanism: Mechanism::Bulkhead,
            name: "ours-bulkhead-responder",
            title: "backstop, leaked handle, refusing by closure",
            admits: Some(|| answered_admitting(&roomy().leak())),
            rejects: Some(|| answered_rejecting(&full().leak())),
        },
        Subject {
            mechanism: Mechanism::Bulkhead,
            name: "ours-bulkhead-permit",
            title: "backstop, leaked handle, permit without Tower",
            admits: Some(|| permit_admitting(roomy().leak())),
            rejects: Some(|| permit_rejecting(full().leak())),
        },
    ]
}

pub(crate) fn roomy() -> Bulkhead {
    Bulkhead::builder("payments").max_concurrent_calls(LIMIT.into()).build().expect("the settings are in their ranges")
}

fn queueing() -> Bulkhead {
    let builder = Bulkhead::builder("payments").max_concurrent_calls(LIMIT.into());
    builder.max_wait(Duration::from_secs(1)).build().expect("the settings are in their ranges")
}

/// One whose only permit is held for the rest of the process.
pub(super) fn full() -> Bulkhead {
    let bulkhead = Bulkhead::builder("payments").max_concurrent_calls(1).build();
    let bulkhead = bulkhead.expect("the settings are in their ranges");
    mem::forget(bulkhead.try_acquire().expect("the first permit is free"));
    bulkhead
}

fn admitting(layer: &BulkheadLayer) -> Instance {
    let layer = layer.clone();
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok()
    })
}

/// Refuses with a boxed error, as a layer without a responder does.
fn rejecting(layer: &BulkheadLayer) -> Instance {
    let layer = layer.clone();
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_err_and(|error| error.is::<Rejected>())
    })
}

fn answered_admitting(bulkhead: &Bulkhead) -> Instance {
    let layer = bulkhead.layer().respond_with(|_: &Rejected| REFUSED);
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok_and(|answer| answer != REFUSED)
    })
}

/// Refuses with a response that a closure makes: nothing is boxed.
fn answered_rejecting(bulkhead: &Bulkhead) -> Instance {
    let layer = bulkhead.layer().respond_with(|_: &Rejected| REFUSED);
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service) == Ok(REFUSED)
    })
}

fn permit_admitting(bulkhead: Bulkhead) -> Instance {
    Instance::new(move || {
        let bulkhead = bulkhead.clone();
        move || {
            let permit = bulkhead.try_acquire();
            black_box(request());
            permit.is_ok()
        }
    })
}

fn permit_rejecting(bulkhead: Bulkhead) -> Instance {
    Instance::new(move || {
        let bulkhead = bulkhead.clone();
        move || bulkhead.try_acquire().is_err()
    })
}
