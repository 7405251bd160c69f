//! Admission of a call: the mechanisms in their order.

use super::guards::{Guards, GuardsOf};
use super::targets::{KillSwitch, Targets};
use crate::bulkhead::{self, Held, Permit};
use crate::circuit_breaker::owner::Owner as _;
use crate::circuit_breaker::{self, Place};
use crate::guarded::Admission;
use crate::outcome::Outcome;
use crate::reject::{Mechanism, Rejected};
use crate::upload::Upload;
use std::borrow::Cow;
use std::task::{Context, Poll};

/// The mechanisms of a layer.
#[derive(Clone, Debug)]
pub(super) struct Mechanisms<B, H> {
    pub(super) switch: Option<KillSwitch>,
    pub(super) breaker: Option<B>,
    pub(super) bulkhead: Option<H>,
    /// Whether the bulkhead's permit is held until the response's body ends.
    pub(super) holds_body: bool,
}

/// The mechanisms of one request.
pub(super) struct Chosen<'a, B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> {
    switch: Cow<'a, Option<KillSwitch>>,
    breaker: Option<Cow<'a, B>>,
    bulkhead: Option<Cow<'a, H>>,
    holds_body: bool,
}

/// Result of the slow path of admission.
pub(super) enum Begun<B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> {
    /// It may be made now.
    Free(Guards<B, H>),
    /// It holds the bulkhead's permit, or waits for it; the circuit is asked last.
    Held(Held<H>),
}

/// Returns whether the switch blocks every request.
#[cfg_attr(not(feature = "kill-switch"), expect(unused_variables, reason = "there is no switch to ask"))]
#[inline]
fn is_off(switch: Option<&KillSwitch>) -> bool {
    #[cfg(feature = "kill-switch")]
    return switch.is_some_and(|switch| !switch.is_released() && switch.blocks_everybody());
    #[cfg(not(feature = "kill-switch"))]
    false
}

impl<B, H> Mechanisms<B, H> {
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

    /// The switch alone: it has rejected, and the others are not asked.
    pub(super) fn only_switch<D: circuit_breaker::PermitOwner, I: bulkhead::PermitOwner>(&self) -> Chosen<'_, D, I> {
        Chosen { switch: Cow::Borrowed(&self.switch), breaker: None, bulkhead: None, holds_body: false }
    }

    /// The mechanisms of a request.
    #[inline]
    pub(super) fn choose<Request>(&self, request: &Request) -> Chosen<'_, B::PermitOwner, H::PermitOwner>
    where
        B: circuit_breaker::Select<Request>,
        H: bulkhead::Select<Request>,
    {
        Chosen {
            switch: Cow::Borrowed(&self.switch),
            breaker: self.breaker.as_ref().map(|breaker| breaker.select(request)),
            bulkhead: self.bulkhead.as_ref().map(|bulkhead| bulkhead.select(request)),
            holds_body: self.holds_body,
        }
    }

    /// The circuit of every request.
    #[inline]
    pub(super) fn breaker<Request>(&self) -> Option<&B::PermitOwner>
    where
        B: circuit_breaker::Select<Request>,
    {
        self.breaker.as_ref().and_then(B::always)
    }

    /// Fast path: all permits, if no mechanism is keyed.
    #[inline]
    pub(super) fn try_enter_fast<Request: 'static>(
        &self,
        is_inbound: bool,
        request: &mut Request,
    ) -> Option<GuardsOf<Request, B, H>>
    where
        B: circuit_breaker::Select<Request>,
        H: bulkhead::Select<Request>,
    {
        // First: the bulkhead would count a call that is not made. A circuit that lets it through freely keeps no
        // account of it until its end.
        let breaker = match &self.breaker {
            Some(breaker) => {
                let breaker = breaker.always()?;
                Some((breaker, breaker.try_admit_fast()?))
            }
            None => None,
        };
        let bulkhead = match &self.bulkhead {
            Some(bulkhead) => Some(Held::try_enter_fast(bulkhead.always()?)?.until_body_end(self.holds_body)),
            None => None,
        };
        let breaker =
            breaker.map(|(breaker, ticket)| circuit_breaker::Permit::carried(breaker, ticket, is_inbound, request));
        Some(Guards { breaker, bulkhead })
    }

    /// Polls the service for readiness; `None` if the call is going to be rejected: the service may hang.
    #[inline]
    pub(super) fn poll_inner<Request, T>(
        &self,
        place: &mut Place,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>>
    where
        B: circuit_breaker::Select<Request>,
        H: bulkhead::Select<Request>,
    {
        if is_off(self.switch.as_ref()) || self.bulkhead.as_ref().is_some_and(H::is_full) {
            return Poll::Ready(None);
        }
        match self.breaker() {
            Some(breaker) => circuit_breaker::poll_inner(breaker, place, cx, poll),
            None => poll(cx).map(Some),
        }
    }
}

