//! One compartment: its permits, and the machine behind a lock for calls that cannot simply take one.
//!
//! Calls are woken and events sent without the lock.
//!
//! While calls wait, `WAITERS` is set and every permit is taken and handed on under the lock, so no call is
//! overtaken. It is set before the queue is served for the first time: a permit that came back just before is
//! seen there, one that comes back later sees the flag.
//!
//! Locking the core recalls the [reserves](super::reserves), so that the permits' word is complete.

use super::config::BulkheadConfig;
use super::counters::{Counters, count};
use super::event::Event;
use super::machine::waiting::Next;
use super::machine::{Machine, Room};
use super::permit_word::{LOCKED, QUEUES, REJECTING, RESERVES, Ticket, WAITERS, Word};
use super::reserves::Permits;
use super::saturation::{Episode, Saturation};
use super::sink::EventSink;
use super::snapshot::Snapshot;
use crate::clock::Instant;
use crate::reject::RejectReason;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::task::Waker;
use std::time::Duration;

/// Looks at whether calls are still rejected.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The permits of one bulkhead or key.
#[derive(Debug)]
pub struct Compartment {
    pub(super) permits: Permits,
    pub(super) rejected: AtomicU64,
    /// Time of the next look whether calls are still rejected, in nanoseconds.
    look_at: AtomicU64,
    /// Made when first needed: most keys of a group never do.
    core: Mutex<Option<Box<Core>>>,
}

/// The locked core.
pub(super) struct CoreGuard<'a>(MutexGuard<'a, Option<Box<Core>>>);

impl Deref for CoreGuard<'_> {
    type Target = Core;

    fn deref(&self) -> &Core {
        self.0.as_ref().expect("made when it was locked")
    }
}

impl DerefMut for CoreGuard<'_> {
    fn deref_mut(&mut self) -> &mut Core {
        self.0.as_mut().expect("made when it was locked")
    }
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) machine: Machine<Option<Waker>>,
    /// For calls that waited and have not looked yet.
    pub(super) answers: HashMap<u64, Answer>,
    /// The permits' own count when last read, and all of them.
    permitted: (u64, u64),
    /// Calls that waited in vain.
    late: u64,
    saturation: Option<Saturation>,
}

impl Core {
    /// Adds up the permits given under the lock, before their count wraps.
    pub(super) fn count_permits(&mut self, word: Word) {
        let (seen, more) = word.permitted_since(self.permitted.0);
        self.permitted = (seen, self.permitted.1 + more);
    }
}

/// Answer to a call that waited.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) result: Result<Ticket, RejectReason>,
    pub(super) waited: Duration,
}

/// Work that is left for after the lock is released.
#[derive(Debug, Default)]
pub(super) struct AfterUnlock {
    wakes: Vec<Waker>,
    has_events: bool,
    /// The caller looks whether a publication is due.
    pub(super) looks: bool,
}

impl AfterUnlock {
    /// Wakes every call that waits: when it has to look again may have changed.
    pub(super) fn wake_waiting(&mut self, core: &mut Core) {
        self.wakes.extend(core.machine.wakes().filter_map(Option::take));
    }
}

#[inline]
pub(super) fn count_exit<S: EventSink>(sink: &S, is_abandoned: bool) {
    sink.count_return();
    if is_abandoned {
        count(&sink.counters().abandoned);
    }
}

pub(super) fn follow_up<S: EventSink>(sink: &S, after: AfterUnlock) {
    wake_all(after.wakes);
    if after.has_events {
        sink.dispatch();
    }
    if after.has_events {
        sink.publish();
    } else if after.looks || sink.asks_to_look() {
        sink.look();
    }
}

pub(super) fn wake_all(wakes: Vec<Waker>) {
    for waker in wakes {
        crate::panic::catch_panic(move || waker.wake()); // foreign code
    }
}

impl Compartment {
    /// Changes the machine under the lock, serves the queue, and does what is left without the lock.
    pub(super) fn change<S: EventSink>(
        &self,
        sink: &S,
        change: impl FnOnce(&Self, &mut Core, Instant) -> Option<Event>,
    ) {
        let now = sink.counters().clock.now();
        let mut after = AfterUnlock::default();
        let mut core = self.core(sink.counters());
        if let Some(event) = change(self, &mut core, now) {
            sink.push(event);
            after.has_events = true;
        }
        self.serve(&mut core, sink, now, &mut after);
        drop(core);
        follow_up(sink, after);
    }

