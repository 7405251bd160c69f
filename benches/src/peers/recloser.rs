//! recloser: a ring of the last calls behind a spin lock. Round a closure and round a future.

use std::future::ready;
use std::hint::black_box;
use std::sync::Arc;

use recloser::{AsyncRecloser, Error, Recloser};

use crate::bare::{CallError, Message, drive, request};
use crate::subject::OPEN_TIME;
use crate::{Instance, Mechanism, Subject};

pub(super) const SUBJECTS: [Subject; 2] = [
    Subject {
        mechanism: Mechanism::CircuitBreaker,
        name: "recloser",
        title: "recloser 1.4, closure",
        admits: Some(closed),
        rejects: Some(open),
    },
    Subject {
        mechanism: Mechanism::CircuitBreaker,
        name: "recloser-future",
        title: "recloser 1.4, future",
        admits: Some(future_closed),
        rejects: Some(future_open),
    },
];

fn breaker() -> Recloser {
    Recloser::custom().open_wait(OPEN_TIME).build()
}

fn closed() -> Instance {
    let breaker = Arc::new(breaker());
    Instance::new(move || {
        let breaker = Arc::clone(&breaker);
        move || breaker.call(|| Ok::<_, CallError>(request())).map(black_box).is_ok()
    })
}

fn open() -> Instance {
    let breaker = Arc::new(breaker());
    Instance::tripped(move || {
        let breaker = Arc::clone(&breaker);
        move || {
            let answer = breaker.call(|| Err::<Message, _>(CallError::Failed));
            matches!(answer, Err(Error::Rejected))
        }
    })
}

fn future_closed() -> Instance {
    let breaker = AsyncRecloser::from(breaker());
    Instance::new(move || {
        let breaker = breaker.clone();
        move || drive(breaker.call(ready(Ok::<_, CallError>(request())))).is_ok()
    })
}

fn future_open() -> Instance {
    let breaker = AsyncRecloser::from(breaker());
    Instance::tripped(move || {
        let breaker = breaker.clone();
        move || {
            let answer = drive(breaker.call(ready(Err::<Message, _>(CallError::Failed))));
            matches!(answer, Err(Error::Rejected))
        }
    })
}
