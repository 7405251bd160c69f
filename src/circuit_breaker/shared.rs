//! State that the handles of one breaker share: a fast path of loads and plain stores, and the machine behind a lock.
//!
//! The state is mirrored in one word that is only loaded while all is well. Everything that the word does not answer
//! goes to the machine.
//!
//! # Memory ordering
//!
//! The word is stored last, with release, after the deadlines that belong to it; a call loads it with acquire
//! and then reads the deadlines. A call may see a newer deadline with an older word: it then either asks the
//! machine, or counts a success at a moment at which the machine would have counted it too.

use super::config::CircuitBreakerConfig;
use super::core::{Core, Sample, ask_open_time, seed};
use super::event::Event;
use super::machine::Machine;
use super::machine::types::{Ended, Left, OpenTimeQuestion};
use super::slow_calls::Stopwatch;
use super::thread_counters::ThreadCounters;
use super::ticket::Ticket;
use super::totals::Accumulator;
use super::usual_time::UsualTime;
use super::waiters::Waiters;
use crate::clock::{Clock, Instant};
use crate::events::Events;
use crate::outcome::{Classification, Outcome, RetryAfter};
use crate::reject::{Mechanism, RejectReason, Rejected};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use crate::upload::Upload;

/// Calls are admitted without the lock.
pub(super) const ADMITS: u64 = 1 << 3;
/// Successes are counted without the lock.
const COUNTS: u64 = 1 << 4;
/// Successes are counted without the lock only until `steady_until`.
const EDGED: u64 = 1 << 5;
/// Every call is rejected, until `rejects_until`.
pub(super) const REJECTS: u64 = 1 << 6;
/// Calls are timed.
pub(super) const TIMES: u64 = 1 << 7;
/// Calls went without an answer since the last one.
const AWAITS_ANSWER: u64 = 1 << 8;
/// Each call looks whether a publication is due.
pub(super) const LOOKS: u64 = 1 << 9;
pub(super) const GENERATION_SHIFT: u32 = 10;
pub(super) const STATE: u64 = 0b111;

/// The state that all handles of a breaker share.
pub(crate) struct Shared {
    name: &'static str,
    pub(super) stopwatch: Stopwatch,
    pub(super) usual: UsualTime,
    pub(super) word: AtomicU64,
    steady_until: AtomicU64,
    pub(super) rejects_until: AtomicU64,
    thread_counters: ThreadCounters,
    pub(super) core: Mutex<Core>,
    pub(super) events: Events<Event>,
    fallbacks: AtomicU64,
    /// Services that wait until calls may pass.
    pub(super) waiters: Waiters,
    #[cfg(feature = "metrics")]
    pub(super) publication: crate::telemetry::Publication,
}

/// Work that is left for after the lock is released.
struct Aftermath {
    has_events: bool,
    wakes: bool,
    question: Option<OpenTimeQuestion>,
}

impl Shared {
    pub(crate) fn new(name: &'static str, config: CircuitBreakerConfig, clock: Clock) -> Self {
        let now = clock.coarse();
        let machine = Machine::new(Arc::new(config), seed(), now);
        let mut accumulated = Accumulator::new();
        accumulated.change(machine.state(), machine.state(), now);
        let shared = Self {
            name,
            stopwatch: Stopwatch::new(clock),
            usual: UsualTime::new(),
            word: AtomicU64::new(0),
            steady_until: AtomicU64::new(0),
            rejects_until: AtomicU64::new(0),
            thread_counters: ThreadCounters::new(),
            core: Mutex::new(Core { machine, accumulated, absorbed: (0, 0) }),
            events: Events::default(),
            fallbacks: AtomicU64::new(0),
            waiters: Waiters::default(),
            #[cfg(feature = "metrics")]
            publication: crate::telemetry::Publication::default(),
        };
        shared.locked(|_, _| ()); // mirrors the state
        shared
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.stopwatch.clock
    }

    // ---- the path of a call

