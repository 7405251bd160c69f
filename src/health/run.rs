//! The future that runs the checks, and the task of each run.

use super::check::Body;
use super::shared::Shared;
use super::state::{Failure, Reason};
use crate::panic::catch_panic;
use crate::shared_ref::Counted;
use crate::timer::Timer;
use std::future::poll_fn;
use std::task::Poll;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Runs the checks until the last handle is dropped. A no-op while another future does.
pub(super) async fn run(shared: Counted<Shared>) {
    if !shared.claim() {
        return;
    }
    let runner = Runner(shared);
    let shared = &runner.0;
    shared.arm();
    let mut timer = Timer::default();
    poll_fn(|cx| {
        loop {
            shared.wakes(cx.waker());
            if shared.has_ended() {
                return Poll::Ready(());
            }
            let next = shared.tick(|place| start(shared, place));
            if timer.poll(&shared.clock, next, cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// The claim of the future that runs the checks. Its drop ends all runs.
struct Runner(Counted<Shared>);

impl Drop for Runner {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// The one run of a check. Its drop ends it, whatever became of its task.
struct Slot {
    shared: Counted<Shared>,
    place: usize,
    result: Option<Result<(), Failure>>,
}

impl Slot {
    fn end(mut self, result: Result<(), Failure>) {
        self.result = Some(result);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.finish(self.place, self.result.take());
    }
}

/// Starts a run as a task of its own, so that one that blocks its thread holds up no other. `None` without a runtime.
fn start(shared: &Counted<Shared>, place: usize) -> Option<AbortHandle> {
    let runtime = Handle::try_current().ok()?;
    let slot = Slot { shared: shared.for_call(), place, result: None };
    let task = async move {
        let result = contained(&slot.shared, slot.place).await; // its future is gone before the slot is free
        slot.end(result);
    };
    Some(runtime.spawn(task).abort_handle())
}

/// One run; a panic of the check is a failure.
async fn contained(shared: &Shared, place: usize) -> Result<(), Failure> {
    let panicked = || Failure::from(Reason::Panicked);
    let make = match &shared.entries[place].body {
        Body::User(make) => make,
        Body::Mechanism(mechanism) => {
            return catch_panic(|| mechanism.look(&shared.registry)).unwrap_or_else(|| Err(panicked()));
        }
    };
    let mut run = catch_panic(|| make()).ok_or_else(panicked)?;
    let result = poll_fn(|cx| match catch_panic(|| run.as_mut().poll(cx)) {
        Some(poll) => poll.map_err(|error| Failure { reason: Reason::Failed, error: Some(error) }),
        None => Poll::Ready(Err(panicked())),
    });
    let result = result.await;
    catch_panic(|| drop(run)).map_or_else(|| Err(panicked()), |()| result)
}
