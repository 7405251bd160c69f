//! Models of two threads, one property each: see the circuit breaker's.

use super::counts::Counts;
use super::outcome_class::OutcomeClass;
use crate::clock::Instant;
use crate::sync::Arc;
use loom::thread;

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    builder.max_branches = 100_000;
    builder.check(run);
}

#[test]
fn loom_two_threads_lose_no_request_and_count_a_second_once() {
    model(|| {
        let counts = Arc::new(Counts::new(1));
        let others = Arc::clone(&counts);
        let count = |counts: &Counts, class| {
            counts.begin();
            counts.end(0, class, Some(0), Instant::default());
        };
        let other = thread::spawn(move || count(&others, OutcomeClass::ServerError));
        count(&counts, OutcomeClass::ServerError);
        other.join().unwrap();
        let sums = counts.sums(0);
        assert_eq!((sums.classes[OutcomeClass::ServerError as usize], sums.failures[0]), (2, 2));
        assert_eq!((sums.active_seconds, sums.error_seconds), (1, 1));
        assert_eq!(counts.in_flight(&[sums]), 0);
    });
}
