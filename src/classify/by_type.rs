//! Classification of a plain call, by the type of its result.

use super::{Classified, Classify, of_error};
use crate::outcome::{Outcome, Settle};
#[cfg(any(feature = "grpc", feature = "reqwest"))]
use std::any::Any;

/// Classifies as [`Errors`] does, but a result of reqwest or tonic by its own protocol, as [`Auto`] does: a plain
/// `call` of a client is judged by what was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByType;

impl<R: 'static, E: 'static> Classify<R, E> for ByType {
    unwatched!(R);

    fn classify(&self, result: &Result<R, E>) -> Classified {
        match result {
            #[cfg(feature = "reqwest")]
            Ok(response) => match (response as &dyn Any).downcast_ref() {
                Some(response) => super::http::of_reqwest(response),
                None => Outcome::Success.into(),
            },
            #[cfg(not(feature = "reqwest"))]
            Ok(_) => Outcome::Success.into(),
            #[cfg(feature = "grpc")]
            Err(error) => match (error as &dyn Any).downcast_ref() {
                Some(status) => super::grpc::of_status(status),
                None => of_error(error),
            },
            #[cfg(not(feature = "grpc"))]
            Err(error) => of_error(error),
        }
    }
}
