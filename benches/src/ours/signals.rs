//! Our own signals: a layer that counts each request with its outcome and latency.

use backstop::Signals;
use backstop::classify::Errors;
use tower_layer::Layer;

use crate::bare::{Message, Works, serve};
use crate::{Instance, Mechanism, Subject};

/// The rows of the table, in its order.
pub(super) fn subjects() -> Vec<Subject> {
    vec![
        Subject {
            mechanism: Mechanism::Signals,
            name: "ours-signals-static",
            title: "backstop, leaked handle",
            admits: Some(|| layered(&one().leak())),
            rejects: None,
        },
        Subject {
            mechanism: Mechanism::Signals,
            name: "ours-signals",
            title: "backstop",
            admits: Some(|| layered(&one())),
            rejects: None,
        },
        Subject {
            mechanism: Mechanism::Signals,
            name: "ours-signals-segments",
            title: "backstop, leaked handle, 8 segments",
            admits: Some(segmented),
            rejects: None,
        },
    ]
}

/// One service.
pub(crate) fn one() -> Signals {
    Signals::new("bench")
}

fn layered(signals: &Signals) -> Instance {
    let layer = signals.layer().classify(Errors);
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok()
    })
}

fn segmented() -> Instance {
    let names = (0..8).map(|number| format!("segment-{number}"));
    let signals = Signals::builder("bench").segments(names).build().expect("the names differ").leak();
    let layer = signals.layer().segment(|_: &Message| "segment-7").classify(Errors);
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok()
    })
}
