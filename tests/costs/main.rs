//! Allocations, memory and sizes of futures.

#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/exposition.rs"]
mod exposition;

mod bulkhead;
mod circuit_breaker;
mod kill_switch;
mod memory;
mod signals;

use allocation_counter::measure;
use exposition::Exporter;

/// Calls before the counting, so that every first time is behind us, publications among them.
const WARM_UP: u64 = 6_000;
/// Calls that are counted: some publications are among them.
const CALLS: u64 = 5_000;

/// Allocations of `CALLS` calls, after some that do not count, with a Prometheus recorder installed.
fn allocations(mut call: impl FnMut()) -> u64 {
    Exporter::new().run(|| {
        (0..WARM_UP).for_each(|_| call());
        measure(|| (0..CALLS).for_each(|_| call())).count_total
    })
}