impl<B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> Chosen<'_, B, H> {
    /// Asks the switch again, for a call that has waited: what is off for everybody by now is not called.
    #[cfg_attr(
        not(feature = "kill-switch"),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there is no switch to ask")
    )]
    fn check_switch_again(&self) -> Result<(), Rejected> {
        #[cfg(feature = "kill-switch")]
        if let Some(switch) = (*self.switch).as_ref().filter(|switch| is_off(Some(switch))) {
            switch.check(&crate::kill_switch::Target::new())?;
        }
        Ok(())
    }

    /// Asks an open circuit, then the bulkhead.
    pub(super) fn hold(&self) -> Result<Held<H>, Rejected> {
        if let Some(rejected) = self.breaker.as_ref().and_then(|breaker| breaker.reject_now()) {
            return Err(rejected);
        }
        self.bulkhead.as_ref().map_or(Ok(Held::Permit(None)), |bulkhead| Held::enter(&**bulkhead))
    }

    /// Asks the mechanisms in their order. A service that was not asked whether it is ready is asked before the
    /// circuit.
    pub(super) fn enter(&self, is_ready: bool, is_inbound: bool) -> Result<Begun<B, H>, Rejected> {
        match self.hold()? {
            Held::Permit(permit) if is_ready => self.last(permit, is_inbound).map(Begun::Free),
            held => Ok(Begun::Held(held)),
        }
    }

    /// Asks the circuit, just before the call.
    fn last(&self, bulkhead: Option<Permit<H>>, is_inbound: bool) -> Result<Guards<B, H>, Rejected> {
        let bulkhead = bulkhead.map(|permit| permit.until_body_end(self.holds_body));
        let mut guards = Guards { breaker: None, bulkhead };
        if let Some(breaker) = &self.breaker {
            match circuit_breaker::Permit::enter(&**breaker, is_inbound) {
                Ok(permit) => guards.breaker = Some(permit),
                Err(rejected) => {
                    guards.release_bulkhead(Outcome::Ignored);
                    return Err(rejected);
                }
            }
        }
        Ok(guards)
    }

    /// Counts a fallback at the mechanism that rejected.
    pub(super) fn count_fallback(&self, rejected: &Rejected) {
        #[cfg(feature = "kill-switch")]
        if let Some(switch) = &*self.switch
            && rejected.by() == Mechanism::KillSwitch
        {
            return switch.count_fallback();
        }
        match (&self.breaker, &self.bulkhead) {
            (_, Some(bulkhead)) if rejected.by() == Mechanism::Bulkhead => bulkhead.count_fallback(),
            (Some(breaker), _) => breaker.count_fallback(),
            _ => {}
        }
    }
}

/// Admission of a deferred request: it holds the bulkhead's permit, or waits for it.
pub(super) struct Pending<B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> {
    mechanisms: Chosen<'static, B, H>,
    held: Held<H>,
    is_inbound: bool,
    /// The request's body, watched for the breaker.
    upload: Option<Upload>,
    place: Place,
}

impl<B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> Pending<B, H> {
    pub(super) fn new(mechanisms: Chosen<'_, B, H>, held: Held<H>, is_inbound: bool) -> Self {
        let Chosen { switch, breaker, bulkhead, holds_body } = mechanisms;
        let mechanisms = Chosen {
            switch: Cow::Owned(switch.into_owned()),
            breaker: breaker.map(|breaker| Cow::Owned(breaker.for_call())),
            bulkhead: bulkhead.map(|bulkhead| Cow::Owned(bulkhead.for_call())),
            holds_body,
        };
        Self { mechanisms, held, is_inbound, upload: None, place: Place::default() }
    }

    /// Watches the request's body: for the breaker, else for an inbound bulkhead that times answers.
    pub(super) fn watch_upload<Request: 'static>(&mut self, request: &mut Request) {
        let (breaker, is_inbound) = (self.mechanisms.breaker.as_ref(), self.is_inbound);
        self.upload = breaker.and_then(|breaker| crate::upload::watch(request, &breaker.stopwatch().clock, is_inbound));
        if !is_inbound {
            return;
        }
        self.upload = self.upload.take().or_else(|| self.held.watch_upload(request));
        if let Some(upload) = &self.upload {
            self.held.follow_upload(upload.clone());
        }
    }

    /// Gives the permit back: no call was made.
    fn release(&mut self) {
        if let Some(mut permit) = self.held.take() {
            permit.finish(Some(Outcome::Ignored), false);
        }
    }
}

impl<B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> Admission for Pending<B, H> {
    type Guard = Guards<B, H>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        self.held.poll(cx)
    }

    fn admit(&mut self) -> Result<Guards<B, H>, Rejected> {
        if let Err(rejected) = self.mechanisms.check_switch_again() {
            self.release();
            return Err(rejected);
        }
        let mut guards = self.mechanisms.last(self.held.take(), self.is_inbound)?;
        if let Some((permit, upload)) = guards.breaker.as_mut().zip(self.upload.take()) {
            permit.set_upload(upload);
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
    fn broken(&mut self) -> Guards<B, H> {
        let breaker = self.mechanisms.breaker.as_ref();
        let breaker = breaker.and_then(|breaker| circuit_breaker::Permit::enter(&**breaker, self.is_inbound).ok());
        Guards { breaker, bulkhead: self.held.take() }
    }

    fn count_fallback(&mut self, rejected: &Rejected) {
        self.mechanisms.count_fallback(rejected);
    }
}
