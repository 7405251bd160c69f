//! Containment of panics in user code: listeners, classifiers, recorders.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code and returns its result; `None` if it panicked.
///
/// The panic's payload is leaked: it is user code too, and dropping it could panic again.
#[inline]
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(payload) => {
            std::mem::forget(payload);
            None
        }
    }
}
