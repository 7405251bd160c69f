//! Progress of a call behind a mechanism.

use crate::reject::{OnReject, Rejected};
use pin_project_lite::pin_project;

pin_project! {
    #[project = StateProjected]
    /// Progress of a call: `G` guards it, `D` is a deferred request, or `Infallible` if none can wait.
    pub(crate) enum State<F, G, D, Rejection> {
        Called { #[pin] future: F, guard: G },
        Deferred { deferred: D },
        Rejected { rejection: Option<Rejection> },
    }
}

impl<F, G, D, Rejection> State<F, G, D, Rejection> {
    /// Rejects the request.
    #[inline]
    pub(crate) fn rejected<Request, R, O, E, P>(
        request: Request,
        rejected: Rejected,
        on_reject: &P,
        count_fallback: impl FnOnce(&Rejected),
    ) -> Self
    where
        P: OnReject<Request, R, O, E, Rejection = Rejection>,
    {
        if P::IS_FALLBACK {
            count_fallback(&rejected);
        }
        Self::Rejected { rejection: Some(on_reject.reject(request, rejected)) }
    }
}
