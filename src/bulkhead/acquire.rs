//! Waiting for a permit: as a future with a timer, or on a thread.

use super::admission::{Entry, Wait, enter, enter_blocked, leave, poll_answer, try_enter_fast, watch_upload};
use super::compartment::Answer;
use super::owner::PermitOwner;
use super::permit::Permit;
use super::permit_word::Word;
use crate::clock::Instant;
use crate::reject::{RejectReason, Rejected};
use crate::sync::Arc;
use crate::timer::Timer;
use crate::upload::Upload;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread::Thread;
use std::time::Duration;

/// A place in the queue. Dropping it leaves the queue, or hands on the permit that has come meanwhile.
#[derive(Debug)]
pub(crate) struct Place<H: PermitOwner> {
    holder: H,
    id: Option<u64>,
}

impl<H: PermitOwner> Place<H> {
    pub(super) fn new(holder: H, id: u64) -> Self {
        Self { holder, id: Some(id) }
    }

    /// The permit or the rejection, or when to look again at the latest.
    fn look(&mut self, waker: &Waker) -> Result<Result<Permit<H>, Rejected>, Instant> {
        let Some(id) = self.id else { return Err(Instant::NEVER) };
        let Answer { result, waited } = poll_answer(&self.holder, id, waker)?;
        self.id = None;
        let permit = result.map(|ticket| Permit::new(self.holder.for_call(), ticket)); // from here on it gives itself back
        self.holder.counters().record_wait(waited);
        Ok(permit.map_err(|reason| self.holder.counters().rejected(reason)))
    }

    fn time_left(&self, until: Instant) -> Duration {
        until.saturating_duration_since(self.holder.counters().clock.now())
    }
}

impl<H: PermitOwner> Drop for Place<H> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            leave(&self.holder, id);
        }
    }
}

/// Waits on this thread.
pub(super) fn acquire_blocking<H: PermitOwner>(holder: &H, wait: Wait) -> Result<Permit<H>, Rejected> {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut place = match enter(holder, wait, || true) {
        Entry::Permit(ticket) => return Ok(Permit::new(holder.for_call(), ticket)),
        Entry::Rejected(rejected) => return Err(rejected),
        Entry::Queued(id) => Place::new(holder.for_call(), id),
    };
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match place.look(&waker) {
            Ok(result) => return result,
            Err(Instant::NEVER) => std::thread::park(),
            Err(until) => std::thread::park_timeout(place.time_left(until)),
        }
    }
}

/// Waits as a future does.
#[derive(Debug)]
pub(crate) struct Waiting<H: PermitOwner> {
    place: Place<H>,
    timer: Timer,
    /// Of the call that it waits for.
    upload: Option<Upload>,
}

