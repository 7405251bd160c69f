//! Parts that the services and futures of several mechanisms share.

mod call;
mod deferred;
mod service;
mod state;

pub(crate) use call::{Judged, has_failed, poll_call, settle_broken};
pub(crate) use deferred::{Admission, Progress};
pub(crate) use service::wrapper;
pub(crate) use state::{State, StateProjected};
