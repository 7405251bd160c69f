//! seatbelt: its breaker as a Tower service, and in its own pipeline. Telemetry is off.

use std::sync::Arc;
use std::task::Waker;

use layered::{Execute, Service as _};
use seatbelt::breaker::{Breaker, BreakerLayer};
use seatbelt::{RecoveryInfo, ResilienceContext};
use tick::runtime::InactiveClock;
use tower_layer::Layer;

use crate::bare::{CallError, Fails, Message, Works, drive, request, serve};
use crate::subject::OPEN_TIME;
use crate::{Instance, Mechanism, Subject};

pub(super) const SUBJECTS: [Subject; 2] = [
    Subject {
        mechanism: Mechanism::CircuitBreaker,
        name: "seatbelt",
        title: "seatbelt 0.11, Tower path, no telemetry",
        admits: Some(tower_closed),
        rejects: Some(tower_open),
    },
    Subject {
        mechanism: Mechanism::CircuitBreaker,
        name: "seatbelt-pipeline",
        title: "seatbelt 0.11, its own pipeline, no telemetry",
        admits: Some(pipeline_closed),
        rejects: Some(pipeline_open),
    },
];

type Answer = Result<Message, CallError>;

fn layer() -> BreakerLayer<Message, Answer> {
    // The system clock. Nobody drives its timers: the breaker only reads the time.
    let (clock, _driver) = InactiveClock::new_shared().activate(Waker::noop().clone());
    Breaker::layer("payments", &ResilienceContext::new(&clock))
        .recovery_with(|answer: &Answer, _| match answer {
            Ok(_) => RecoveryInfo::never(),
            Err(_) => RecoveryInfo::retry(),
        })
        .rejected_input_error(|_, _| CallError::Refused)
        .break_duration(OPEN_TIME)
}

fn tower_closed() -> Instance {
    let service = layer().layer(Works);
    Instance::new(move || {
        let mut service = service.clone();
        move || serve(&mut service).is_ok()
    })
}

fn tower_open() -> Instance {
    let service = layer().layer(Fails);
    Instance::tripped(move || {
        let mut service = service.clone();
        move || serve(&mut service) == Err(CallError::Refused)
    })
}

fn pipeline_closed() -> Instance {
    let service = Arc::new(layer().layer(Execute::new(async |message| Answer::Ok(message))));
    Instance::new(move || {
        let service = Arc::clone(&service);
        move || drive(service.execute(request())).is_ok()
    })
}

fn pipeline_open() -> Instance {
    let service = Arc::new(layer().layer(Execute::new(async |_| Answer::Err(CallError::Failed))));
    Instance::tripped(move || {
        let service = Arc::clone(&service);
        move || drive(service.execute(request())) == Err(CallError::Refused)
    })
}