impl<H: PermitOwner> Waiting<H> {
    pub(super) fn new(place: Place<H>) -> Self {
        Self { place, timer: Timer::default(), upload: None }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit<H>, Rejected>> {
        loop {
            let until = match self.place.look(cx.waker()) {
                Ok(result) => {
                    if let (Ok(permit), Some(upload)) = (&result, self.upload.take()) {
                        permit.follow_upload(upload);
                    }
                    return Poll::Ready(result);
                }
                Err(until) => until,
            };
            if until == Instant::NEVER {
                return Poll::Pending;
            }
            let clock = &self.place.holder.counters().clock;
            if self.timer.poll(clock, until, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// Progress of a call at the bulkhead, if a future carries it.
pub(crate) enum Held<H: PermitOwner> {
    Waiting(Waiting<H>),
    Permit(Option<Permit<H>>),
}

impl<H: PermitOwner> Held<H> {
    /// As [`enter`], for a call that a future carries.
    #[expect(clippy::inline_always, reason = "10 of 184 instructions of a rejected call")]
    #[inline(always)]
    pub(crate) fn enter(holder: &H) -> Result<Self, Rejected> {
        match enter_as_future(holder, Wait::AsConfigured) {
            Entry::Permit(ticket) => Ok(Permit::new(holder.for_call(), ticket).into()),
            Entry::Queued(id) => Ok(Self::Waiting(Waiting::new(Place::new(holder.for_call(), id)))),
            Entry::Rejected(rejected) => Err(rejected),
        }
    }

    /// A permit that travels with a future, on the fast path.
    #[inline]
    pub(crate) fn try_enter_fast(holder: &H) -> Option<Permit<H>> {
        try_enter_fast(holder).ok().map(|ticket| Permit::new(holder.for_call(), ticket).carried())
    }

    /// Waits for the permit, if it is not there.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        if let Self::Waiting(waiting) = self {
            *self = ready!(waiting.poll(cx))?.into();
        }
        Poll::Ready(Ok(()))
    }

    /// Watches how long the handler waits for its caller's body, if that may matter to this call.
    pub(crate) fn watch_upload<Request: 'static>(&self, request: &mut Request) -> Option<Upload> {
        match self {
            Self::Waiting(waiting) => watch_upload(&waiting.place.holder, request),
            Self::Permit(permit) => permit.as_ref()?.watch_upload(request),
        }
    }

    /// The handler may wait for its caller's body.
    pub(crate) fn follow_upload(&mut self, upload: Upload) {
        match self {
            Self::Waiting(waiting) => waiting.upload = Some(upload),
            Self::Permit(Some(permit)) => permit.follow_upload(upload),
            Self::Permit(None) => {}
        }
    }

    pub(crate) fn take(&mut self) -> Option<Permit<H>> {
        match self {
            Self::Waiting(_) => None,
            Self::Permit(permit) => permit.take(),
        }
    }

    pub(super) fn count_fallback(&self) {
        match self {
            Self::Waiting(waiting) => waiting.place.holder.count_fallback(),
            Self::Permit(permit) => permit.iter().for_each(|permit| permit.holder().count_fallback()),
        }
    }
}

impl<H: PermitOwner> From<Permit<H>> for Held<H> {
    fn from(permit: Permit<H>) -> Self {
        Self::Permit(Some(permit.carried()))
    }
}

/// As [`enter`], for futures: without timers, no call waits.
fn enter_as_future<H: PermitOwner>(holder: &H, wait: Wait) -> Entry {
    enter(holder, wait, Timer::is_possible)
}

/// A permit that is waited for as long as the settings say, or as asked.
#[cfg(feature = "tokio")]
pub(super) async fn acquire<H: PermitOwner>(holder: &H, wait: Wait) -> Result<Permit<H>, Rejected> {
    match enter_as_future(holder, wait) {
        Entry::Permit(ticket) => Ok(Permit::new(holder.for_call(), ticket)),
        Entry::Rejected(rejected) => Err(rejected),
        Entry::Queued(id) => {
            let mut waiting = Waiting::new(Place::new(holder.for_call(), id));
            std::future::poll_fn(|cx| waiting.poll(cx)).await
        }
    }
}

/// A permit that is there now.
#[inline]
pub(super) fn enter_at_once<H: PermitOwner>(holder: &H) -> Result<Permit<H>, Rejected> {
    match try_enter_fast(holder) {
        Ok(ticket) => Ok(Permit::new(holder.for_call(), ticket)),
        Err(word) => enter_at_once_slow(holder, word),
    }
}

#[inline(never)]
fn enter_at_once_slow<H: PermitOwner>(holder: &H, word: Word) -> Result<Permit<H>, Rejected> {
    match enter_blocked(holder, word, Wait::No, || false) {
        Entry::Permit(ticket) => Ok(Permit::new(holder.for_call(), ticket)),
        Entry::Rejected(rejected) => Err(rejected),
        Entry::Queued(id) => {
            debug_assert!(false, "a call that does not wait is not queued");
            leave(holder, id);
            Err(holder.counters().rejected(RejectReason::Full))
        }
    }
}
