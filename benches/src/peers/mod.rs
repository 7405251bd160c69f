//! The peers.
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

use crate::Subject;

/// Their rows, in the order of the tables.
pub fn subjects() -> Vec<Subject> {
    let mut subjects = vec![tower_resilience::CIRCUIT_BREAKER];
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
