pub(crate) mod dispersion;
pub(crate) mod errors;
pub(crate) mod latency;
pub(crate) mod mixture;
pub(crate) mod evidence;
