//! An error and its causes, also those that its type hides.

use super::call_error::{CallError, source_inside};
use super::{BoxError, Rejected};
use std::any::Any;
use std::error::Error;

impl Rejected {
    /// Finds a rejection in an error or among its sources.
    ///
    /// It also looks into `std::io::Error`, which leaves the error that it wraps out of the chain of sources.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        of(error).find_map(<dyn Error>::downcast_ref)
    }
}

/// The error and its causes, the outermost first.
pub(crate) fn of<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // It leaves the error that it wraps out of its sources.
    if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        return Some(inner as _);
    }
    // It is transparent: its source is that of the error inside.
    #[cfg(feature = "reqwest-middleware")]
    match error.downcast_ref() {
        Some(reqwest_middleware::Error::Middleware(inner)) => return Some(&**inner as _),
        Some(reqwest_middleware::Error::Reqwest(inner)) => return Some(inner as _),
        None => {}
    }
    source_inside(error)
}

/// The value as an error, if its type is one of those known to wrap others.
pub(crate) fn as_error(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    macro_rules! first_of {
        ($($type:ty),* $(,)?) => {
            None $(.or_else(|| plain::<$type>(error)).or_else(|| called::<$type>(error)))*
        };
    }
    let known = first_of!(std::io::Error, Rejected, tower::load_shed::error::Overloaded)
        .or_else(|| dynamic(error))
        .or_else(|| match error.downcast_ref::<CallError<BoxError>>()? {
            CallError::Rejected(rejected) => Some(rejected as _),
            CallError::Inner(error) => Some(&**error as _),
        });
    #[cfg(feature = "anyhow")]
    let known = known.or_else(|| match error.downcast_ref::<CallError<anyhow::Error>>()? {
        CallError::Rejected(rejected) => Some(rejected as _),
        CallError::Inner(error) => Some(&**error as _),
    });
    #[cfg(feature = "http")]
    let known = known.or_else(|| first_of!(hyper::Error));
    #[cfg(feature = "grpc")]
    let known = known.or_else(|| first_of!(tonic::Status));
    #[cfg(feature = "hyper-util")]
    let known = known.or_else(|| first_of!(hyper_util::client::legacy::Error));
    #[cfg(feature = "reqwest")]
    let known = known.or_else(|| first_of!(reqwest::Error));
    #[cfg(feature = "reqwest-middleware")]
    let known = known.or_else(|| first_of!(reqwest_middleware::Error));
    #[cfg(feature = "axum-core")]
    let known = known.or_else(|| first_of!(axum_core::Error));
    known
}

/// Downcasts `Box<dyn Error>`, which does not implement `Error` itself.
fn dynamic(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    #[cfg(feature = "anyhow")]
    if let Some(error) = error.downcast_ref::<anyhow::Error>() {
        return Some(&**error as _);
    }
    None.or_else(|| error.downcast_ref::<BoxError>().map(|error| &**error as _))
        .or_else(|| error.downcast_ref::<Box<dyn Error + Send>>().map(|error| &**error as _))
        .or_else(|| error.downcast_ref::<Box<dyn Error>>().map(|error| &**error as _))
}

fn plain<E: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<E>().map(|error| error as _)
}

/// The error of a call through another mechanism.
fn called<E: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    plain::<CallError<E>>(error)
}

/// Returns whether the error says nothing about the dependency: a refusal on this side of it, or a fault of the
/// request's own.
pub(crate) fn is_local(error: &(dyn Error + 'static)) -> bool {
    of(error).any(|cause| {
        let is_refusal = cause.is::<Rejected>() || cause.is::<tower::load_shed::error::Overloaded>();
        is_refusal || is_own_fault(cause) || is_overloaded_status(cause)
    })
}

/// Returns whether tonic made the status of tower's `Overloaded`, which it drops (0.14). One that a server sent has its
/// headers as metadata.
#[cfg(feature = "grpc")]
fn is_overloaded_status(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<tonic::Status>().is_some_and(|status| {
        let is_of_tonic = status.message() == "Too many active requests for the connection";
        status.code() == tonic::Code::ResourceExhausted && is_of_tonic && status.metadata().is_empty()
    })
}

#[cfg(not(feature = "grpc"))]
fn is_overloaded_status(_: &(dyn Error + 'static)) -> bool {
    false
}

/// Returns whether the request could not be built or its own body broke off.
#[cfg(feature = "http")]
fn is_own_fault(cause: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "reqwest")]
    if cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_builder) {
        return true;
    }
    cause.downcast_ref::<hyper::Error>().is_some_and(|error| {
        // Over HTTP/2 the stream is reset on this side; its error's type is in a crate that this one does not need. Over
        // HTTP/1 hyper (1.12) breaks an answer that has begun with one text, whichever side's fault it is.
        let is_ours = |source: &dyn Error| source.to_string().starts_with("stream error sent by user");
        error.is_user() || error.source().is_some_and(is_ours)
    })
}

/// The status of a response that reqwest made an error of.
#[cfg(feature = "reqwest")]
pub(crate) fn status_of_reqwest(error: &(dyn Error + 'static)) -> Option<http::StatusCode> {
    of(error).find_map(|cause| cause.downcast_ref::<reqwest::Error>()?.status())
}

#[cfg(not(feature = "http"))]
fn is_own_fault(_: &(dyn Error + 'static)) -> bool {
    false
}
