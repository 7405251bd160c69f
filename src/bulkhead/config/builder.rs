//! The setters: plain values, checked together at the end.

use super::BulkheadConfig;
use super::check::Settings;
use crate::bulkhead::handle::Bulkhead;
use crate::bulkhead::limit::AdaptiveLimit;
use crate::bulkhead::partitions::PartitionTotal;
use crate::bulkhead::queue::QueueOrder;
use crate::bulkhead::shedding::Shedding;
use crate::clock::Clock;
use crate::config::{ConfigError, ConfigOnly, Named, builder, setters};
use std::time::Duration;

builder!(BulkheadBuilder<T>, Settings => BulkheadConfig, Bulkhead = "bulkhead", ": 25 calls, none waits");

setters! { BulkheadBuilder<T>.settings:
    /// Calls in flight at most. Default: 25, as in Resilience4j. Valid: 1 to 500,000.
    ///
    /// Calls a second times the seconds that one takes are in flight when all is well (Little's law): take two or
    /// three times that. Smaller rejects bursts; larger lets a slow dependency hold more of the caller's tasks,
    /// sockets and memory.
    pub fn max_concurrent_calls(calls: u32);

    /// How long a call may wait for a permit. Default: 0, a call that finds none is rejected at once. Valid: at
    /// most 1 day; above 0 it needs the feature `tokio`: a future that is polled outside of a tokio runtime does not
    /// wait. The runtime need have no time driver: a thread of Backstop's own ends the wait.
    ///
    /// Longer survives longer bursts and answers later: less than what the caller has left after the call itself
    /// is no use to it.
    pub fn max_wait(wait: Duration);

    /// Calls that may wait at once; more are rejected. Default: 100. Valid: at most 1,000,000, and not 0 if
    /// `max_wait` lets calls wait.
    ///
    /// More than `max_wait` divided by the time of a call, times `max_concurrent_calls`, cannot be served in time.
    pub fn max_queue(calls: u32);

    /// Order in which waiting calls are served. Default: first in, first out.
    pub fn queue_order(order: QueueOrder);

    /// Sheds calls that queue for too long, which depends on how long there has been a queue. Default: none; it
    /// needs a `max_wait`.
    pub fn shedding(shedding: impl Into<Option<Shedding>>) = shedding.into();

    /// Longest time a call may hold its permit. Default: no limit. Valid: 1 ms to 1 day.
    ///
    /// After it the permit is revoked as soon as another call wants one, and a response body that holds it breaks with
    /// [`HoldExpired`](crate::bulkhead::HoldExpired), if the feature `tokio` has a timer for it. It is for clients
    /// that read their response a byte a minute, and for permits that were leaked. The call itself goes on: put a
    /// timeout round it.
    pub fn max_hold(hold: impl Into<Option<Duration>>) = hold.into();

    /// Whether guaranteed shares may exceed the limit while others borrow them. Default: never.
    pub fn partition_total(total: PartitionTotal);
}

impl<T> BulkheadBuilder<T> {
    /// Guarantees a share of the permits to a partition, a tenant or a priority. Default: no partitions. Valid: at
    /// most 64 of different names, each share above 0, all together at most 1.
    ///
    /// A partition's own permits are its share of the limit rounded up, at least one. It borrows what the others
    /// leave idle; calls without a partition only borrow. [`Bulkhead::partition`] gives the handle.
    #[must_use]
    pub fn partition(mut self, name: impl Into<String>, share: f64) -> Self {
        self.settings.partitions.push((name.into(), share));
        self
    }

    /// Lets the measured round trips set the limit, which begins with `max_concurrent_calls`. Default: none.
    ///
    /// A call that succeeds is a round trip; one that failed, or was given up by its caller after longer than calls
    /// usually take, is a drop. The layer's [classifier](crate::bulkhead::BulkheadLayer::classify) says which is which:
    /// by default every response is a success and every error says nothing; with
    /// [`Overload`](crate::classify::Overload) a 429, 503 or 504 is a drop.
    #[must_use]
    pub fn adaptive<A: Into<AdaptiveLimit>>(mut self, adaptive: impl Into<Option<A>>) -> Self {
        self.settings.adaptive = adaptive.into().map(A::into);
        self
    }
}
