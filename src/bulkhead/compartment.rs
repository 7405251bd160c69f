//! One compartment: its permits, and the machine behind a lock for calls that cannot simply take one.
//!
//! What the machine brings about, calls that are woken and events, is done without the lock.
//!
//! While calls wait, `WAITERS` is set and every permit is taken and handed on under the lock, so nobody is
//! overtaken. It is set before the queue is served for the first time: a permit that came back just before is
//! seen there, one that comes back later sees the flag.

use super::common::{Common, count};
use super::holder::{Holder, Ticket};
use super::machine::{Machine, Next, Room};
use super::permits::{CAREFUL, Permits, QUEUES, REFUSING, WAITERS, Word};
use super::saturation::Saturation;
use super::snapshot::{Event, EventKind, Snapshot};
use crate::bulkhead::config::BulkheadConfig;
use crate::clock::Instant;
use crate::reject::RejectReason;
use crate::sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering};
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::task::Waker;
use std::time::Duration;

/// Looks at whether calls are still refused.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[doc(hidden)]
#[derive(Debug)]
pub struct Compartment {
    pub(super) permits: Permits,
    pub(super) rejected: AtomicU64,
    /// When to look whether calls are still refused, in nanoseconds.
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

/// What became of a call that waited.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) result: Result<Ticket, RejectReason>,
    pub(super) waited: Duration,
}

/// What is left to do without the lock.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    wakes: Vec<Waker>,
    has_events: bool,
    /// Enough permits were given to publish their number.
    pub(super) is_due: bool,
}

impl Aftermath {
    /// Wakes every call that waits: when it has to look again may have changed.
    pub(super) fn wake_waiting(&mut self, core: &mut Core) {
        self.wakes.extend(core.machine.wakes().filter_map(Option::take));
    }
}

#[inline]
pub(super) fn count_exit<H: Holder>(holder: &H, is_abandoned: bool) {
    holder.count_return();
    if is_abandoned {
        count(&holder.common().abandoned);
    }
}

/// Changes the machine, serves the queue, and does what follows.
pub(super) fn change<H: Holder>(holder: &H, change: impl FnOnce(&Compartment, &mut Core, Instant) -> Option<Event>) {
    let compartment = holder.compartment();
    let now = holder.common().clock.now();
    let mut aftermath = Aftermath::default();
    let mut core = compartment.core(holder.common());
    if let Some(event) = change(compartment, &mut core, now) {
        holder.push(event);
        aftermath.has_events = true;
    }
    compartment.serve(&mut core, holder, now, &mut aftermath);
    drop(core);
    follow_up(holder, aftermath);
}

pub(super) fn follow_up<H: Holder>(holder: &H, aftermath: Aftermath) {
    wake_all(aftermath.wakes);
    if aftermath.has_events {
        holder.dispatch();
    }
    if aftermath.has_events || aftermath.is_due {
        holder.publish();
    }
}

pub(super) fn wake_all(wakes: Vec<Waker>) {
    for waker in wakes {
        crate::panic::catch_panic(move || waker.wake()); // foreign code
    }
}

impl Compartment {
    pub(super) fn new(config: &BulkheadConfig) -> Self {
        let compartment = Self {
            permits: Permits::new(config.first_limit()),
            rejected: AtomicU64::new(0),
            look_at: AtomicU64::new(0),
            core: Mutex::new(None),
        };
        compartment.flag(config);
        compartment
    }

