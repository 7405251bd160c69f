//! Counts of a window, and stamps of calls.

/// Totals over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) slow: u64,
}

/// Position of a call in its window, so that a later failure can be added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(super) u64);

impl Stamp {
    /// Of a call that is in no window.
    pub(crate) const NONE: Self = Self(u64::MAX);
}
