//! Outcomes of HTTP statuses.

use crate::outcome::Side::{self, Inbound, Outbound};
use crate::outcome::{Classification, Outcome};
use http::StatusCode;

pub(super) fn of_status(status: StatusCode, side: Side) -> Outcome {
    match status.as_u16() {
        500.. => Outcome::Failure,
        408 | 429 if side == Outbound => Outcome::Failure,
        408 | 429 | 499 if side == Inbound => Outcome::Ignored, // the client was slow, asked too often, or has left
        _ => Outcome::Success,
    }
}

/// A success by the head: with a 4xx, by the caller's fault.
pub(super) fn well(status: StatusCode) -> Classification {
    let success = Classification::new(Outcome::Success);
    if status.is_client_error() { success.by_caller() } else { success }
}

/// The outcome of an answer of which the status is known alone.
#[cfg(feature = "reqwest")]
pub(super) fn of_status_alone(status: StatusCode) -> Classification {
    match of_status(status, Outbound) {
        Outcome::Success => well(status),
        outcome => outcome.into(),
    }
}
