//! The breaker against a naive reference over random histories, and under a storm of threads.
//!
//! `BACKSTOP_MODEL_STEPS` sets the number of steps, `BACKSTOP_MODEL_SEED` the first seed. A history that fails
//! is shrunk and printed with its seed.

pub(crate) mod history;
pub(crate) mod player;
pub(crate) mod reference;
pub(crate) mod settings;
pub(crate) mod storm;

use backstop::circuit_breaker::SlidingWindow;
use history::any_history;
use player::play;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::cell::Cell;
use std::time::Duration;
use storm::storm;

/// Histories that share one seed.
const CHUNK: u32 = 64;

pub(crate) fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.replace('_', "").parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text}")),
        Err(_) => default,
    }
}

fn wanted_steps() -> u64 {
    number("BACKSTOP_MODEL_STEPS", if cfg!(debug_assertions) { 20_000 } else { 200_000 })
}

#[test]
fn behaves_as_a_naive_reference_over_random_histories() {
    let wanted = wanted_steps();
    let first_seed = number("BACKSTOP_MODEL_SEED", 1);
    let (steps, calls) = (Cell::new(0), Cell::new(0));
    let mut seed = first_seed;
    while steps.get() < wanted {
        let config = Config { cases: CHUNK, failure_persistence: None, max_shrink_iters: 100_000, ..Config::default() };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let outcome = TestRunner::new_with_rng(config, rng).run(&any_history(), |history| {
            calls.set(calls.get() + play(&history)?);
            steps.set(steps.get() + history.steps.len() as u64);
            Ok(())
        });
        match outcome {
            Ok(()) => seed += 1,
            Err(TestError::Fail(why, history)) => panic!("BACKSTOP_MODEL_SEED={seed}: {why}\n{history:#?}"),
            Err(TestError::Abort(why)) => panic!("BACKSTOP_MODEL_SEED={seed}: {why}"),
        }
    }
    println!("{} steps with {} calls, seeds {first_seed} to {}", steps.get(), calls.get(), seed - 1);
}

#[test]
fn everything_adds_up_after_a_storm_of_threads() {
    let windows = [
        SlidingWindow::count(5),
        SlidingWindow::count(100),
        SlidingWindow::time(Duration::from_millis(20), 4),
        SlidingWindow::Tumbling { duration: Duration::from_millis(10) },
    ];
    let seed = number("BACKSTOP_MODEL_SEED", 1);
    let steps = wanted_steps() / windows.len() as u64;
    let storms = windows.into_iter().enumerate();
    let events: usize = storms.map(|(i, window)| storm(window, seed + 100 * i as u64, steps)).sum();
    println!("{} steps on each thread, {events} events", 4 * steps);
}
