//! tower: `ConcurrencyLimit`, which waits for room in `poll_ready`, and under `LoadShed`, which then rejects.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::load_shed::error::Overloaded;

use crate::bare::{Hangs, Works, occupy, serve};
use crate::subject::LIMIT;
use crate::{Instance, Mechanism, Subject};

pub(super) const SUBJECTS: [Subject; 2] = [
    Subject {
        mechanism: Mechanism::Bulkhead,
        name: "tower-bulkhead",
        title: "tower 0.5 `ConcurrencyLimit`",
        admits: Some(admitting),
        rejects: None,
    },
    Subject {
        mechanism: Mechanism::Bulkhead,
        name: "tower-bulkhead-shed",
        title: "tower 0.5 `LoadShed<ConcurrencyLimit>`",
        admits: Some(shed_admitting),
        rejects: Some(shed_rejecting),
    },
];

fn admitting() -> Instance {
    let semaphore = Arc::new(Semaphore::new(LIMIT.into()));
    Instance::new(move || {
        let mut service = ConcurrencyLimit::with_semaphore(Works, Arc::clone(&semaphore));
        move || serve(&mut service).is_ok()
    })
}

fn shed_admitting() -> Instance {
    let semaphore = Arc::new(Semaphore::new(LIMIT.into()));
    Instance::new(move || {
        let mut service = LoadShed::new(ConcurrencyLimit::with_semaphore(Works, Arc::clone(&semaphore)));
        move || serve(&mut service).is_ok()
    })
}

fn shed_rejecting() -> Instance {
    let semaphore = Arc::new(Semaphore::new(1));
    occupy(ConcurrencyLimit::with_semaphore(Hangs, Arc::clone(&semaphore)));
    Instance::new(move || {
        let mut service = LoadShed::new(ConcurrencyLimit::with_semaphore(Works, Arc::clone(&semaphore)));
        move || serve(&mut service).is_err_and(|error| error.is::<Overloaded>())
    })
}
