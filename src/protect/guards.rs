//! Permits of one call.

use crate::bulkhead::{self, Bulkhead};
use crate::circuit_breaker::{self, CircuitBreaker};
use crate::outcome::{Classification, Outcome, Settle};

/// The permits of one call. They travel with its future, and with the response's body if its end decides.
#[derive(Debug)]
pub struct Guards<B: circuit_breaker::PermitOwner = CircuitBreaker, H: bulkhead::PermitOwner = Bulkhead> {
    pub(super) breaker: Option<circuit_breaker::Permit<B>>,
    pub(super) bulkhead: Option<bulkhead::Permit<H>>,
}

/// The permits of a request, by the mechanisms of its layer.
pub(super) type GuardsOf<Request, B, H> =
    Guards<<B as circuit_breaker::Select<Request>>::PermitOwner, <H as bulkhead::Select<Request>>::PermitOwner>;

impl<B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> Default for Guards<B, H> {
    #[inline]
    fn default() -> Self {
        Self { breaker: None, bulkhead: None }
    }
}

impl<B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> Guards<B, H> {
    /// The bulkhead's permit, if the response's body holds it.
    #[inline]
    pub(super) fn held_on(&self) -> Option<&bulkhead::Permit<H>> {
        self.bulkhead.as_ref().filter(|permit| permit.is_until_body_end())
    }

    /// Watches the request's body: for the breaker, else for an inbound bulkhead that times answers.
    pub(super) fn watch_upload<Request: 'static>(&mut self, request: &mut Request, is_inbound: bool) {
        let bulkhead = self.bulkhead.as_ref().filter(|_| is_inbound);
        let by_breaker = self.breaker.as_ref().and_then(|permit| permit.watch_upload(request));
        let Some(upload) = by_breaker.or_else(|| bulkhead?.watch_upload(request)) else { return };
        if let Some(permit) = bulkhead {
            permit.follow_upload(upload.clone());
        }
        if let Some(permit) = &mut self.breaker {
            permit.set_upload(upload);
        }
    }

    /// The response's head is there; the bulkhead's permit ends here unless it is held until the body ends.
    #[inline]
    pub(super) fn release_bulkhead(&mut self, outcome: Outcome) {
        if let Some(permit) = &mut self.bulkhead {
            permit.finish(Some(outcome), false);
        }
    }
}

impl<B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> Settle for Guards<B, H> {
    #[inline]
    fn settle(&mut self, classification: Classification) {
        self.breaker.settle(classification);
        self.bulkhead.settle(classification);
    }

    fn pending(&mut self) {
        self.breaker.pending();
    }

    #[inline]
    fn answered(&mut self) {
        self.breaker.answered();
    }

    #[inline]
    fn streams(&mut self) {
        self.breaker.streams();
    }

    #[inline]
    fn is_inbound(&self) -> bool {
        self.breaker.is_inbound()
    }

    fn awaits_frame(&mut self) {
        self.breaker.awaits_frame();
    }

    fn is_stalled(&self) -> bool {
        self.breaker.is_stalled()
    }

    fn fallback_used(&mut self) {
        match &mut self.breaker {
            Some(breaker) => breaker.fallback_used(),
            None => self.bulkhead.fallback_used(),
        }
    }

    fn panicked(&mut self) {
        self.breaker.panicked();
        self.bulkhead.panicked();
    }
}
