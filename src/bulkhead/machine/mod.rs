//! Decisions of a bulkhead for calls that cannot take a permit at once. Pure: state, input and time in, values out.
//!
//! ```text
//!              room                         ┌──▶ granted ──▶ in flight ──▶ exit
//!  call ──────────────────────────▶ in flight   ▲ room: `next`
//!    └── no room ──▶ waiting ───────────────────┘
//!           │           ├──▶ out of time, shed: `next`
//!           │           └──▶ left
//!           └── no wait, or the queue is full ──▶ rejected
//! ```
//!
//! How many calls are in flight stands in the [permits](super::permits), where calls that need no thought count
//! without a lock; here it is an argument.

pub(super) mod waiting;

use super::config::BulkheadConfig;
use super::in_flight::{CallId, InFlight, Reported, Timed};
use super::limit::limiter::Limiter;
use super::limit::sample::Sample;
use super::partitions::Partitions;
use super::queue::Queue;
use crate::clock::{Instant, nanos};
use crate::outcome::Outcome;
use crate::upload::Upload;
use std::sync::Arc;
use std::time::Duration;

/// Calls in flight and how many there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) in_flight: u32,
    pub(crate) limit: u32,
}

/// End of a call that was in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Its permit had been revoked.
    pub(crate) is_late: bool,
    /// The new limit, if it changed.
    pub(crate) limit: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Machine<W> {
    config: Arc<BulkheadConfig>,
    queue: Queue<W>,
    /// Time at which each partition's queue was last empty.
    last_empty: Vec<Instant>,
    partitions: Partitions,
    holds: InFlight,
    limiter: Option<Limiter>,
    /// Usual round trip: a moving mean of about the last eight.
    usual: Duration,
}

impl<W> Machine<W> {
    pub(crate) fn new(config: Arc<BulkheadConfig>) -> Self {
        let partitions = Partitions::new(config.partition_total, config.shares());
        Self {
            queue: Queue::new(partitions.len()),
            last_empty: vec![Instant::default(); partitions.len()],
            partitions,
            holds: InFlight::default(),
            limiter: config.limiter(config.max_concurrent_calls),
            usual: Duration::ZERO,
            config,
        }
    }

    pub(crate) fn config(&self) -> &Arc<BulkheadConfig> {
        &self.config
    }

    /// The limit that it begins with.
    pub(crate) fn limit(&self) -> u32 {
        self.limiter.as_ref().map_or(self.config.max_concurrent_calls, Limiter::limit)
    }

