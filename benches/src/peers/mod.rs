//! The peers, and the bare service that they are compared with.
//!
//! Every breaker runs with its own default window and thresholds; only the open time is set. Every
//! bulkhead has the same limit.

mod by_hand;
mod circuitbreaker_rs;
mod failsafe;
mod open_feature;
mod recloser;
mod seatbelt;
mod tower;
pub(crate) mod tower_resilience;

use crate::bare::{Works, serve};
use crate::{Instance, Mechanism, Subject};

/// The bare service first, then the peers.
pub fn subjects() -> Vec<Subject> {
    let mut subjects = vec![Subject {
        mechanism: Mechanism::Bare,
        name: "bare",
        title: "bare Tower service",
        admits: Some(|| {
            Instance::new(|| {
                let mut service = Works;
                move || serve(&mut service).is_ok()
            })
        }),
        rejects: None,
    }];
    subjects.push(tower_resilience::CIRCUIT_BREAKER);
    subjects.extend(seatbelt::SUBJECTS);
    subjects.extend(recloser::SUBJECTS);
    subjects.extend(failsafe::SUBJECTS);
    subjects.push(circuitbreaker_rs::SUBJECT);
    subjects.extend(tower::SUBJECTS);
    subjects.push(tower_resilience::BULKHEAD);
    subjects.extend(by_hand::SUBJECTS);
    subjects.push(tower_resilience::STACK);
    subjects.push(open_feature::SUBJECT);
    subjects
}
