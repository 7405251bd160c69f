//! Outcomes of errors.

use crate::outcome::{Classification, Outcome, of_opaque_error};
use crate::reject::{Rejected, causes};

/// Classifies an error: a failure, unless an inner layer refused the call or the request itself was at fault. One that
/// reqwest made of a response has the outcome of its status.
pub(crate) fn of_error<E: 'static>(error: &E) -> Classification {
    let Some(error) = causes::as_error(error) else { return of_opaque_error() };
    if causes::is_local(error) {
        return ignored(error);
    }
    #[cfg(feature = "reqwest")]
    if let Some(status) = causes::status_of_reqwest(error) {
        return super::status::of_status_alone(status);
    }
    Outcome::Failure.into()
}

/// Classifies an error that says nothing about the dependency; a rejection says which mechanism it is of.
pub(super) fn ignored(error: &(dyn std::error::Error + 'static)) -> Classification {
    match Rejected::find(error) {
        Some(rejected) => Classification::rejected(rejected.by() as u8),
        None => Outcome::Ignored.into(),
    }
}