    /// `permits` is of the limit that the settings begin with.
    pub(super) fn new(config: &BulkheadConfig, permits: fn(u32) -> Permits) -> Self {
        let compartment = Self {
            permits: permits(config.first_limit()),
            rejected: AtomicU64::new(0),
            look_at: AtomicU64::new(0),
            core: Mutex::new(None),
        };
        compartment.flag(config);
        compartment
    }

    /// Locks the core, and recalls the reserves.
    fn lock(&self) -> MutexGuard<'_, Option<Box<Core>>> {
        let core = self.core.lock();
        self.permits.recall();
        core
    }

    pub(super) fn core(&self, counters: &Counters) -> CoreGuard<'_> {
        let mut core = self.lock();
        core.get_or_insert_with(|| {
            let machine = Machine::new(counters.config());
            Box::new(Core { machine, answers: HashMap::new(), permitted: (0, 0), late: 0, saturation: None })
        });
        CoreGuard(core)
    }

    fn room(&self) -> Room {
        Room { in_flight: self.permits.word().in_flight(), limit: self.permits.limit() }
    }

    /// Returns whether a call would be rejected now that does not wait.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        let word = self.permits.word();
        word.in_flight() >= self.permits.limit() && !word.has(RESERVES)
    }

    /// Takes a permit, and some more into reserve.
    #[cold]
    #[inline(never)]
    pub(super) fn reserve(&self) -> Result<Word, Word> {
        if let Some(taken) = self.permits.take_from_line() {
            return Ok(taken);
        }
        let _core = self.core.lock();
        self.permits.reserve()
    }

    /// Returns a permit to the reserves, while there are any; `None` if it was revoked.
    pub(super) fn stow(&self, word: Word, epoch: u16) -> Option<Word> {
        if self.permits.give_back_to_line(epoch) {
            return Some(word);
        }
        let _core = self.core.lock();
        self.permits.stow(epoch)
    }

    /// Takes a permit if the machine allows it.
    pub(super) fn claim(&self, core: &Core, partition: usize) -> Option<Word> {
        let room = self.room();
        if !core.machine.may_enter(partition, room) {
            return None;
        }
        // Beside a lock-free caller only the swap is exact; beyond the limit, for a guaranteed share, there is none.
        if room.in_flight < room.limit { self.permits.take(0).ok() } else { Some(self.permits.take_anyway()) }
    }

    /// Gives permits to the calls that wait, and an answer to those whose time is over.
    pub(super) fn serve<S: EventSink>(&self, core: &mut Core, sink: &S, now: Instant, after: &mut AfterUnlock) {
        if self.is_full() {
            let (revoked, limit) = core.machine.expire_holds(now);
            for _ in 0..revoked {
                self.permits.give_back(self.permits.word().epoch());
                count_exit(sink, true);
                count(&sink.counters().revoked);
            }
            if let Some(limit) = limit {
                self.permits.set_limit(limit);
            }
        }
        let times_holds = core.machine.times_holds();
        while let Some(next) = core.machine.next(self.room(), now) {
            let (gone, result) = match next {
                Next::Rejected(gone) => {
                    self.note_rejection(core, sink, now, after);
                    core.late += 1;
                    sink.counters().count_late(gone.on_deadline);
                    let reason = gone.on_deadline;
                    (gone, Err(reason))
                }
                Next::Granted(gone, hold) => {
                    let word = self.permits.take_anyway();
                    sink.count_permit();
                    core.count_permits(word);
                    after.looks |= word.looks();
                    (gone, Ok(Ticket { hold, epoch: word.epoch() }))
                }
            };
            sink.counters().waiting.fetch_sub(1, Ordering::Relaxed);
            core.answers.insert(gone.id, Answer { result, waited: gone.waited });
            after.wakes.extend(gone.wake);
        }
        if times_holds != core.machine.times_holds() {
            // The first call that may have to give its permit back: who waits has to look then.
            after.wake_waiting(core);
        }
        let waits = core.machine.queue_depth() > 0;
        if waits != self.permits.word().has(WAITERS) {
            self.permits.set(WAITERS, waits);
        }
    }

    /// Brings the flags in line with the settings.
    pub(super) fn flag(&self, config: &BulkheadConfig) {
        self.permits.set(LOCKED, config.needs_lock());
        self.permits.set(QUEUES, config.queues());
    }

    /// Takes new settings, if it has not needed its machine yet.
    pub(super) fn refit_unused(&self, config: &BulkheadConfig) -> bool {
        let core = self.lock();
        if core.is_none() {
            self.permits.set_limit(config.first_limit());
            self.flag(config);
        }
        core.is_none()
    }

    // ---- saturation

    fn rejections(&self, core: &Core) -> u64 {
        core.late + self.rejected.load(Ordering::Relaxed)
    }

    pub(super) fn note_rejection<S: EventSink>(
        &self,
        core: &mut Core,
        sink: &S,
        now: Instant,
        after: &mut AfterUnlock,
    ) {
        if core.saturation.is_none() {
            core.saturation = Some(Saturation::begin(now, self.rejections(core)));
            self.permits.set(REJECTING, true);
            sink.push(Event::Saturated { name: sink.counters().name, at: now, load: self.load(core) });
            after.has_events = true;
        }
    }

    /// The queue is no longer inspected: calls are not rejected any more.
    pub(super) fn end_saturation<S: EventSink>(&self, sink: &S) {
        self.change(sink, |_, core, now| {
            let over = core.saturation.take()?.end(self.rejections(core));
            self.permits.set(REJECTING, false);
            Some(self.recovered(core, sink, now, &over))
        });
    }

    /// Looks, now and then, whether calls are still rejected.
    pub(super) fn look<S: EventSink>(&self, sink: &S, at_once: bool) {
        let now = sink.counters().clock.coarse();
        if !at_once && now.as_nanos() < self.look_at.load(Ordering::Relaxed) {
            return;
        }
        self.look_at.store(now.saturating_add(LOOK_EVERY).as_nanos(), Ordering::Relaxed);
        self.change(sink, |_, core, now| {
            let rejected = self.rejections(core);
            let over = core.saturation.as_mut()?.look(now, rejected)?;
            core.saturation = None;
            self.permits.set(REJECTING, false);
            Some(self.recovered(core, sink, now, &over))
        });
    }

    fn recovered<S: EventSink>(&self, core: &Core, sink: &S, at: Instant, episode: &Episode) -> Event {
        let (name, load) = (sink.counters().name, self.load(core));
        Event::Recovered { name, at, load, rejected: episode.rejected, lasted: episode.lasted }
    }

    // ---- reading

    pub(super) fn load(&self, core: &Core) -> Snapshot {
        let Room { in_flight, limit } = self.room();
        let queue_depth = u32::try_from(core.machine.queue_depth()).unwrap_or(u32::MAX);
        Snapshot { in_flight, limit, queue_depth, is_saturated: core.saturation.is_some() }
    }

    /// The state now, after the changes that time alone makes.
    pub(super) fn snapshot<S: EventSink>(&self, sink: &S) -> Snapshot {
        let is_unused = self.core.lock().is_none();
        if !is_unused {
            self.look(sink, true);
        }
        self.snapshot_as_it_is()
    }

    pub(super) fn snapshot_as_it_is(&self) -> Snapshot {
        let core = self.lock();
        if let Some(core) = &*core {
            return self.load(core);
        }
        let Room { in_flight, limit } = self.room();
        Snapshot { in_flight, limit, queue_depth: 0, is_saturated: false }
    }

    /// Permits given, and calls rejected at once, since it was made.
    pub(super) fn counted(&self, counters: &Counters) -> (u64, u64) {
        let mut core = self.core(counters);
        core.count_permits(self.permits.word());
        (core.permitted.1 + self.permits.permitted_on_lines(), self.rejected.load(Ordering::Relaxed))
    }

    /// Returns whether it has lately rejected calls.
    pub(super) fn is_rejecting(&self) -> bool {
        self.permits.word().has(REJECTING)
    }

    /// Returns whether it is empty and has no queue. `false` if the lock is held.
    pub(super) fn is_idle(&self) -> bool {
        let core = self.core.try_lock();
        let is_quiet = |core: &Option<Box<Core>>| core.as_ref().is_none_or(|core| core.machine.queue_depth() == 0);
        self.permits.word().in_flight() == 0 && core.is_some_and(|core| is_quiet(&core))
    }

    pub(super) fn oldest_age(&self, now: Instant) -> Option<Duration> {
        self.core.lock().as_mut()?.machine.oldest_age(now)
    }
}
