//! One admitted call.

use super::handle::CircuitBreaker;
use super::machine::types::Left;
use super::owner::PermitOwner;
use super::ticket::Ticket;
use crate::clock::Instant;
use crate::outcome::{Classification, Outcome, Settle};
use crate::reject::Rejected;
use crate::upload::Upload;
use std::fmt;
use std::mem::ManuallyDrop;

/// The right to make one call, and the duty to say how it ended.
///
/// Dropped without an outcome it reports [`Outcome::Abandoned`], or [`Outcome::Panicked`] when the thread is
/// panicking. A half-open probe's place is free again as soon as its permit is gone. A permit that is leaked
/// (`std::mem::forget`) keeps its place until the half-open time is over.
///
/// # Examples
///
/// ```
/// use backstop::CircuitBreaker;
///
/// let breaker = CircuitBreaker::new("payments");
/// let permit = breaker.try_acquire()?;
/// match std::fs::read("/etc/hostname") {
///     Ok(_) => permit.success(),
///     Err(_) => permit.failure(),
/// }
/// # Ok::<(), backstop::Rejected>(())
/// ```
#[must_use = "a permit that is dropped at once is an abandoned call"]
pub struct Permit<H: PermitOwner = CircuitBreaker> {
    holder: H,
    ticket: Ticket,
    phase: Phase,
    /// Whether a client is served under it: its leaving says nothing.
    is_inbound: bool,
    /// Whether the call was slow when the dependency answered.
    was_slow: Option<bool>,
    /// Whether the usual time of answers learns from this one, if it is good.
    learns: bool,
    /// Whether the head has arrived, and the body decides the outcome.
    is_flowing: bool,
    /// The request's body, until the outcome is known. Taken at the call's end, so that dropping a permit has nothing to
    /// look for.
    upload: ManuallyDrop<Option<Upload>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Held by the user, whose panic is the call's.
    Bare,
    /// Travels with a future; the thread's panic need not be its own.
    Carried,
    /// Foreign code that ran on behalf of the call has panicked.
    Panicked,
    Settled,
}

impl<H: PermitOwner> Permit<H> {
    pub(super) fn bare(holder: H, mut ticket: Ticket) -> Self {
        if !ticket.is_timed() {
            ticket.started = holder.stopwatch().clock.coarse();
        }
        Self::new(holder, ticket, Phase::Bare, false)
    }

    /// One that a future carries, of a call that is about to be made with this request.
    #[inline]
    pub(crate) fn carried<Request: 'static>(
        holder: &H,
        ticket: Ticket,
        is_inbound: bool,
        request: &mut Request,
    ) -> Self {
        // Before the permit is made, and not by reference to the ticket: what may unwind keeps them in memory.
        let Ticket { generation, part, started } = ticket;
        if let Some(upload) = crate::upload::watch(request, &holder.stopwatch().clock, is_inbound) {
            return Self::uploading(holder, Ticket { generation, part, started }, is_inbound, upload);
        }
        Self::new(holder.for_call(), ticket, Phase::Carried, is_inbound)
    }

    #[cold]
    #[inline(never)]
    fn uploading(holder: &H, ticket: Ticket, is_inbound: bool, upload: Upload) -> Self {
        let mut permit = Self::new(holder.for_call(), ticket, Phase::Carried, is_inbound);
        permit.set_upload(upload);
        permit
    }

    #[inline]
    fn new(holder: H, ticket: Ticket, phase: Phase, is_inbound: bool) -> Self {
        Self {
            holder,
            ticket,
            phase,
            is_inbound,
            was_slow: None,
            learns: false,
            is_flowing: false,
            upload: ManuallyDrop::new(None),
        }
    }

    /// Asks for one that a future carries.
    pub(crate) fn enter(holder: &H, is_inbound: bool) -> Result<Self, Rejected> {
        holder.admit().map(|ticket| Self::new(holder.for_call(), ticket, Phase::Carried, is_inbound))
    }

    /// From now on a future carries it.
    pub(super) fn into_carried(mut self, is_inbound: bool) -> Self {
        (self.phase, self.is_inbound) = (Phase::Carried, is_inbound);
        self
    }

    /// The dependency did what was asked.
    pub fn success(self) {
        self.end(Outcome::Success);
    }

    /// The dependency failed.
    pub fn failure(self) {
        self.end(Outcome::Failure);
    }

    /// The call says nothing about the dependency.
    pub fn ignore(self) {
        self.end(Outcome::Ignored);
    }

    /// Ends the call with an outcome or a [`Classification`].
    pub fn end(mut self, classification: impl Into<Classification>) {
        let classification = classification.into();
        if classification.outcome() == Outcome::Abandoned {
            self.abandon(classification);
        } else {
            self.settle(classification);
        }
    }
}

impl<H: PermitOwner> Permit<H> {
    /// Takes the time of the answer, which has just come.
    #[inline(never)]
    fn time_answer(&mut self) {
        if let Some(upload) = &*self.upload {
            upload.end();
            if self.is_inbound {
                self.ticket.started = self.ticket.started.saturating_add(upload.waited());
            }
        }
        let (was_slow, learns) = if self.ticket.is_timed() {
            self.holder.stopwatch().time_answer(self.holder.usual(), self.ticket.started)
        } else {
            (false, false)
        };
        (self.was_slow, self.learns) = (Some(was_slow), learns);
    }

