//! Times subjects: one thread, and two threads on one instance.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode};

use crate::{Instance, Subject, tidy};

/// Criterion with short defaults: a second of warm-up and two of measurement for each figure.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .nresamples(10_000)
        .without_plots()
        .configure_from_args()
}

/// Adds the four groups `closed-1`, `closed-2`, `open-1` and `open-2`, one figure a subject.
pub fn all(criterion: &mut Criterion, subjects: &[Subject]) {
    for threads in [1, 2] {
        group(
            criterion,
            &format!("closed-{threads}"),
            threads,
            subjects,
            |subject| subject.closed,
        );
        group(
            criterion,
            &format!("open-{threads}"),
            threads,
            subjects,
            |subject| subject.open,
        );
    }
}

fn group(
    criterion: &mut Criterion,
    name: &str,
    threads: u32,
    subjects: &[Subject],
    case: impl Fn(&Subject) -> Option<fn() -> Instance>,
) {
    let mut group = criterion.benchmark_group(name);
    // Flat: every sample runs long enough for two threads to overlap nearly all of it.
    group.sampling_mode(SamplingMode::Flat);
    for subject in subjects {
        let Some(make) = case(subject) else { continue };
        group.bench_with_input(
            BenchmarkId::from_parameter(subject.name),
            &make,
            |bencher, make| {
                let instance = make();
                bencher.iter_custom(|calls| {
                    let took = if threads == 1 {
                        alone(&instance, calls)
                    } else {
                        together(&instance, calls, threads)
                    };
                    tidy();
                    took
                });
            },
        );
    }
    group.finish();
}

fn alone(instance: &Instance, calls: u64) -> Duration {
    let mut runner = instance.runner();
    let start = Instant::now();
    let expected = runner(calls);
    let took = start.elapsed();
    assert!(expected, "a call did not end as expected");
    took
}

/// The mean of the threads' times, each for `calls` calls: time per call *per thread*.
fn together(instance: &Instance, calls: u64, threads: u32) -> Duration {
    let waiting = AtomicU32::new(threads);
    let one = || {
        let mut runner = instance.runner();
        // A spinning gate: a thread woken by a lock would start late.
        waiting.fetch_sub(1, Ordering::AcqRel);
        while waiting.load(Ordering::Acquire) > 0 {
            std::hint::spin_loop();
        }
        let start = Instant::now();
        let expected = runner(calls);
        let took = start.elapsed();
        assert!(expected, "a call did not end as expected");
        took
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let total: Duration = handles
            .into_iter()
            .map(|handle| {
                handle
                    .join()
                    .expect("a measuring thread only panics on a wrong outcome")
            })
            .sum();
        total / threads
    })
}