    /// Records how a call ended.
    ///
    /// The common case keeps to registers: everything that calls a function is elsewhere.
    #[inline]
    pub(crate) fn record(&self, ticket: &Ticket, classification: Classification, is_slow: bool) {
        if classification.is_plain_success() && !is_slow && ticket.part.is_plain() {
            // Acquire: pairs with the store in `mirror`.
            let word = self.word.load(Ordering::Acquire);
            if word & (COUNTS | EDGED | LOOKS) == COUNTS
                && word >> GENERATION_SHIFT == ticket.generation
                && let Some(line) = self.thread_counters.own_line()
            {
                if line.succeed(ticket.generation) {
                    self.look();
                }
                return;
            }
        }
        self.record_slow(ticket, classification, is_slow);
    }

    #[inline(never)]
    fn record_slow(&self, ticket: &Ticket, classification: Classification, is_slow: bool) {
        let is_plain = ticket.part.is_plain() && classification.retry_after().is_none();
        let is_counted = match classification.outcome() {
            Outcome::Success => is_plain && !is_slow && self.count_success(ticket.generation),
            // A full bulkhead inside of the breaker answers often, and at once.
            Outcome::Ignored => is_plain && self.count_ignored(ticket.generation),
            _ => false,
        };
        if !is_counted {
            self.record_locked(ticket, classification, is_slow, Left::Early);
        }
    }

    /// Records the head of a response whose body decides the outcome, if that means something.
    #[inline]
    pub(crate) fn record_head(&self, ticket: &mut Ticket) {
        // Acquire: pairs with the store in `mirror`.
        if !ticket.part.is_plain() || self.word.load(Ordering::Acquire) & AWAITS_ANSWER != 0 {
            ticket.part = self.with_machine(|machine, now| machine.record_head(ticket.generation, ticket.part, now));
        }
    }

    /// Records that the handler may wait for its caller's body, if that means something.
    pub(crate) fn follow_upload(&self, ticket: &Ticket, upload: &Upload) {
        let Ticket { generation, part, .. } = *ticket;
        if !part.is_plain() {
            self.with_machine(|machine, now| machine.follow_upload(generation, part, upload.clone(), now));
        }
    }

    /// Counts a call that says nothing, where no place of a probe comes back with it.
    fn count_ignored(&self, generation: u64) -> bool {
        // Acquire: pairs with the store in `mirror`.
        let word = self.word.load(Ordering::Acquire);
        let is_steady = word & ADMITS != 0 && word >> GENERATION_SHIFT == generation;
        if is_steady && (self.thread_counters.ignore() || word & LOOKS != 0) {
            self.look();
        }
        is_steady
    }

    /// Counts a success without the lock, if nothing but its number can change.
    fn count_success(&self, generation: u64) -> bool {
        // Acquire: pairs with the store in `mirror`.
        let word = self.word.load(Ordering::Acquire);
        if word & COUNTS == 0 || word >> GENERATION_SHIFT != generation {
            return false;
        }
        if word & EDGED != 0 && self.stopwatch.clock.coarse().as_nanos() >= self.steady_until.load(Ordering::Relaxed) {
            return false;
        }
        if self.thread_counters.succeed(generation) || word & LOOKS != 0 {
            self.look();
        }
        true
    }

    #[cold]
    #[inline(never)]
    pub(super) fn record_locked(&self, ticket: &Ticket, classification: Classification, is_slow: bool, left: Left) {
        let Ticket { generation, part, .. } = *ticket;
        let (outcome, retry_after) = (classification.outcome(), classification.retry_after());
        self.locked(|core, now| {
            let recorded = core.machine.record(Ended { generation, part, outcome, is_slow, retry_after, left }, now);
            core.accumulated.count(recorded);
        });
    }

    pub(super) fn count_rejection(&self) {
        if self.thread_counters.reject() || self.asks_to_look() {
            self.look();
        }
    }

    pub(super) fn rejected(&self, reason: RejectReason, retry_after: impl Into<RetryAfter>) -> Rejected {
        Rejected::new(Mechanism::CircuitBreaker, self.name, reason, retry_after)
    }

