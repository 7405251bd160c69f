//! Locks and atomics for the whole crate: `parking_lot` and `std`, or `loom` in a model (`--cfg backstop_loom`).
//!
//! The cfg is our own: a global `--cfg loom` removes parts of tokio, and hyper-util then fails to build.

#[cfg(not(backstop_loom))]
mod real {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};
    pub(crate) use std::thread_local;
}

#[cfg(backstop_loom)]
mod real {
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64};

    /// `loom::thread_local!` with std's `const` syntax, which it lacks.
    macro_rules! local {
        ($(#[$attribute:meta])* static $name:ident: $type:ty = const $value:block;) => {
            loom::thread_local! { $(#[$attribute])* static $name: $type = $value; }
        };
        ($($tokens:tt)*) => { loom::thread_local! { $($tokens)* } };
    }
    pub(crate) use local as thread_local;

    /// `loom`'s mutex with `parking_lot`'s API: no poisoning.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            match self.0.lock() {
                Ok(guard) => guard,
                Err(poisoned) => poisoned.into_inner(),
            }
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }
}

pub(crate) use real::*;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::Ordering;
