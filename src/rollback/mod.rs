//! The rollback verdict: is this release worse than the one before it?

pub(crate) mod stats;
