//! What the end of a call says to an adaptive limit.

use backstop::bulkhead::limit::Aimd;
use backstop::clock::{Clock, ManualClock};
use backstop::{Bulkhead, Outcome};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

fn adaptive() -> (Bulkhead, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = Bulkhead::builder("verdicts").clock(clock).max_concurrent_calls(50);
    (builder.adaptive(Aimd::new().window(1)).build().unwrap(), time)
}

#[test]
fn callers_that_leave_before_the_first_answer_say_nothing() {
    let (bulkhead, time) = adaptive();
    for millis in [1, 10, 100, 1_000] {
        let permits: Vec<_> = (0..10).map(|_| bulkhead.try_acquire().unwrap()).collect();
        time.advance(Duration::from_millis(millis));
        for permit in permits {
            permit.end(Outcome::Abandoned);
        }
    }
    assert_eq!(bulkhead.snapshot().limit, 50);
    let answered = bulkhead.try_acquire().unwrap();
    time.advance(Duration::from_millis(100));
    answered.end(Outcome::Success);
    let late = bulkhead.try_acquire().unwrap();
    time.advance(Duration::from_millis(201));
    late.end(Outcome::Abandoned);
    assert_eq!(bulkhead.snapshot().limit, 45, "now there is a usual time");
}

#[test]
fn a_panic_in_a_blocking_call_says_nothing() {
    let (bulkhead, time) = adaptive();
    bulkhead
        .call_blocking(|| {
            time.advance(Duration::from_millis(10));
            Ok::<_, ()>(())
        })
        .unwrap();
    let limit = bulkhead.snapshot().limit;
    for _ in 0..10 {
        let panics = || -> Result<(), ()> {
            time.advance(Duration::from_millis(900));
            std::panic::resume_unwind(Box::new("in the call"))
        };
        assert!(catch_unwind(AssertUnwindSafe(|| bulkhead.call_blocking(panics))).is_err());
    }
    assert_eq!((bulkhead.snapshot().limit, bulkhead.snapshot().in_flight), (limit, 0));
}
