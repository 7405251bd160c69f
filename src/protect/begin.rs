//! Admission of a call: the mechanisms in their order.

use super::guards::Guards;
use super::targets::Targets;
use crate::bulkhead::{Bulkhead, Held, Permit};
use crate::circuit_breaker::{CircuitBreaker, Place, Upload};
use crate::guarded::Admission;
use crate::outcome::Outcome;
use crate::reject::Rejected;
use std::task::{Context, Poll};

/// The mechanisms of a layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Mechanisms {
    #[cfg(feature = "kill-switch")]
    pub(super) switch: Option<crate::kill_switch::KillSwitch>,
    pub(super) breaker: Option<CircuitBreaker>,
    pub(super) bulkhead: Option<Bulkhead>,
}

/// Result of the slow path of admission.
pub(super) enum Begun {
    /// It may be made now.
    Free(Guards),
    /// It holds the bulkhead's permit, or waits for it; the circuit is asked last.
    Held(Held<Bulkhead>),
}

impl Mechanisms {
    /// Asks the kill switch, which comes first.
    #[inline]
    #[cfg_attr(
        not(feature = "kill-switch"),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there is no switch to ask")
    )]
    pub(super) fn check_switch<Request, T: Targets<Request>>(
        &self,
        targets: &T,
        request: &Request,
    ) -> Result<(), Rejected> {
        #[cfg(feature = "kill-switch")]
        if let Some(switch) = &self.switch
            && !switch.is_released()
        {
            switch.check(&targets.target(request))?;
        }
        #[cfg(not(feature = "kill-switch"))]
        let _ = (targets, request);
        Ok(())
    }

    /// Polls the service for readiness; `None` where the call is going to be rejected: it may hang.
    #[inline]
    pub(super) fn poll_inner<T>(
        &self,
        place: &mut Place,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        if self.is_off() || self.bulkhead.as_ref().is_some_and(Bulkhead::is_full) {
            return Poll::Ready(None);
        }
        match &self.breaker {
            Some(breaker) => breaker.poll_inner(place, cx, poll),
            None => poll(cx).map(Some),
        }
    }

    /// Returns whether the switch blocks every request.
    #[cfg_attr(not(feature = "kill-switch"), expect(clippy::unused_self, reason = "there is no switch to ask"))]
    #[inline]
    fn is_off(&self) -> bool {
        #[cfg(feature = "kill-switch")]
        return self.switch.as_ref().is_some_and(|switch| !switch.is_released() && switch.blocks_everybody());
        #[cfg(not(feature = "kill-switch"))]
        false
    }

    /// Asks the switch again, for a call that has waited: what is off for everybody by now is not called.
    #[cfg_attr(
        not(feature = "kill-switch"),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there is no switch to ask")
    )]
    fn check_switch_again(&self) -> Result<(), Rejected> {
        #[cfg(feature = "kill-switch")]
        if let Some(switch) = self.switch.as_ref().filter(|_| self.is_off()) {
            switch.check(&crate::kill_switch::Target::new())?;
        }
        Ok(())
    }

    /// All permits, if that needs no thought.
    #[inline]
    pub(super) fn try_enter_fast(&self, is_inbound: bool) -> Option<Guards> {
        // First: the bulkhead would count a call that is not made. A circuit that lets it through freely keeps no
        // account of it until its end.
        let breaker = match &self.breaker {
            Some(breaker) => Some((breaker, breaker.try_admit_fast()?)),
            None => None,
        };
        let bulkhead = match &self.bulkhead {
            Some(bulkhead) => Some(bulkhead.try_enter_fast()?),
            None => None,
        };
        Some(Guards { breaker: breaker.map(|(breaker, ticket)| breaker.carry(ticket, is_inbound)), bulkhead })
    }

    /// Asks the mechanisms in their order. A service that was not asked whether it is ready is asked before the
    /// circuit.
    pub(super) fn enter(&self, is_ready: bool, is_inbound: bool) -> Result<Begun, Rejected> {
        if let Some(rejected) = self.breaker.as_ref().and_then(CircuitBreaker::reject_now) {
            return Err(rejected);
        }
        match self.bulkhead.as_ref().map_or(Ok(Held::Permit(None)), Bulkhead::enter)? {
            Held::Permit(permit) if is_ready => self.last(permit, is_inbound).map(Begun::Free),
            held => Ok(Begun::Held(held)),
        }
    }

    /// Asks the circuit, just before the call.
    fn last(&self, bulkhead: Option<Permit>, is_inbound: bool) -> Result<Guards, Rejected> {
        let mut guards = Guards { breaker: None, bulkhead };
        if let Some(breaker) = &self.breaker {
            match breaker.enter(is_inbound) {
                Ok(permit) => guards.breaker = Some(permit),
                Err(rejected) => {
                    guards.release_bulkhead(Outcome::Ignored);
                    return Err(rejected);
                }
            }
        }
        Ok(guards)
    }
}

/// Admission of a deferred request: it holds the bulkhead's permit, or waits for it.
pub(super) struct Pending {
    mechanisms: Mechanisms,
    held: Held<Bulkhead>,
    is_inbound: bool,
    upload: Option<Upload>,
    place: Place,
}

impl Pending {
    pub(super) fn new<Request: 'static>(
        mechanisms: Mechanisms,
        held: Held<Bulkhead>,
        is_inbound: bool,
        request: &mut Request,
    ) -> Self {
        let breaker = mechanisms.breaker.as_ref().filter(|_| is_inbound);
        let upload = breaker.and_then(|breaker| breaker.time_upload(request));
        Self { mechanisms, held, is_inbound, upload, place: Place::default() }
    }

    /// Gives the permit back: no call was made.
    fn release(&mut self) {
        if let Some(mut permit) = self.held.take() {
            permit.finish(Some(Outcome::Ignored), false);
        }
    }
}

impl Admission for Pending {
    type Guard = Guards;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        self.held.poll(cx)
    }

    fn admit(&mut self) -> Result<Guards, Rejected> {
        if let Err(rejected) = self.mechanisms.check_switch_again() {
            self.release();
            return Err(rejected);
        }
        let mut guards = self.mechanisms.last(self.held.take(), self.is_inbound)?;
        if let Some(permit) = &mut guards.breaker {
            permit.set_upload(self.upload.take());
        }
        Ok(guards)
    }

    fn reject_waiting(&mut self, cx: &mut Context<'_>) -> Option<Rejected> {
        let breaker = self.mechanisms.breaker.as_ref()?;
        if !breaker.wake_when_rejecting(&mut self.place, cx) {
            return None;
        }
        let rejected = breaker.reject_now()?;
        self.release();
        Some(rejected)
    }

    /// A failed call, of these permits.
    fn broken(&mut self) -> Guards {
        let breaker = self.mechanisms.breaker.as_ref().and_then(|breaker| breaker.enter(self.is_inbound).ok());
        Guards { breaker, bulkhead: self.held.take() }
    }

    fn count_fallback(&mut self, rejected: &Rejected) {
        self.mechanisms.count_fallback(rejected);
    }
}
