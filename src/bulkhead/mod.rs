//! Bulkhead: a limit on the calls in flight.

pub mod limit;