    pub(crate) fn count_fallback(&self) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
        if self.asks_to_look() {
            self.look();
        }
    }

    /// Returns whether each call looks whether a publication is due.
    #[inline]
    pub(super) fn asks_to_look(&self) -> bool {
        cfg!(feature = "metrics") && self.word.load(Ordering::Relaxed) & LOOKS != 0
    }

    // ---- the machine behind the lock

    /// Works on the machine, then does what its changes ask for, without the lock.
    pub(crate) fn with_machine<T>(&self, work: impl FnOnce(&mut Machine, Instant) -> T) -> T {
        self.locked(|core, now| work(&mut core.machine, now))
    }

    pub(super) fn locked<T>(&self, work: impl FnOnce(&mut Core, Instant) -> T) -> T {
        let mut core = self.core.lock();
        let now = self.stopwatch.now(core.machine.follows_flights());
        core.absorb(&self.thread_counters);
        core.machine.set_usual_wait(self.usual.unanswered_after());
        let before = core.machine.door();
        let result = work(&mut core, now);
        let mut aftermath = self.mirror(&mut core);
        aftermath.wakes = core.machine.door() != before;
        drop(core);
        self.follow_up(aftermath);
        result
    }

    /// Copies the machine's state into the atomics that the fast path reads, and queues its events in order.
    fn mirror(&self, core: &mut Core) -> Aftermath {
        let machine = &core.machine;
        let steady = machine.steady_until();
        let flag = |on: bool, flag: u64| if on { flag } else { 0 };
        let state = machine.state();
        let rejects_until = machine.rejects_until();
        let word = state as u64
            | flag(machine.admits_freely(), ADMITS)
            | flag(rejects_until.is_some(), REJECTS)
            | flag(machine.awaits_answer(), AWAITS_ANSWER)
            | flag(steady.is_some(), COUNTS)
            | flag(steady.is_some_and(|until| until != Instant::NEVER), EDGED)
            | flag(machine.config().slow_call_duration_threshold.is_some(), TIMES)
            | flag(self.asks_to_look(), LOOKS)
            | machine.generation() << GENERATION_SHIFT;
        self.steady_until.store(steady.unwrap_or_default().as_nanos(), Ordering::Relaxed);
        self.rejects_until.store(rejects_until.unwrap_or(Instant::NEVER).as_nanos(), Ordering::Relaxed);
        self.stopwatch.configure(machine.config());
        // Release: pairs with the loads in `admit` and `count_success`.
        self.word.store(word, Ordering::Release);

        let question = core.machine.take_open_time_question();
        let mut events = core.machine.take_events();
        core.accumulated.enter(self.name, &mut events);
        let has_events = !events.is_empty();
        if has_events {
            self.events.push(events);
        }
        Aftermath { has_events, wakes: false, question }
    }

    fn follow_up(&self, aftermath: Aftermath) {
        if let Some(question) = aftermath.question {
            self.answer(&question);
        }
        if aftermath.wakes {
            self.waiters.wake_all();
        }
        if aftermath.has_events {
            self.events.dispatch(super::log::event);
        }
        if aftermath.has_events {
            self.publish_now();
        } else {
            self.look_if_due();
        }
    }

    #[cold]
    fn answer(&self, question: &OpenTimeQuestion) {
        let wait = ask_open_time(question);
        self.with_machine(|machine, _| machine.answer_open_time(question.generation, wait));
    }

    // ---- what others read

    /// Everything, at one moment, after the changes that time alone makes.
    pub(crate) fn sample(&self) -> Sample {
        // The ledger has entered these changes only once this is over.
        self.with_machine(Machine::poll);
        self.sample_as_it_is()
    }

    pub(super) fn sample_as_it_is(&self) -> Sample {
        let mut core = self.core.lock();
        core.absorb(&self.thread_counters);
        let mut sample = core.sample(self.stopwatch.clock.coarse());
        drop(core);
        // Counts outside the lock.
        let (successes, rejections, ignored) = self.thread_counters.totals();
        sample.totals.successful += successes;
        sample.totals.ignored += ignored;
        sample.totals.not_permitted += rejections;
        sample.totals.fallbacks = self.fallbacks.load(Ordering::Relaxed);
        sample.totals.events_lost = self.events.lost();
        sample
    }
}
