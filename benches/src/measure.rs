//! Times subjects: one thread, and two threads on one instance.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode};

use crate::quiet::{self, Sample, Sampler};
use crate::{Instance, Mechanism, Subject, tidy};

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

/// Adds a group for each case and number of threads, such as `closed-1` and `rejecting-2`, one figure
/// a subject.
pub fn all(criterion: &mut Criterion, subjects: &[Subject]) {
    for threads in [1, 2] {
        for case in Mechanism::CASES {
            group(criterion, case, threads, subjects);
        }
    }
}

fn group(criterion: &mut Criterion, case: &str, threads: u32, subjects: &[Subject]) {
    let name = format!("{case}-{threads}");
    let mut group = criterion.benchmark_group(&name);
    // Flat: every sample runs long enough for two threads to overlap nearly all of it.
    group.sampling_mode(SamplingMode::Flat);
    for subject in subjects {
        let Some(make) = subject.case(case) else { continue };
        // Criterion runs the closure once a sample and not at all when the filter leaves it out.
        let mut prepared = None;
        group.bench_with_input(BenchmarkId::from_parameter(subject.name), &make, |bencher, make| {
            let (instance, sampler) = prepared.get_or_insert_with(|| (make(), Sampler::new()));
            bencher.iter_custom(|calls| {
                let took = sampler.take(|| sample(instance, calls, threads));
                tidy();
                took
            });
        });
        if prepared.is_some_and(|(_, sampler)| sampler.is_disturbed()) {
            // `run.sh` reads this line.
            eprintln!("disturbed {name}/{}", subject.name);
        }
    }
    group.finish();
}

/// The mean of the threads' times, each for `calls` calls: time per call *per thread*.
///
/// One thread's time is its time on a core.
fn sample(instance: &Instance, calls: u64, threads: u32) -> Sample {
    if threads == 1 {
        let Sample { took, waited } = one(instance, calls, || ());
        // Alone, a thread loses nothing but time when other programs take its core.
        return Sample { took: took.saturating_sub(waited), waited: Duration::ZERO };
    }
    let missing = AtomicU32::new(threads);
    // A spinning gate: a thread woken by a lock would start late.
    let gate = || {
        missing.fetch_sub(1, Ordering::AcqRel);
        while missing.load(Ordering::Acquire) > 0 {
            spin_loop();
        }
    };
    let samples: Vec<Sample> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(|| one(instance, calls, gate))).collect();
        let join = |handle: ScopedJoinHandle<'_, Sample>| {
            handle.join().expect("a measuring thread panics only on a wrong outcome")
        };
        handles.into_iter().map(join).collect()
    });
    Sample {
        took: samples.iter().map(|sample| sample.took).sum::<Duration>() / threads,
        waited: samples.iter().map(|sample| sample.waited).max().unwrap_or_default(),
    }
}

/// One thread's sample, from the moment that the gate lets it through.
fn one(instance: &Instance, calls: u64, gate: impl Fn()) -> Sample {
    let mut runner = instance.runner();
    let waited = quiet::waited();
    gate();
    let start = Instant::now();
    let expected = runner(calls);
    let took = start.elapsed();
    let waited = quiet::waited().saturating_sub(waited);
    assert!(expected, "a call did not end as expected");
    Sample { took, waited }
}
