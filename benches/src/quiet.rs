//! Tells whether the measured threads had a core each.
//!
//! A thread that waits for a core does not contend: two threads that take turns on one core look
//! better than two that run at once. Linux counts the wait for each thread. The wait of a thread
//! that is measured alone is simply taken off.

use std::time::Duration;
use std::{env, fs, thread};

/// How often one figure may pause or throw a sample away because other programs were running. The
/// environment's `BENCH_RETRIES` overrides it: more for patience on a busy machine.
const MOST_RETRIES: u32 = 20;

/// One pause.
const PAUSE: Duration = Duration::from_millis(50);

/// Shorter samples occur only in the warm-up and are not taken again.
const SHORTEST: Duration = Duration::from_millis(3);

/// A sample is disturbed when its threads waited for a core longer than this share of it: a
/// twentieth.
const SHARE: u32 = 20;

/// Time that a thread has waited for a core in its life; `None` where the system does not report it.
pub fn waited() -> Duration {
    // "time on a core, time waiting for one, turns", in nanoseconds.
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().nth(1).and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Whether another thread of the machine runs or wants to. `false` where the system does not tell.
fn is_busy() -> bool {
    // "load load load running/threads last-pid"; one of those that run is this thread.
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = text.split_whitespace().nth(3).and_then(|field| field.split('/').next());
    running.and_then(|running| running.parse().ok()).is_some_and(|running: u32| running > 1)
}

/// One sample: how long it took, and how long its threads waited for a core meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The time of the calls.
    pub took: Duration,
    /// The longest wait among the threads.
    pub waited: Duration,
}

impl Sample {
    fn is_disturbed(&self) -> bool {
        self.waited * SHARE > self.took
    }
}

/// Takes the samples of one figure, and takes a disturbed one again while tries are left.
#[derive(Debug)]
pub struct Sampler {
    retries: u32,
    took: Duration,
    waited: Duration,
}

impl Sampler {
    /// With all its tries.
    pub fn new() -> Self {
        let retries = env::var("BENCH_RETRIES").ok().and_then(|text| text.parse().ok());
        Self { retries: retries.unwrap_or(MOST_RETRIES), took: Duration::ZERO, waited: Duration::ZERO }
    }

    /// The time of an undisturbed sample, or of the last one tried.
    pub fn take(&mut self, sample: impl Fn() -> Sample) -> Duration {
        let mut taken = sample();
        while taken.took > SHORTEST && taken.is_disturbed() && self.retries > 0 {
            self.retries -= 1;
            thread::sleep(PAUSE);
            if !is_busy() {
                taken = sample();
            }
        }
        self.took += taken.took;
        self.waited += taken.waited;
        taken.took
    }

    /// Whether the samples taken are disturbed all the same.
    pub fn is_disturbed(&self) -> bool {
        Sample { took: self.took, waited: self.waited }.is_disturbed()
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new()
    }
}
