//! Classification of a plain call, by the type of its result.

use super::errors::of_error;
use super::{Classified, Classify};
use crate::outcome::{Outcome, Settle};
#[cfg(any(feature = "grpc", feature = "reqwest", feature = "hyper-util"))]
use std::any::Any;

/// Classifies as [`Errors`] does, but a result of reqwest, tonic or hyper by its own protocol, as [`Auto`] does: a plain
/// `call` of a client is judged by what was answered, also with a timeout around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByType;

impl<R: 'static, E: 'static> Classify<R, E> for ByType {
    unwatched!(R);

    fn classify(&self, result: &Result<R, E>) -> Classified {
        match result {
            Ok(value) => of_value(value).unwrap_or(Outcome::Success.into()),
            #[cfg(feature = "grpc")]
            Err(error) => match (error as &dyn Any).downcast_ref() {
                Some(status) => super::grpc::of_status(status),
                None => of_error(error).into(),
            },
            #[cfg(not(feature = "grpc"))]
            Err(error) => of_error(error).into(),
        }
    }
}

/// The outcome by a response of a client, or by its result within a timeout's.
#[cfg_attr(not(any(feature = "reqwest", feature = "hyper-util")), expect(unused_variables, reason = "no such client"))]
fn of_value<R: 'static>(value: &R) -> Option<Classified> {
    #[cfg(feature = "reqwest")]
    {
        use super::http::of_reqwest;
        type Within = Result<reqwest::Response, reqwest::Error>;
        let value = value as &dyn Any;
        if let Some(response) = value.downcast_ref() {
            return Some(of_reqwest(response));
        }
        if let Some(result) = value.downcast_ref::<Within>() {
            return Some(result.as_ref().map_or_else(|error| of_error(error).into(), of_reqwest));
        }
    }
    #[cfg(feature = "hyper-util")]
    {
        use super::http::of_hyper;
        type Response = http::Response<hyper::body::Incoming>;
        type Within = Result<Response, hyper_util::client::legacy::Error>;
        let value = value as &dyn Any;
        if let Some(response) = value.downcast_ref::<Response>() {
            return Some(of_hyper(response));
        }
        if let Some(result) = value.downcast_ref::<Within>() {
            return Some(result.as_ref().map_or_else(|error| of_error(error).into(), of_hyper));
        }
    }
    None
}
