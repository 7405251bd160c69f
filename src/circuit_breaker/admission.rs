//! The first half of a call's path: whether it is let through.

use super::handle::CircuitBreaker;
use super::machine::types::{Admission, Denial, Part};
use super::owner::Owner as _;
use super::permit::Permit;
use super::shared::{ADMITS, GENERATION_SHIFT, REJECTS, STATE, Shared, TIMES};
use super::state::State;
use super::ticket::Ticket;
use crate::clock::Instant;
use crate::outcome::RetryAfter;
use crate::reject::{RejectReason, Rejected};
use crate::sync::Ordering;
use std::time::Duration;

impl Shared {
    /// Admits a call on the fast path.
    #[inline]
    pub(crate) fn try_admit_fast(&self) -> Option<Ticket> {
        // Acquire: pairs with the store in `mirror`.
        let word = self.word.load(Ordering::Acquire);
        let generation = word >> GENERATION_SHIFT;
        let start = || if word & TIMES == 0 { Instant::NEVER } else { self.stopwatch.start() };
        (word & ADMITS != 0).then(|| Ticket { generation, part: Part::PLAIN, started: start() })
    }

    /// Asks to let a call through.
    pub(crate) fn admit(&self) -> Result<Ticket, Rejected> {
        if let Some(ticket) = self.try_admit_fast() {
            return Ok(ticket);
        }
        match self.rejection() {
            Some((reason, left)) => {
                self.count_rejection();
                Err(self.rejected(reason, left))
            }
            None => self.admit_locked(),
        }
    }

    /// The rejection by a circuit that is open, or whose probes are all under way; `None` where only the machine knows.
    #[inline]
    fn rejection(&self) -> Option<(RejectReason, RetryAfter)> {
        // Acquire: pairs with the store in `mirror`.
        let word = self.word.load(Ordering::Acquire);
        if word & REJECTS == 0 {
            return None;
        }
        if word & STATE == State::ForcedOpen as u64 {
            return Some((RejectReason::ForcedOpen, RetryAfter::NONE));
        }
        let until = Instant::from_nanos(self.rejects_until.load(Ordering::Relaxed));
        let now = self.stopwatch.clock.coarse();
        match word & STATE == State::Open as u64 {
            _ if until <= now || until == Instant::NEVER => None,
            true => Some((RejectReason::Open, RetryAfter::between(now, until))),
            false => Some((RejectReason::HalfOpen, RetryAfter::NONE)),
        }
    }

    /// Returns whether the next call is certain to be rejected.
    #[inline]
    pub(crate) fn is_rejecting(&self) -> bool {
        // Acquire: pairs with the store in `mirror`.
        self.word.load(Ordering::Acquire) & REJECTS != 0 && !self.is_over()
    }

    /// The rejection that the next call is certain to get, counted as one.
    pub(crate) fn reject_now(&self) -> Option<Rejected> {
        if !self.is_rejecting() {
            return None;
        }
        match self.admit() {
            Err(rejected) => Some(rejected),
            Ok(ticket) => {
                self.cancel(ticket, 0); // the open time ended in between
                None
            }
        }
    }

    fn is_over(&self) -> bool {
        let until = Instant::from_nanos(self.rejects_until.load(Ordering::Relaxed));
        until.is_reached(self.stopwatch.clock.coarse())
    }

    /// `Ok` if a call would be admitted now; the error is the time until that can change by itself.
    #[cfg(feature = "tokio")]
    pub(crate) fn permits(&self) -> Result<(), Option<Duration>> {
        // Acquire: pairs with the store in `mirror`.
        if self.word.load(Ordering::Acquire) & ADMITS != 0 {
            return Ok(());
        }
        self.with_machine(|machine, now| {
            if machine.is_permitting(now) {
                return Ok(());
            }
            let next = machine.next_change();
            Err((next != Instant::NEVER).then(|| next.saturating_duration_since(now)))
        })
    }

    #[cold]
    #[inline(never)]
    fn admit_locked(&self) -> Result<Ticket, Rejected> {
        let admitted = self.locked(|core, now| {
            let admitted = core.machine.admit(now);
            match &admitted {
                Ok(admission) => core.accumulated.totals.would_reject += u64::from(admission.would_reject),
                Err(_) => core.accumulated.totals.not_permitted += 1,
            }
            admitted
        });
        match admitted {
            Ok(Admission { generation, part, .. }) => {
                Ok(Ticket { generation, part, started: self.stopwatch.start_of(part) })
            }
            Err(Denial { reason, retry_after }) => Err(self.rejected(reason, retry_after)),
        }
    }

    /// Takes back an admission that could not be used.
    pub(crate) fn withdraw(&self, ticket: Ticket) -> Rejected {
        self.cancel(ticket, 1);
        self.rejected(RejectReason::NotReady, Some(Duration::ZERO))
    }

    fn cancel(&self, Ticket { generation, part, .. }: Ticket, not_permitted: u64) {
        self.locked(|core, now| {
            core.machine.cancel(Admission { generation, part, would_reject: false }, now);
            core.accumulated.totals.not_permitted += not_permitted;
        });
    }
}

impl CircuitBreaker {
    /// Asks for one call.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the time after which to try again where it is known.
    ///
    /// # Cancel safety
    ///
    /// Dropping the permit ends the call as abandoned.
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        let ticket = self.shared.admit()?;
        Ok(Permit::bare(self.for_call(), ticket))
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_certain_rejection_takes_no_lock() {
        let breaker = CircuitBreaker::builder("orders").half_open_max_calls(1).build().unwrap();
        let rejected = || {
            let _nobody_else = breaker.shared.core.lock(); // taking it again would hang
            breaker.shared.admit().unwrap_err().reason()
        };
        breaker.trip("test");
        assert_eq!(rejected(), RejectReason::Open);
        breaker.force_open("test");
        assert_eq!(rejected(), RejectReason::ForcedOpen);
        breaker.probe("test");
        let _probe = breaker.try_acquire().unwrap();
        assert_eq!(rejected(), RejectReason::HalfOpen);
        assert_eq!(breaker.totals().not_permitted, 3);
    }
}