    pub(crate) fn queue_depth(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn partition(&self, partition: usize, limit: u32) -> (u32, u32) {
        (self.partitions.in_flight(partition), self.partitions.guaranteed(partition, limit))
    }

    /// The age of the oldest call in flight, if calls are timed.
    pub(crate) fn oldest_age(&mut self, now: Instant) -> Option<Duration> {
        self.holds.oldest_age(now)
    }

    /// Takes new settings; what waits and what is in flight stays. Returns the limit.
    ///
    /// The partitions are those of before, in the same order: their shares may differ.
    pub(crate) fn reconfigure(&mut self, config: Arc<BulkheadConfig>, limit: u32) -> u32 {
        self.partitions.reshare(config.partition_total, config.shares());
        let is_same_limit = config.max_concurrent_calls == self.config.max_concurrent_calls;
        if !is_same_limit || config.adaptive != self.config.adaptive {
            // Of values learned by other rules only the limit is kept; by the same rules, all of them.
            let limit = self.limiter.as_ref().map_or(limit, Limiter::settled);
            self.limiter = config.limiter(if is_same_limit { limit } else { config.max_concurrent_calls });
        }
        self.config = config;
        self.limit()
    }

    /// Sets the limit by hand; an adaptive one goes on from there. Returns the limit, which has bounds.
    pub(crate) fn resize(&mut self, limit: u32) -> u32 {
        if let Some(limiter) = &mut self.limiter {
            limiter.set_limit(limit);
        }
        let limit = self.limiter.as_ref().map_or(limit, Limiter::limit);
        Arc::make_mut(&mut self.config).max_concurrent_calls = limit;
        limit
    }

    // ---- calls in flight

    /// Returns whether a call may take a permit now. The queue has been served.
    pub(crate) fn may_enter(&self, partition: usize, room: Room) -> bool {
        self.partitions.may_enter(partition, room.in_flight, room.limit)
    }

    /// A call takes a permit; `in_flight` counts it already.
    pub(crate) fn enter(&mut self, partition: usize, in_flight: u32, now: Instant) -> CallId {
        if !self.config.needs_lock() {
            return CallId::NONE;
        }
        self.partitions.enter(partition);
        self.holds.insert(Timed { since: now, in_flight, partition, told: Reported::Nothing, upload: None })
    }

    /// A call that was let in when nothing was noted of calls has ended, or one that was.
    pub(crate) fn exit(&mut self, id: CallId, outcome: Option<Outcome>, now: Instant) -> Exit {
        if id == CallId::NONE {
            return Exit { is_late: false, limit: None };
        }
        let limit = outcome.and_then(|outcome| self.sample(id, outcome, now));
        match self.holds.remove(id) {
            Some(hold) => self.partitions.exit(hold.partition),
            None => return Exit { is_late: true, limit },
        }
        Exit { is_late: false, limit }
    }

    /// Returns whether the time of answers matters: the limit follows it.
    pub(crate) fn times_answers(&self) -> bool {
        self.limiter.is_some()
    }

    /// The handler of a call may wait for its caller's body, which is no part of the round trip.
    pub(crate) fn follow_upload(&mut self, id: CallId, upload: Upload) {
        if let Some(hold) = self.holds.get_mut(id) {
            hold.upload = Some(upload);
        }
    }

    /// Reports a call to the limiter: its round trip once, and that it failed, after its answer perhaps. Returns the
    /// limit if it changed.
    pub(crate) fn sample(&mut self, id: CallId, outcome: Outcome, now: Instant) -> Option<u32> {
        let limiter = self.limiter.as_mut()?;
        let hold = self.holds.get_mut(id)?;
        let waited = hold.upload.as_ref().map_or(Duration::ZERO, |upload| match outcome {
            Outcome::Abandoned => upload.waited_until(now),
            _ => upload.waited(),
        });
        let round_trip = now.saturating_duration_since(hold.since.saturating_add(waited));
        let is_long = !self.usual.is_zero() && round_trip > 2 * self.usual;
        let told = match outcome {
            Outcome::Success => Reported::Answer,
            Outcome::Failure => Reported::Drop,
            // A caller that gives up early says nothing about the load, one that had to wait for long does. Before
            // the first answer, it is unknown what is long.
            Outcome::Abandoned if hold.told == Reported::Nothing && is_long => Reported::Drop,
            Outcome::Abandoned | Outcome::Ignored | Outcome::Panicked => Reported::Nothing,
        };
        if told == Reported::Nothing || hold.told == told || hold.told == Reported::Drop {
            return None;
        }
        hold.told = told;
        let sample = Sample::new(round_trip, hold.in_flight);
        if told == Reported::Answer {
            self.usual = if self.usual.is_zero() { round_trip } else { (self.usual * 7 + round_trip) / 8 };
        }
        let before = limiter.limit();
        let limit = limiter.observe(if told == Reported::Drop { sample.dropped() } else { sample });
        (limit != before).then_some(limit)
    }

    /// Takes away the permits that were held for too long. Returns how many, and the limit if that changed it: calls
    /// that hang are the worst sign there is.
    pub(crate) fn expire_holds(&mut self, now: Instant) -> (usize, Option<u32>) {
        let deadline = self.config.max_hold.and_then(|max_hold| now.as_nanos().checked_sub(nanos(max_hold)));
        let Some(deadline) = deadline else { return (0, None) };
        let over = self.holds.expire(Instant::from_nanos(deadline));
        let before = self.limit();
        for hold in &over {
            self.partitions.exit(hold.partition);
            let is_known = hold.told == Reported::Drop || hold.upload.as_ref().is_some_and(Upload::is_waiting);
            if let Some(limiter) = self.limiter.as_mut().filter(|_| !is_known) {
                limiter.observe(Sample::new(now.saturating_duration_since(hold.since), hold.in_flight).dropped());
            }
        }
        let limit = self.limit();
        (over.len(), (limit != before && self.limiter.is_some()).then_some(limit))
    }

    /// The end of the permit's `max_hold`; `None` if it was revoked.
    #[cfg(feature = "http")]
    pub(crate) fn held_until(&mut self, id: CallId) -> Option<Instant> {
        let since = self.holds.get_mut(id)?.since;
        Some(self.config.max_hold.map_or(Instant::NEVER, |max_hold| since.saturating_add(max_hold)))
    }

    /// Returns whether a permit is still its holder's.
    pub(crate) fn is_held(&mut self, id: CallId) -> bool {
        self.holds.get_mut(id).is_some()
    }

    /// Returns whether calls are timed that may have to give their permits back.
    pub(crate) fn times_holds(&self) -> bool {
        self.config.max_hold.is_some() && self.holds.oldest_bound().is_some()
    }

    /// Forgets every call in flight.
    pub(crate) fn clear(&mut self) {
        self.holds.clear_all();
        self.partitions.clear();
    }
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::waiting::Next;
    use super::*;
    use crate::bulkhead::config::builder::BulkheadBuilder;
    use crate::bulkhead::limit::aimd::Aimd;
    use crate::bulkhead::shedding::Shedding;
    use crate::config::ConfigOnly;
    use crate::reject::RejectReason;

    const WAIT: Duration = Duration::from_millis(50);

    fn at(millis: u64) -> Instant {
        Instant::default().saturating_add(Duration::from_millis(millis))
    }

    fn machine(set: impl FnOnce(BulkheadBuilder<ConfigOnly>) -> BulkheadBuilder<ConfigOnly>) -> Machine<()> {
        let builder = BulkheadConfig::builder().max_concurrent_calls(10).max_wait(WAIT);
        Machine::new(Arc::new(set(builder).build().unwrap()))
    }

    fn full(limit: u32) -> Room {
        Room { in_flight: limit, limit }
    }

    fn one_free(limit: u32) -> Room {
        Room { in_flight: limit - 1, limit }
    }

    fn granted(next: Option<Next<()>>) -> u64 {
        match next {
            Some(Next::Granted(gone, _)) => gone.id,
            other => panic!("no call was let in: {other:?}"),
        }
    }

    #[test]
    fn a_partition_below_its_share_goes_before_those_that_borrow() {
        let mut machine = machine(|builder| builder.partition("live", 0.7).partition("batch", 0.3));
        for taken in 1..=10 {
            machine.enter(2, taken, at(0)); // batch borrows all
        }
        let first = machine.enqueue(2, WAIT, at(1), ()).unwrap();
        let owner = machine.enqueue(1, WAIT, at(2), ()).unwrap();
        assert_eq!(machine.next(full(10), at(3)), None);
        assert_eq!(granted(machine.next(one_free(10), at(3))), owner);
        assert_eq!(granted(machine.next(one_free(10), at(3))), first);
    }

    #[test]
    fn a_call_whose_time_is_over_gets_no_permit_although_one_is_free() {
        let mut machine = machine(|builder| builder);
        let late = machine.enqueue(0, WAIT, at(0), ()).unwrap();
        let next = machine.enqueue(0, WAIT, at(1), ()).unwrap();
        match machine.next(one_free(10), at(50)) {
            Some(Next::Rejected(gone)) => assert_eq!((gone.id, gone.on_deadline), (late, RejectReason::WaitTimeout)),
            other => panic!("it was not told: {other:?}"),
        }
        assert_eq!(granted(machine.next(one_free(10), at(50))), next);
    }

    #[test]
    fn a_queue_that_stands_sheds_before_the_longest_wait() {
        let shedding = Shedding::new().interval(Duration::from_millis(20));
        let mut machine = machine(|builder| builder.shedding(shedding));
        for (now, deadline) in [(0, 20), (10, 30), (21, 26)] {
            let id = machine.enqueue(0, WAIT, at(now), ()).unwrap();
            assert_eq!(machine.waiting(0, id).unwrap().1, at(deadline), "queued at {now} ms");
        }
        while machine.next(full(10), at(60)).is_some() {}
        let id = machine.enqueue(0, WAIT, at(61), ()).unwrap();
        assert_eq!(machine.waiting(0, id).unwrap().1, at(81), "the queue was empty a moment ago");
    }

    #[test]
    fn a_limit_hears_of_each_call_once_and_of_callers_that_leave_early_never() {
        let mut machine = machine(|builder| builder.adaptive(Aimd::new().window(1)));
        let mut call = |lasts: u64, outcome| {
            let id = machine.enter(0, 10, at(0));
            let told = machine.sample(id, outcome, at(lasts));
            assert_eq!(machine.exit(id, Some(outcome), at(lasts)), Exit { is_late: false, limit: None });
            told
        };
        assert_eq!(call(100, Outcome::Success), Some(11));
        assert_eq!(call(1, Outcome::Abandoned), None);
        assert_eq!(call(1, Outcome::Ignored), None);
        assert_eq!(call(150, Outcome::Abandoned), None, "longer than usual, and not by much");
        assert_eq!(call(201, Outcome::Abandoned), Some(9));
    }

    #[test]
    fn a_permit_that_is_held_for_too_long_is_taken_away_and_comes_back_late() {
        let mut machine = machine(|builder| builder.max_hold(Duration::from_secs(1)).partition("live", 0.5));
        let (old, new) = (machine.enter(1, 1, at(0)), machine.enter(1, 2, at(500)));
        assert_eq!(machine.expire_holds(at(999)).0, 0);
        assert_eq!(machine.expire_holds(at(1_000)).0, 1);
        assert_eq!(machine.partition(1, 10), (1, 5));
        assert!(machine.exit(old, None, at(1_001)).is_late);
        assert!(!machine.exit(new, None, at(1_001)).is_late);
        assert_eq!(machine.partition(1, 10), (0, 5));
    }
}
