//! Data plane: the gates that requests pass, and the document in force behind them.

pub(super) mod active;
pub(super) mod compiled_scope;
pub(super) mod effect;
pub(super) mod expiry_clock;
pub(super) mod gate;
pub(super) mod last_good;
pub(super) mod refresh;
pub(super) mod shared;
pub(super) mod status;
