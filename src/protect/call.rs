//! Calls without Tower.

use super::begin::Pending;
use super::future::finish;
use super::guards::{Guards, GuardsOf};
use super::layer::Protect;
use super::targets::{Anyone, CallTargets};
use crate::bulkhead;
use crate::circuit_breaker;
use crate::classify::{Auto, ByType, Classify};
use crate::guarded::{Admission as _, poll_call};
use crate::outcome::Side;
use crate::reject::{AsError, CallError, Rejected};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Result of a call, guarded by `G`.
type Answer<C, R, E, G> = Result<<C as Classify<R, E>>::Response<G>, CallError<E>>;

/// Without a kill switch and without keys.
impl<L> Protect<Anyone, Auto, AsError, L> {
    /// Runs a future if the mechanisms let it. The bulkhead may let it wait. The result is judged as by
    /// [`CircuitBreaker::call`](crate::CircuitBreaker::call).
    ///
    /// A layer that has a kill switch or keys finds them in a request: [`call_for`](Self::call_for). One with a
    /// classifier or a responder is for services; see [`call_with`](Self::call_with).
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the call counts as abandoned or leaves the queue, and every place it holds is free at
    /// once; dropped before its first poll, it counts as nothing.
    pub fn call<R: 'static, E: 'static>(
        &self,
        future: impl Future<Output = Result<R, E>>,
    ) -> impl Future<Output = Result<R, CallError<E>>>
    where
        L: Classify<R, E>,
    {
        self.call_with(future, &ByType)
    }

    /// Runs a future if the mechanisms let it; `classifier` says how it ended.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub fn call_with<R, E, C: Classify<R, E>>(
        &self,
        future: impl Future<Output = Result<R, E>>,
        classifier: &C,
    ) -> impl Future<Output = Answer<C, R, E, Guards>>
    where
        L: Classify<R, E>,
    {
        self.call_for_with(&(), future, classifier)
    }
}

impl<T, L, B, H> Protect<T, Auto, AsError, L, B, H> {
    /// Runs a future if the mechanisms let it. The [target](Self::target) and the keys are those of `request`, which
    /// may be of any type.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Protect::call).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "kill-switch")] {
    /// use backstop::bulkhead::keyed::KeyedBulkhead;
    /// use backstop::kill_switch::{KillSwitch, Target};
    /// use backstop::{CallError, CircuitBreaker, protect};
    ///
    /// struct Order {
    ///     tenant: String,
    /// }
    ///
    /// # async fn save(order: &Order) -> Result<(), std::io::Error> { Ok(()) }
    /// async fn place(
    ///     order: &Order,
    ///     switch: &KillSwitch,
    ///     breaker: &CircuitBreaker,
    ///     tenants: &KeyedBulkhead<String>,
    /// ) -> Result<(), CallError<std::io::Error>> {
    ///     let orders = protect()
    ///         .kill_switch(switch)
    ///         .target(|order: &Order| Target::new().tenant(&order.tenant))
    ///         .circuit_breaker(breaker)
    ///         .keyed_bulkhead(tenants, |order: &Order| order.tenant.clone());
    ///     orders.call_for(order, save(order)).await
    /// }
    /// # }
    /// ```
    ///
    /// A kill switch without a target would let calls of a blocked tenant through. That does not compile:
    ///
    /// ```compile_fail,E0277
    /// # use backstop::{KillSwitch, protect};
    /// # async fn example(switch: KillSwitch) {
    /// protect().kill_switch(&switch).call_for(&"acme", async { Ok::<_, std::io::Error>(7) }).await;
    /// // error[E0277]: this kill switch does not know whom the call is for
    /// # }
    /// ```
    pub fn call_for<Request, R: 'static, E: 'static>(
        &self,
        request: &Request,
        future: impl Future<Output = Result<R, E>>,
    ) -> impl Future<Output = Result<R, CallError<E>>>
    where
        T: CallTargets<Request>,
        L: Classify<R, E>,
        B: circuit_breaker::Select<Request>,
        H: bulkhead::Select<Request>,
    {
        self.call_for_with(request, future, &ByType)
    }

    /// Runs a future if the mechanisms let it, as [`call_for`](Self::call_for); `classifier` says how it ended.
    ///
    /// # Errors
    ///
    /// As [`call_for`](Self::call_for).
    ///
    /// # Cancel safety
    ///
    /// As [`call_for`](Self::call_for).
    pub fn call_for_with<Request, R, E, C: Classify<R, E>>(
        &self,
        request: &Request,
        future: impl Future<Output = Result<R, E>>,
        classifier: &C,
    ) -> impl Future<Output = Answer<C, R, E, GuardsOf<Request, B, H>>>
    where
        T: CallTargets<Request>,
        L: Classify<R, E>,
        B: circuit_breaker::Select<Request>,
        H: bulkhead::Select<Request>,
    {
        let ask = || {
            self.mechanisms.check_switch(&self.targets, request)?;
            let chosen = self.mechanisms.choose(request);
            let held = chosen.hold()?;
            Ok(Pending::new(chosen, held, self.side == Some(Side::Inbound)))
        };
        Guarded { future, stage: Stage::New(ask), classifier, load: &self.load }
    }
}

/// Progress of a call.
enum Stage<A, B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> {
    /// Not polled yet: nothing was asked.
    New(A),
    Waiting(Pending<B, H>),
    Called(Guards<B, H>),
}

pin_project! {
    /// A call without Tower, which asks for its permits when it is first polled.
    struct Guarded<'c, 'l, F, C, L, A, B: circuit_breaker::PermitOwner, H: bulkhead::PermitOwner> {
        #[pin]
        future: F,
        stage: Stage<A, B, H>,
        classifier: &'c C,
        load: &'l L,
    }
}

impl<F, C, L, A, B, H, R, E> Future for Guarded<'_, '_, F, C, L, A, B, H>
where
    F: Future<Output = Result<R, E>>,
    C: Classify<R, E>,
    L: Classify<R, E>,
    A: Fn() -> Result<Pending<B, H>, Rejected>,
    B: circuit_breaker::PermitOwner,
    H: bulkhead::PermitOwner,
{
    type Output = Answer<C, R, E, Guards<B, H>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Stage::New(ask) = this.stage {
            *this.stage = Stage::Waiting(ask()?);
        }
        if let Stage::Waiting(pending) = this.stage {
            ready!(pending.poll(cx))?;
            *this.stage = Stage::Called(pending.admit()?);
        }
        let Stage::Called(guards) = this.stage else { unreachable!("it has been let through") };
        let result = ready!(poll_call(this.future, guards, cx));
        let recover = |failed| (failed, false);
        Poll::Ready(finish(result, guards, *this.classifier, *this.load, recover, CallError::Inner))
    }
}