    pub(super) fn core(&self, common: &Common) -> CoreGuard<'_> {
        let mut core = self.core.lock();
        core.get_or_insert_with(|| {
            let machine = Machine::new(common.config());
            Box::new(Core { machine, answers: HashMap::new(), permitted: (0, 0), late: 0, saturation: None })
        });
        CoreGuard(core)
    }

    fn room(&self) -> Room {
        Room { in_flight: self.permits.word().in_flight(), limit: self.permits.limit() }
    }

    /// Whether a call would be refused now that does not wait.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.permits.word().in_flight() >= self.permits.limit()
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
    pub(super) fn serve<H: Holder>(&self, core: &mut Core, holder: &H, now: Instant, aftermath: &mut Aftermath) {
        if self.is_full() {
            let (taken_away, limit) = core.machine.expire_holds(now);
            for _ in 0..taken_away {
                self.permits.give_back(self.permits.word().epoch());
                count_exit(holder, true);
                count(&holder.common().taken_away);
            }
            if let Some(limit) = limit {
                self.permits.set_limit(limit);
            }
        }
        let times_holds = core.machine.times_holds();
        while let Some(next) = core.machine.next(self.room(), now) {
            let (gone, result) = match next {
                Next::Refused(gone) => {
                    self.note_refusal(core, holder, now, aftermath);
                    core.late += 1;
                    holder.common().count_late(gone.on_deadline);
                    let reason = gone.on_deadline;
                    (gone, Err(reason))
                }
                Next::Granted(gone, hold) => {
                    let word = self.permits.take_anyway();
                    holder.count_permit();
                    aftermath.is_due |= word.is_due();
                    (gone, Ok(Ticket { hold, epoch: word.epoch() }))
                }
            };
            holder.common().waiting.fetch_sub(1, Ordering::Relaxed);
            core.answers.insert(gone.id, Answer { result, waited: gone.waited });
            aftermath.wakes.extend(gone.wake);
        }
        if times_holds != core.machine.times_holds() {
            // The first call that may have to give its permit back: who waits has to look then.
            aftermath.wake_waiting(core);
        }
        let waits = core.machine.queue_depth() > 0;
        if waits != self.permits.word().has(WAITERS) {
            self.permits.set(WAITERS, waits);
        }
    }

    /// Brings the flags in line with the settings.
    pub(super) fn flag(&self, config: &BulkheadConfig) {
        self.permits.set(CAREFUL, config.is_careful());
        self.permits.set(QUEUES, config.queues());
    }

    /// Takes new settings, if it has not needed its machine yet.
    pub(super) fn refit_unused(&self, config: &BulkheadConfig) -> bool {
        let core = self.core.lock();
        if core.is_none() {
            self.permits.set_limit(config.first_limit());
            self.flag(config);
        }
        core.is_none()
    }

    // ---- saturation

    fn refused(&self, core: &Core) -> u64 {
        core.late + self.rejected.load(Ordering::Relaxed)
    }

    pub(super) fn note_refusal<H: Holder>(&self, core: &mut Core, holder: &H, now: Instant, aftermath: &mut Aftermath) {
        if core.saturation.is_none() {
            core.saturation = Some(Saturation::begin(now, self.refused(core)));
            self.permits.set(REFUSING, true);
            holder.push(self.event(core, holder, EventKind::Saturated, now, &"".into()));
            aftermath.has_events = true;
        }
    }

    /// Nobody will look again: calls are refused no more.
    pub(super) fn end_saturation<H: Holder>(&self, holder: &H) {
        change(holder, |_, core, now| {
            let over = core.saturation.take()?.end(self.refused(core));
            self.permits.set(REFUSING, false);
            let kind = EventKind::Recovered { refused: over.refused, lasted: over.lasted };
            Some(self.event(core, holder, kind, now, &"".into()))
        });
    }

    /// Looks, now and then, whether calls are still refused.
    pub(super) fn look<H: Holder>(&self, holder: &H, at_once: bool) {
        let now = holder.common().clock.coarse();
        if !at_once && now.as_nanos() < self.look_at.load(Ordering::Relaxed) {
            return;
        }
        self.look_at.store(now.saturating_add(LOOK_EVERY).as_nanos(), Ordering::Relaxed);
        change(holder, |_, core, now| {
            let refused = self.refused(core);
            let over = core.saturation.as_mut()?.look(now, refused)?;
            core.saturation = None;
            self.permits.set(REFUSING, false);
            let kind = EventKind::Recovered { refused: over.refused, lasted: over.lasted };
            Some(self.event(core, holder, kind, now, &"".into()))
        });
    }

    pub(super) fn event<H: Holder>(
        &self,
        core: &Core,
        holder: &H,
        kind: EventKind,
        at: Instant,
        note: &Arc<str>,
    ) -> Event {
        let Snapshot { in_flight, limit, queue_depth, .. } = self.snapshot_of(core);
        Event { name: holder.common().name, kind, at, in_flight, limit, queue_depth, note: Arc::clone(note) }
    }

    // ---- reading

    fn snapshot_of(&self, core: &Core) -> Snapshot {
        let Room { in_flight, limit } = self.room();
        let queue_depth = u32::try_from(core.machine.queue_depth()).unwrap_or(u32::MAX);
        Snapshot { in_flight, limit, queue_depth, is_saturated: core.saturation.is_some() }
    }

    /// The state now, after the changes that time alone makes.
    pub(super) fn snapshot<H: Holder>(&self, holder: &H) -> Snapshot {
        let is_unused = self.core.lock().is_none();
        if !is_unused {
            self.look(holder, true);
        }
        self.snapshot_as_it_is()
    }

    pub(super) fn snapshot_as_it_is(&self) -> Snapshot {
        if let Some(core) = &*self.core.lock() {
            return self.snapshot_of(core);
        }
        let Room { in_flight, limit } = self.room();
        Snapshot { in_flight, limit, queue_depth: 0, is_saturated: false }
    }

    /// Permits given, and calls rejected at once, since it was made.
    pub(super) fn counted(&self, common: &Common) -> (u64, u64) {
        let mut core = self.core(common);
        let (seen, more) = self.permits.word().permitted_since(core.permitted.0);
        core.permitted = (seen, core.permitted.1 + more);
        (core.permitted.1, self.rejected.load(Ordering::Relaxed))
    }

    /// Whether it has lately refused calls.
    pub(super) fn is_refusing(&self) -> bool {
        self.permits.word().has(REFUSING)
    }

    /// Whether nobody is in it and nobody waits. No where that cannot be told at once.
    pub(super) fn is_idle(&self) -> bool {
        let core = self.core.try_lock();
        let is_quiet = |core: &Option<Box<Core>>| core.as_ref().is_none_or(|core| core.machine.queue_depth() == 0);
        self.permits.word().in_flight() == 0 && core.is_some_and(|core| is_quiet(&core))
    }

    pub(super) fn oldest_age(&self, now: Instant) -> Option<Duration> {
        self.core.lock().as_mut()?.machine.oldest_age(now)
    }
}
