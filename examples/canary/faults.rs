//! Faults of a release, switched on and off in the running process: a new process would begin with a closed circuit.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The bugs of a release.
#[derive(Default)]
pub(crate) struct Faults {
    /// Whether ratings are fetched one by one.
    pub(crate) is_one_by_one: AtomicBool,
    /// Pages of a thousand that fail at once.
    failing: AtomicU32,
    pages: AtomicU64,
}

impl Faults {
    /// Sets a fault by its name; returns whether there is such a fault.
    pub(crate) fn set(&self, name: &str, value: u32) -> bool {
        match name {
            "one_by_one" => self.is_one_by_one.store(value > 0, Ordering::Relaxed),
            "failing" => self.failing.store(value, Ordering::Relaxed),
            _ => return false,
        }
        true
    }

    /// Whether the next page fails. Scattered like users, and the same in every run: a multiple of a large odd number.
    pub(crate) fn fails(&self) -> bool {
        let page = self.pages.fetch_add(1, Ordering::Relaxed);
        let scattered = page.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        scattered % 1000 < u64::from(self.failing.load(Ordering::Relaxed))
    }
}