    /// Returns whether the answer has to be looked at.
    #[inline]
    fn is_watched(&self) -> bool {
        self.ticket.is_timed() || self.upload.is_some()
    }

    /// Returns whether the timed call was slow.
    #[inline]
    fn end_timed(&mut self, outcome: Outcome) -> bool {
        if self.was_slow.is_none() {
            self.time_answer();
        }
        self.learn(outcome);
        self.was_slow == Some(true)
    }

    /// Learns how long answers take, from good ones: failures may come at once.
    #[inline]
    fn learn(&mut self, outcome: Outcome) {
        if std::mem::take(&mut self.learns) && outcome == Outcome::Success {
            self.holder.usual().learn(self.holder.stopwatch().clock.coarse(), self.ticket.started);
        }
    }

    /// Watches the request's body, for [`set_upload`](Self::set_upload).
    pub(crate) fn watch_upload<Request: 'static>(&self, request: &mut Request) -> Option<Upload> {
        crate::upload::watch(request, &self.holder.stopwatch().clock, self.is_inbound)
    }

    /// From now on a failure after the body broke off says nothing; inbound, neither does the time that the handler waits
    /// for it.
    pub(crate) fn set_upload(&mut self, upload: Upload) {
        if self.is_inbound {
            self.holder.follow_upload(&self.ticket, &upload);
        }
        *self.upload = Some(upload);
    }

    /// Returns whether the caller has waited too long for the answer, or for the next part of it.
    fn has_waited(&self) -> bool {
        self.holder.stopwatch().has_waited(self.holder.usual(), self.ticket.started, self.is_flowing)
    }

    #[cold]
    #[inline(never)]
    fn end_unsettled(&mut self) {
        let has_panicked = match self.phase {
            Phase::Panicked => true,
            Phase::Bare => std::thread::panicking(),
            Phase::Carried | Phase::Settled => false,
        };
        if has_panicked {
            self.settle(Outcome::Panicked.into());
        } else {
            self.abandon(Outcome::Abandoned.into());
        }
    }

    fn abandon(&mut self, classification: Classification) {
        self.phase = Phase::Settled;
        let has_broken = self.end_upload();
        let classification = if has_broken { Outcome::Ignored.into() } else { classification };
        let left = match self.is_inbound {
            _ if has_broken => Left::Excused,
            true => Left::Inbound,
            false if self.has_waited() => Left::Unanswered,
            false => Left::Early,
        };
        let is_slow = self.was_slow.unwrap_or_else(|| self.holder.stopwatch().is_slow(self.ticket.started));
        self.holder.abandon(&self.ticket, classification, is_slow, left);
    }

    /// Returns whether the request's body broke off.
    #[cold]
    #[inline(never)]
    fn end_upload(&mut self) -> bool {
        self.upload.take().is_some_and(|upload| {
            upload.end();
            upload.has_broken()
        })
    }

    /// What is made of a request whose body broke off says nothing, whatever its status.
    #[cold]
    #[inline(never)]
    fn excuse(&mut self) {
        self.holder.abandon(&self.ticket, Outcome::Ignored.into(), false, Left::Excused);
    }
}

impl<H: PermitOwner> Settle for Permit<H> {
    #[expect(clippy::inline_always, reason = "10 of 170 instructions a call")]
    #[inline(always)]
    fn settle(&mut self, classification: Classification) {
        if self.phase != Phase::Settled {
            self.phase = Phase::Settled;
            // Of a stream it is known since its head, though no frame may be awaited now.
            let is_timed = self.is_watched() || self.was_slow == Some(true);
            let is_slow = is_timed && self.end_timed(classification.outcome());
            if self.upload.is_some() && self.end_upload() && classification.outcome() == Outcome::Failure {
                return self.excuse();
            }
            self.holder.record(&self.ticket, classification, is_slow);
        }
    }

    #[inline]
    fn pending(&mut self) {
        if !self.ticket.is_timed() {
            self.ticket.started = self.holder.stopwatch().clock.coarse();
        }
    }

    #[inline]
    fn answered(&mut self) {
        if self.is_watched() {
            self.time_answer();
        }
    }

    #[inline]
    fn streams(&mut self) {
        self.holder.record_head(&mut self.ticket);
        self.learn(Outcome::Success);
        self.is_flowing = true;
        self.was_slow.get_or_insert(false); // if it was answered while it was not timed
        self.ticket.started = Instant::NEVER; // no frame is awaited
    }

    fn awaits_frame(&mut self) {
        self.ticket.started = self.holder.stopwatch().clock.coarse();
    }

    fn is_stalled(&self) -> bool {
        self.has_waited()
    }

    #[inline]
    fn is_inbound(&self) -> bool {
        self.is_inbound
    }

    fn fallback_used(&mut self) {
        self.holder.count_fallback();
    }

    fn panicked(&mut self) {
        if self.phase != Phase::Settled {
            self.phase = Phase::Panicked;
        }
    }
}

impl<H: PermitOwner> Drop for Permit<H> {
    #[inline]
    fn drop(&mut self) {
        if self.phase != Phase::Settled {
            self.end_unsettled();
        }
    }
}

impl<H: PermitOwner> fmt::Debug for Permit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("name", &self.holder.name()).field("phase", &self.phase).finish_non_exhaustive()
    }
}
