//! Tasks that run the checks: a loop for each check, and a task of its own for each run.

use super::shared::Shared;
use super::state::{Reason, Role};
use crate::clock::{Clock, Instant};
use crate::shared_ref::Counted;
use crate::sync::Arc;
use crate::timer::Timer;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tokio::task::JoinSet;

/// Runs the checks of startup until they have passed, and then the others. Its drop ends every run.
pub(super) async fn run(shared: Counted<Shared>) {
    for is_startup in [true, false] {
        let mut loops = JoinSet::new();
        for (place, check) in shared.checks.iter().enumerate() {
            if (check.settings.role == Role::Startup) == is_startup {
                loops.spawn(repeat(shared.for_call(), place));
            }
        }
        while loops.join_next().await.is_some() {}
    }
}

/// Runs one check each period: a check of startup until it has passed, any other without end.
async fn repeat(shared: Counted<Shared>, place: usize) {
    let (check, clock) = (&shared.checks[place], &shared.clock);
    let mut next = clock.now();
    while !check.machine.lock().is_over() {
        reaches(clock, next).await;
        let begun = clock.now();
        next = begun.saturating_add(check.settings.period);
        // A run is a task of its own, so that one that blocks its thread holds up no other. It cannot be dropped then,
        // and no other run begins until it has ended.
        let is_free = !check.is_running();
        let mut task = JoinSet::new(); // its drop aborts the run
        if is_free {
            let (run, running) = (Arc::clone(&check.run), Arc::clone(&check.running));
            task.spawn(async move {
                let result = run().await; // its future is gone before the next run may begin
                drop(running);
                result
            });
        }
        let overdue = if is_free { Reason::TimedOut } else { Reason::StillRunning };
        let mut late = pin!(reaches(clock, begun.saturating_add(check.settings.timeout)));
        let result = poll_fn(|cx| match task.poll_join_next(cx) {
            Poll::Ready(Some(Ok(result))) => Poll::Ready(result.map_err(|error| (Reason::Failed, Some(error)))),
            Poll::Ready(Some(Err(error))) if error.is_panic() => {
                std::mem::forget(error); // the payload is user code: its drop could panic again
                Poll::Ready(Err((Reason::Panicked, None)))
            }
            // Also for a run that ended with its runtime: this task is about to.
            _ => late.as_mut().poll(cx).map(|()| Err((overdue, None))),
        })
        .await;
        drop(task);
        // One that was dropped needed a moment to end: that is no failure.
        if is_free || check.is_running() {
            shared.record(check, result, begun);
        }
    }
}

async fn reaches(clock: &Clock, time: Instant) {
    let mut timer = Timer::default();
    poll_fn(|cx| {
        while !time.is_reached(clock.now()) {
            if timer.poll(clock, time, cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    })
    .await;
}
