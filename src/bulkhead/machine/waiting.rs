//! Calls that wait: who may, how long, and who is next.

use super::{Machine, Room};
use crate::bulkhead::in_flight::CallId;
use crate::bulkhead::queue::{Dequeued, QueueOrder, Waiter};
use crate::clock::Instant;
use crate::reject::RejectReason;
use std::time::Duration;

/// Decision on the next of the waiting calls.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<W> {
    /// Its time is over.
    Rejected(Dequeued<W>),
    /// It gets a permit, which the caller takes.
    Granted(Dequeued<W>, CallId),
}

impl<W> Machine<W> {
    /// A call that may wait enters the queue. Returns its number.
    ///
    /// # Errors
    ///
    /// The queue is full, or there is none.
    pub(crate) fn enqueue(
        &mut self,
        partition: usize,
        max_wait: Duration,
        now: Instant,
        wake: W,
    ) -> Result<u64, RejectReason> {
        if max_wait.is_zero() {
            return Err(RejectReason::Full);
        }
        let places = self.config.max_queue as usize;
        if !self.queue.has_place(partition, places, |partition| self.partitions.own_places(partition, places)) {
            return Err(if places == 0 { RejectReason::Full } else { RejectReason::QueueFull });
        }
        self.note_empty(now);
        let last_empty = self.last_empty[partition];
        let allowed = self.config.shedding.map(|shedding| shedding.allowed_wait(last_empty, now));
        let (wait, on_deadline) = match allowed {
            Some(allowed) if allowed < max_wait => (allowed, RejectReason::Shed),
            _ => (max_wait, RejectReason::WaitTimeout),
        };
        let deadline = now.saturating_add(wait);
        Ok(self.queue.push(partition, Waiter { since: now, deadline, on_deadline, wake }))
    }

    /// The next decision among the waiting calls; `None` while they have to wait.
    pub(crate) fn next(&mut self, room: Room, now: Instant) -> Option<Next<W>> {
        if let Some(gone) = self.queue.expire(now) {
            self.note_empty(now);
            return Some(Next::Rejected(gone));
        }
        let partition = self.next_partition(room)?;
        let id = self.queue.next(partition, self.config.queue_order)?;
        let gone = self.queue.remove(partition, id, now)?;
        self.note_empty(now);
        let hold = self.enter(partition, room.in_flight + 1, now);
        Some(Next::Granted(gone, hold))
    }

    /// The partition that is served next: one below its share first, and among equals who came first.
    fn next_partition(&self, room: Room) -> Option<usize> {
        let order = self.config.queue_order;
        let candidates = (0..self.partitions.len()).filter_map(|partition| {
            let id = self.queue.next(partition, order)?;
            let is_borrowing = !self.partitions.is_below_share(partition, room.limit);
            self.partitions.may_enter(partition, room.in_flight, room.limit).then_some((is_borrowing, id, partition))
        });
        let by_turn = |&(is_borrowing, id, _): &(bool, u64, usize)| match order {
            QueueOrder::Fifo => (is_borrowing, id),
            QueueOrder::Lifo => (is_borrowing, u64::MAX - id),
        };
        candidates.min_by_key(by_turn).map(|(_, _, partition)| partition)
    }

    /// A call no longer waits. None if it already did not.
    pub(crate) fn leave(&mut self, partition: usize, id: u64, now: Instant) -> Option<Dequeued<W>> {
        let gone = self.queue.remove(partition, id, now)?;
        self.note_empty(now);
        Some(gone)
    }

    /// The wakers of all waiting calls: the time of their next look may have changed.
    pub(crate) fn wakes(&mut self) -> impl Iterator<Item = &mut W> {
        self.queue.iter_mut().map(|waiter| &mut waiter.wake)
    }

    fn note_empty(&mut self, now: Instant) {
        for (partition, last_empty) in self.last_empty.iter_mut().enumerate() {
            if self.queue.is_empty(partition) {
                *last_empty = now;
            }
        }
    }

    /// A waiting call's own place, to change what wakes it, and when it is time to look again.
    pub(crate) fn waiting(&mut self, partition: usize, id: u64) -> Option<(&mut W, Instant)> {
        let freed_at = match (self.config.max_hold, self.holds.oldest_bound()) {
            (Some(max_hold), Some(oldest)) => oldest.saturating_add(max_hold),
            _ => Instant::NEVER,
        };
        let waiter = self.queue.get_mut(partition, id)?;
        Some((&mut waiter.wake, waiter.deadline.min(freed_at)))
    }
}
