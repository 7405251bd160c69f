//! Parts that the services and futures of several mechanisms share.

mod accessors;
mod call;
mod deferred;
mod state;

pub(crate) use accessors::wrapper;
pub(crate) use call::{has_failed, judge, poll_call, settle_broken};
pub(crate) use deferred::{Admission, Progress};
pub(crate) use state::{State, StateProjected};
