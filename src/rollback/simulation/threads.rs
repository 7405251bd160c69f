//! Runs of many seeds, on all cores.

use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;

/// The results of a function of a seed, in the order of the seeds, computed on all cores.
pub fn over_seeds<T: Send>(seeds: Range<u64>, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let run = &run;
    let mut parts: Vec<_> = std::thread::scope(|scope| {
        // Every so many seeds, so that slow ones are spread.
        let part = |core| seeds.clone().skip(core).step_by(cores).map(run).collect::<Vec<_>>();
        let threads: Vec<_> = (0..cores).map(|core| scope.spawn(move || part(core))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)).into_iter())
            .collect()
    });
    seeds.zip(0..).filter_map(|(_, i): (u64, usize)| parts[i % cores].next()).collect()
}
