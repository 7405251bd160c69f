//! Allocations, memory and sizes of futures.

#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/exposition.rs"]
mod exposition;

mod bulkhead;
mod circuit_breaker;
mod kill_switch;
mod memory;
