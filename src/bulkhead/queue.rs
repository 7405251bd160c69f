//! Calls that wait, in their order.
//!
//! ```text
//!  push ──▶ waiting ──▶ granted        the one that `next` finds
//!              ├──────▶ out of time    `expire`, at its deadline
//!              └──────▶ left           `remove`: the caller went away
//! ```
//!
//! Each partition has a queue of its own, so that a partition at its limit does not hold up the others.

use crate::clock::Instant;
use crate::reject::RejectReason;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Order in which waiting calls are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum QueueOrder {
    /// First in, first out: fair. Under a lasting overload every call waits as long as it may, and many are
    /// answered when their callers have given up.
    #[default]
    Fifo,
    /// Last in, first out: the newest calls are answered in time, at the expense of those that wait already.
    Lifo,
}

/// A waiting call; `W` is what wakes it.
#[derive(Debug)]
pub(crate) struct Waiter<W> {
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
    /// Reason of its rejection when its time is over.
    pub(crate) on_deadline: RejectReason,
    pub(crate) wake: W,
}

/// A call that no longer waits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dequeued<W> {
    pub(crate) id: u64,
    pub(crate) waited: Duration,
    pub(crate) on_deadline: RejectReason,
    pub(crate) wake: W,
}

#[derive(Debug)]
pub(crate) struct Queue<W> {
    /// By partition, then by arrival.
    waiting: Vec<BTreeMap<u64, Waiter<W>>>,
    /// By deadline: partition and arrival.
    deadlines: BTreeSet<(Instant, u64, usize)>,
    arrivals: u64,
}

impl<W> Queue<W> {
    pub(crate) fn new(partitions: usize) -> Self {
        let waiting = (0..partitions.max(1)).map(|_| BTreeMap::new()).collect();
        Self { waiting, deadlines: BTreeSet::new(), arrivals: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// Returns whether no call of a partition waits.
    pub(crate) fn is_empty(&self, partition: usize) -> bool {
        self.waiting[partition].is_empty()
    }

    /// Whether a call of a partition may wait, where `own(partition)` of the `places` are kept for each: a backlog of
    /// one must not shut out the others.
    pub(crate) fn has_place(&self, partition: usize, places: usize, own: impl Fn(usize) -> usize) -> bool {
        let kept = self.waiting.iter().enumerate().map(|(i, waiting)| waiting.len().max(own(i))).sum::<usize>();
        self.len() < places && (self.waiting[partition].len() < own(partition) || kept < places)
    }

    /// Adds a call and returns its number.
    pub(crate) fn push(&mut self, partition: usize, waiter: Waiter<W>) -> u64 {
        self.arrivals += 1;
        self.deadlines.insert((waiter.deadline, self.arrivals, partition));
        self.waiting[partition].insert(self.arrivals, waiter);
        self.arrivals
    }

    /// The number of the call that a partition would serve next.
    pub(crate) fn next(&self, partition: usize, order: QueueOrder) -> Option<u64> {
        let waiting = &self.waiting[partition];
        let (id, _) = match order {
            QueueOrder::Fifo => waiting.first_key_value(),
            QueueOrder::Lifo => waiting.last_key_value(),
        }?;
        Some(*id)
    }

    pub(crate) fn get_mut(&mut self, partition: usize, id: u64) -> Option<&mut Waiter<W>> {
        self.waiting[partition].get_mut(&id)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiter<W>> {
        self.waiting.iter_mut().flat_map(BTreeMap::values_mut)
    }

    /// Takes a call out, if it still waits.
    pub(crate) fn remove(&mut self, partition: usize, id: u64, now: Instant) -> Option<Dequeued<W>> {
        let Waiter { since, deadline, on_deadline, wake } = self.waiting[partition].remove(&id)?;
        self.deadlines.remove(&(deadline, id, partition));
        Some(Dequeued { id, waited: now.saturating_duration_since(since), on_deadline, wake })
    }

    /// Takes out a call whose time is over, the earliest deadline first.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Dequeued<W>> {
        let (deadline, id, partition) = *self.deadlines.first()?;
        if deadline.is_reached(now) { self.remove(partition, id, now) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(deadline: u64) -> Waiter<()> {
        let deadline = Instant::from_nanos(deadline);
        Waiter { since: Instant::default(), deadline, on_deadline: RejectReason::WaitTimeout, wake: () }
    }

    #[test]
    fn the_order_says_who_is_next() {
        let mut queue = Queue::new(1);
        let ids: Vec<_> = (0..3).map(|_| queue.push(0, waiter(9))).collect();
        assert_eq!(queue.next(0, QueueOrder::Fifo), Some(ids[0]));
        assert_eq!(queue.next(0, QueueOrder::Lifo), Some(ids[2]));
        queue.remove(0, ids[2], Instant::default()).unwrap();
        assert_eq!(queue.next(0, QueueOrder::Lifo), Some(ids[1]));
    }

    #[test]
    fn calls_run_out_of_time_at_their_own_deadlines_whatever_the_order() {
        let mut queue = Queue::new(2);
        let late = queue.push(0, waiter(20));
        let soon = queue.push(1, waiter(10));
        let never = queue.push(0, waiter(u64::MAX));
        assert_eq!(queue.expire(Instant::from_nanos(9)), None);
        assert_eq!(queue.expire(Instant::from_nanos(10)).unwrap().id, soon);
        assert_eq!(queue.expire(Instant::from_nanos(10)), None);
        let gone = queue.expire(Instant::NEVER).unwrap();
        assert_eq!((gone.id, queue.len()), (late, 1));
        assert_eq!(queue.expire(Instant::NEVER), None);
        assert!(queue.remove(0, never, Instant::default()).is_some());
        assert!(queue.is_empty(0) && queue.is_empty(1));
    }

    #[test]
    fn a_backlog_of_one_partition_leaves_the_others_their_places() {
        let own = |partition| [0, 7, 3][partition];
        let mut queue = Queue::new(3);
        while queue.has_place(2, 10, own) {
            queue.push(2, waiter(9));
        }
        assert_eq!(queue.len(), 3, "the others' seven are not lent");
        assert!(!queue.has_place(0, 10, own), "nor to calls without a partition");
        while queue.has_place(1, 10, own) {
            queue.push(1, waiter(9));
        }
        assert_eq!(queue.len(), 10);
    }

    #[test]
    fn a_call_is_taken_out_once() {
        let mut queue = Queue::new(1);
        let id = queue.push(0, waiter(5));
        assert!(queue.remove(0, id, Instant::from_nanos(3)).is_some());
        assert!(queue.remove(0, id, Instant::from_nanos(3)).is_none());
        assert!(queue.get_mut(0, id).is_none());
    }
}
