//! Containment of panics in foreign code.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns the result of `run`; `None` if it panicked.
///
/// The panic's payload is forgotten: it is foreign too, and its drop could panic again.
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
