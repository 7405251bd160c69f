//! Admission of a call: the mechanisms in their order.

use super::guards::Guards;
use super::targets::Targets;
use crate::bulkhead::{Bulkhead, Entered, Permit, Waiting};
use crate::circuit_breaker::CircuitBreaker;
use crate::outcome::{Outcome, on_behalf_of};
use crate::reject::Rejected;
use std::task::{Context, Poll, ready};
use tower_service::Service;

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
    Held(Held),
    Rejected(Rejected),
}

/// A call's way through the bulkhead.
pub(super) enum Held {
    Waiting(Waiting<Bulkhead>),
    Permit(Option<Permit>),
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

    /// Returns whether to reject without polling the service for readiness: it may hang.
    #[inline]
    pub(super) fn is_rejecting(&self) -> bool {
        self.is_off()
            || self.breaker.as_ref().is_some_and(CircuitBreaker::is_rejecting)
            || self.bulkhead.as_ref().is_some_and(Bulkhead::is_full)
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
    pub(super) fn try_enter_fast(&self) -> Option<Guards> {
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
        Some(Guards { breaker: breaker.map(|(breaker, ticket)| breaker.carry(ticket)), bulkhead })
    }

    /// Asks the mechanisms in their order. A service that was not asked whether it is ready is asked before the
    /// circuit.
    pub(super) fn enter(&self, is_ready: bool) -> Begun {
        if let Some(rejected) = self.breaker.as_ref().and_then(CircuitBreaker::reject_now) {
            return Begun::Rejected(rejected);
        }
        let bulkhead = match self.bulkhead.as_ref().map(Bulkhead::enter) {
            Some(Entered::Rejected(rejected)) => return Begun::Rejected(rejected),
            Some(Entered::Waiting(waiting)) => return Begun::Held(Held::Waiting(waiting)),
            Some(Entered::Permit(permit)) => Some(permit),
            None => None,
        };
        if !is_ready {
            return Begun::Held(Held::Permit(bulkhead));
        }
        match self.last(bulkhead) {
            Ok(guards) => Begun::Free(guards),
            Err(rejected) => Begun::Rejected(rejected),
        }
    }

    /// Asks the circuit, just before the call.
    fn last(&self, bulkhead: Option<Permit>) -> Result<Guards, Rejected> {
        let mut guards = Guards { breaker: None, bulkhead };
        if let Some(breaker) = &self.breaker {
            match breaker.enter() {
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

/// A request that is not called at once, and the service that was polled ready for it.
pub(super) struct Deferred<S, Request> {
    mechanisms: Mechanisms,
    service: S,
    request: Option<Request>,
    is_ready: bool,
    held: Held,
}

/// Outcome of a deferred request.
pub(super) enum Resolved<F, Request, E> {
    Called(F, Guards),
    Rejected(Request, Rejected),
    /// The service said that it is finished: a failed call, of these permits.
    Broken(E, Guards),
}

impl<S, Request> Deferred<S, Request> {
    pub(super) fn new(mechanisms: Mechanisms, service: S, request: Request, is_ready: bool, held: Held) -> Self {
        Self { mechanisms, service, request: Some(request), is_ready, held }
    }

    pub(super) fn mechanisms(&self) -> &Mechanisms {
        &self.mechanisms
    }
}

impl<S: Service<Request>, Request> Deferred<S, Request> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Resolved<S::Future, Request, S::Error>> {
        if let Held::Waiting(waiting) = &mut self.held {
            match ready!(waiting.poll(cx)) {
                Ok(permit) => self.held = Held::Permit(Some(permit.carried())),
                Err(rejected) => return Poll::Ready(Resolved::Rejected(self.take_request(), rejected)),
            }
        }
        if !self.is_ready {
            if let Err(error) = ready!(self.service.poll_ready(cx)) {
                drop(self.request.take()); // nobody calls it any more
                let bulkhead = match &mut self.held {
                    Held::Permit(permit) => permit.take(),
                    Held::Waiting(_) => None,
                };
                let breaker = self.mechanisms.breaker.as_ref().and_then(|breaker| breaker.enter().ok());
                return Poll::Ready(Resolved::Broken(error, Guards { breaker, bulkhead }));
            }
            self.is_ready = true;
        }
        let Held::Permit(permit) = &mut self.held else { unreachable!("it has been waited for") };
        let mut permit = permit.take();
        let request = self.take_request();
        if let Err(rejected) = self.mechanisms.check_switch_again() {
            if let Some(permit) = &mut permit {
                permit.finish(Some(Outcome::Ignored), false);
            }
            return Poll::Ready(Resolved::Rejected(request, rejected));
        }
        Poll::Ready(match self.mechanisms.last(permit) {
            Ok(mut guards) => {
                let future = on_behalf_of(&mut guards, || self.service.call(request));
                Resolved::Called(future, guards)
            }
            Err(rejected) => Resolved::Rejected(request, rejected),
        })
    }

    fn take_request(&mut self) -> Request {
        self.request.take().expect("polled after it was ready")
    }
}
