//! The statistics behind the triggers. `STATISTICS` in the guide says what they reach and what cannot be had.

pub(crate) mod dispersion;
pub(crate) mod errors;
pub(crate) mod latency;
pub(crate) mod mixture;
