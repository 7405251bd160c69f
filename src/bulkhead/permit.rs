//! One call in flight.

use super::admission::{exit, follow_upload, is_held, sample, watch_upload};
use super::handle::Bulkhead;
use super::in_flight::CallId;
use super::owner::PermitOwner;
use super::permit_word::Ticket;
use crate::outcome::{Classification, Outcome, Settle};
use crate::upload::Upload;
use std::fmt;

/// The right to have one call in flight. Dropping it gives the place back, exactly once.
///
/// Where the limit is [adaptive](super::limit), [`end`](Self::end) gives it the outcome; a permit that is only
/// dropped gives it none. One that is leaked (`std::mem::forget`) keeps its place until
/// [`max_hold`](super::BulkheadBuilder::max_hold) is over or
/// [`reset_in_flight`](super::Bulkhead::reset_in_flight) is called.
///
/// # Examples
///
/// ```
/// use backstop::Bulkhead;
///
/// let bulkhead = Bulkhead::builder("reports").max_concurrent_calls(1).build()?;
/// let permit = bulkhead.try_acquire().expect("the first call");
/// assert!(bulkhead.try_acquire().is_err());
/// drop(permit);
/// assert_eq!(bulkhead.snapshot().available(), 1);
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[must_use = "a permit that is dropped at once holds no place"]
pub struct Permit<H: PermitOwner = Bulkhead> {
    holder: H,
    // A ticket, taken apart so that the phase fits into its padding.
    hold: CallId,
    epoch: u16,
    phase: Phase,
    /// Whether the response's body holds it, in a layer of several mechanisms.
    until_body_end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Held by the user: dropping it ends the call.
    Bare,
    /// Travels with a future: dropping it before the end abandons the call.
    Carried,
    /// Travels with a future that has panicked.
    Panicked,
    /// The call has ended; the place is held on.
    Ended,
    /// Holds no place.
    Bypass,
}

impl<H: PermitOwner> Permit<H> {
    pub(super) fn new(holder: H, Ticket { hold, epoch }: Ticket) -> Self {
        Self { holder, hold, epoch, phase: Phase::Bare, until_body_end: false }
    }

    pub(super) fn bypass(holder: H) -> Self {
        Self { holder, hold: CallId::NONE, epoch: 0, phase: Phase::Bypass, until_body_end: false }
    }

    pub(super) fn holder(&self) -> &H {
        &self.holder
    }

    fn ticket(&self) -> Ticket {
        Ticket { hold: self.hold, epoch: self.epoch }
    }

    /// From now on a future carries it.
    pub(crate) fn carried(mut self) -> Self {
        if self.phase == Phase::Bare {
            self.phase = Phase::Carried;
        }
        self
    }

    /// Whether the response's body holds it.
    #[inline]
    pub(crate) fn until_body_end(mut self, until_body_end: bool) -> Self {
        self.until_body_end = until_body_end;
        self
    }

    #[inline]
    pub(crate) fn is_until_body_end(&self) -> bool {
        self.until_body_end
    }

    /// Ends the call and gives the place back. The outcome, or [`Classification`], matters to an adaptive limit
    /// only: a failure and an abandoned call make it smaller, an ignored one says nothing.
    pub fn end(mut self, classification: impl Into<Classification>) {
        self.finish(Some(classification.into().outcome()), false);
    }

    /// The call has been answered, and the response's body goes on.
    pub(crate) fn answered(&self, outcome: Outcome) {
        if self.phase != Phase::Bypass {
            sample(&self.holder, self.ticket(), outcome);
        }
    }

    /// Watches how long the handler waits for its caller's body, if that matters to this call.
    pub(crate) fn watch_upload<Request: 'static>(&self, request: &mut Request) -> Option<Upload> {
        if self.hold == CallId::NONE { None } else { watch_upload(&self.holder, request) }
    }

    /// The handler may wait for its caller's body.
    pub(crate) fn follow_upload(&self, upload: Upload) {
        follow_upload(&self.holder, self.ticket(), upload);
    }

    /// The end of the permit's `max_hold`; `None` if it is not timed, or was revoked.
    #[cfg(feature = "http")]
    pub(super) fn held_until(&self) -> Option<crate::clock::Instant> {
        if self.phase == Phase::Bypass {
            None
        } else {
            crate::bulkhead::admission::held_until(&self.holder, self.ticket())
        }
    }

    #[cfg(feature = "http")]
    pub(super) fn clock(&self) -> &crate::clock::Clock {
        &self.holder.counters().clock
    }

    /// Returns whether the place is still this permit's: it may have been revoked after
    /// [`max_hold`](super::BulkheadBuilder::max_hold).
    pub fn is_held(&self) -> bool {
        self.phase != Phase::Bypass && is_held(&self.holder, self.ticket())
    }

    /// Gives the place back.
    #[inline]
    pub(crate) fn finish(&mut self, outcome: Option<Outcome>, is_abandoned: bool) {
        if std::mem::replace(&mut self.phase, Phase::Bypass) != Phase::Bypass {
            exit(&self.holder, self.ticket(), outcome, is_abandoned);
        }
    }

    #[cold]
    #[inline(never)]
    fn finish_dropped(&mut self) {
        match self.phase {
            Phase::Bare if std::thread::panicking() => self.finish(Some(Outcome::Panicked), true),
            Phase::Panicked => self.finish(Some(Outcome::Panicked), true),
            Phase::Bare | Phase::Ended => self.finish(None, false),
            Phase::Carried => self.finish(Some(Outcome::Abandoned), true),
            Phase::Bypass => {}
        }
    }
}

/// A response's body may hold the permit until it ends.
impl<H: PermitOwner> Settle for Permit<H> {
    /// The limit has heard of the answer by the bulkhead's own classifier: what ends a body is a breaker's verdict.
    fn settle(&mut self, _: Classification) {
        if self.phase != Phase::Bypass {
            self.phase = Phase::Ended;
        }
    }

    fn fallback_used(&mut self) {
        self.holder.count_fallback();
    }

    fn panicked(&mut self) {
        if self.phase == Phase::Carried {
            self.phase = Phase::Panicked;
        }
    }
}

impl<H: PermitOwner> Drop for Permit<H> {
    #[inline]
    fn drop(&mut self) {
        if self.phase != Phase::Bypass {
            self.finish_dropped();
        }
    }
}

impl<H: PermitOwner> fmt::Debug for Permit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("name", &self.holder.name()).field("phase", &self.phase).finish_non_exhaustive()
    }
}
