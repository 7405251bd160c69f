//! State that all keys share, and the way of a call to its key's circuit.

use super::entry::{Circuit, Entry, is_open};
use crate::circuit_breaker::config::CircuitBreakerConfig;
use crate::circuit_breaker::core::{Sample, ask_open_time};
use crate::circuit_breaker::event::Event;
use crate::circuit_breaker::machine::Machine;
use crate::circuit_breaker::machine::types::{Admission, Denial, Ended, Left, OpenTimeQuestion, Part};
use crate::circuit_breaker::slow_calls::Stopwatch;
use crate::circuit_breaker::snapshot::Snapshot;
use crate::circuit_breaker::state::State;
use crate::circuit_breaker::thread_counters::ThreadCounters;
use crate::circuit_breaker::ticket::Ticket;
use crate::circuit_breaker::totals::{Accumulator, Totals};
use crate::circuit_breaker::window::kind::SlidingWindow;
use crate::clock::{Clock, Instant};
use crate::config::Ratio;
use crate::events::Events;
use crate::keyed_table::{Key, KeyLabel, Keys};
use crate::outcome::{Classification, Outcome};
use crate::reject::{Mechanism, Rejected};
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering};
use crate::upload::Upload;
use std::borrow::Borrow;
use std::cell::LazyCell;
use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Weak;
use std::time::Duration;

/// An event of one key's circuit.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KeyedEvent<K> {
    /// The key; `None` for the overflow circuit.
    pub key: Option<K>,
    /// The event.
    pub event: Event,
}

pub(super) struct Group<K> {
    name: &'static str,
    pub(super) stopwatch: Stopwatch,
    pub(super) config: Mutex<Arc<CircuitBreakerConfig>>,
    /// The size of the window if a healthy key needs no circuit of its own, otherwise 0.
    foldable: AtomicU64,
    /// Whether calls are timed while they are in flight.
    follows_flights: AtomicBool,
    /// Time of the last sweep for dead circuits.
    pub(super) swept_at: AtomicU64,
    /// Circuits that have opened, each once; some may be closed again, or gone.
    pub(super) opened: Mutex<VecDeque<Weak<Entry<K>>>>,
    pub(super) keys: Keys<K, Circuit>,
    /// Openings that the bound on open keys did not allow.
    suppressed: AtomicU64,
    pub(super) max_open_fraction: Ratio,
    /// Circuits that are open, and that are half-open.
    pub(super) open: AtomicU64,
    pub(super) half_open: AtomicU64,
    thread_counters: ThreadCounters,
    pub(super) accumulated: Mutex<Accumulator>,
    fallbacks: AtomicU64,
    pub(super) events: Events<KeyedEvent<K>>,
    pub(super) label: KeyLabel<K>,
    #[cfg(feature = "metrics")]
    pub(super) publication: crate::telemetry::Publication,
}

impl<K> Group<K> {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}

impl<K: Key> Group<K> {
    pub(super) fn new(
        name: &'static str,
        config: CircuitBreakerConfig,
        max_keys: usize,
        max_open_fraction: Ratio,
        clock: Clock,
        label: KeyLabel<K>,
    ) -> Self {
        let group = Self {
            name,
            stopwatch: Stopwatch::new(clock),
            config: Mutex::new(Arc::new(CircuitBreakerConfig::default())),
            foldable: AtomicU64::new(0),
            follows_flights: AtomicBool::new(false),
            swept_at: AtomicU64::new(0),
            opened: Mutex::new(VecDeque::new()),
            keys: Keys::new(max_keys, Circuit::new()),
            suppressed: AtomicU64::new(0),
            max_open_fraction,
            open: AtomicU64::new(0),
            half_open: AtomicU64::new(0),
            thread_counters: ThreadCounters::new(),
            accumulated: Mutex::new(Accumulator::new()),
            fallbacks: AtomicU64::new(0),
            events: Events::default(),
            label,
            #[cfg(feature = "metrics")]
            publication: crate::telemetry::Publication::default(),
        };
        group.reconfigure(config);
        group
    }

    // ---- keys

    pub(super) fn find_or_insert<Q>(&self, key: &Q) -> Arc<Entry<K>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let now = LazyCell::new(|| self.stopwatch.clock.coarse());
        let (entry, evicted) = self.keys.get_or_insert(key, |circuit| circuit.may_evict(*now), Circuit::new);
        if let Some(evicted) = evicted {
            self.forget(&evicted);
        }
        entry
    }

    // ---- the path of a call

    pub(super) fn admit(&self, entry: &Arc<Entry<K>>) -> Result<Ticket, Rejected> {
        let foldable = self.foldable.load(Ordering::Relaxed);
        if foldable > 0
            && let Some(generation) = entry.value.lock().healthy_generation()
        {
            return Ok(Ticket { generation, part: Part::PLAIN, started: self.stopwatch.start() });
        }
        self.finish_admission(self.with_machine(entry, Machine::admit))
    }

    /// The rejection that the key's next call is certain to get, counted as one.
    pub(super) fn reject_now(&self, entry: &Arc<Entry<K>>) -> Option<Rejected> {
        if entry.value.lock().healthy_generation().is_some() {
            return None;
        }
        let denied = self.with_machine(entry, |machine, now| {
            let is_certain = machine.rejects_until().is_some_and(|until| !until.is_reached(now));
            is_certain.then(|| machine.admit(now))
        });
        self.finish_admission(denied?).err()
    }

    fn finish_admission(&self, admitted: Result<Admission, Denial>) -> Result<Ticket, Rejected> {
        match admitted {
            Ok(admission) => {
                if admission.would_reject {
                    self.accumulated.lock().totals.would_reject += 1;
                }
                let (generation, part) = (admission.generation, admission.part);
                Ok(Ticket { generation, part, started: self.stopwatch.start_of(part) })
            }
            Err(Denial { reason, retry_after }) => {
                if self.thread_counters.reject() || self.asks_to_look() {
                    self.look();
                }
                Err(Rejected::new(Mechanism::CircuitBreaker, self.name, reason, retry_after))
            }
        }
    }

    pub(super) fn record(&self, entry: &Arc<Entry<K>>, ticket: &Ticket, classification: Classification, is_slow: bool) {
        let (outcome, retry_after) = (classification.outcome(), classification.retry_after());
        if outcome == Outcome::Success && !is_slow && retry_after.is_none() && self.count_success(entry, ticket) {
            return;
        }
        self.record_locked(entry, ticket, classification, is_slow, Left::Early);
    }

    pub(super) fn record_locked(
        &self,
        entry: &Arc<Entry<K>>,
        ticket: &Ticket,
        classification: Classification,
        is_slow: bool,
        left: Left,
    ) {
        let Ticket { generation, part, .. } = *ticket;
        let (outcome, retry_after) = (classification.outcome(), classification.retry_after());
        let recorded = self.with_machine(entry, |machine, now| {
            machine.record(Ended { generation, part, outcome, is_slow, retry_after, left }, now)
        });
        self.accumulated.lock().count(recorded);
    }

    /// Records the head of a response whose body decides the outcome, if that means something.
    pub(super) fn record_head(&self, entry: &Arc<Entry<K>>, ticket: &mut Ticket) {
        let is_healthy = entry.value.lock().healthy_generation().is_some();
        if !is_healthy {
            ticket.part =
                self.with_machine(entry, |machine, now| machine.record_head(ticket.generation, ticket.part, now));
        }
    }

    /// Records that the handler may wait for its caller's body, if that means something.
    pub(super) fn follow_upload(&self, entry: &Arc<Entry<K>>, ticket: &Ticket, upload: &Upload) {
        let Ticket { generation, part, .. } = *ticket;
        if !part.is_plain() {
            self.with_machine(entry, |machine, now| machine.follow_upload(generation, part, upload.clone(), now));
        }
    }

    /// Counts a success of a healthy key.
    fn count_success(&self, entry: &Entry<K>, ticket: &Ticket) -> bool {
        let window = u32::try_from(self.foldable.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let mut slot = entry.value.lock();
        if window == 0 || slot.healthy_generation() != Some(ticket.generation) {
            return false;
        }
        slot.count_success(window);
        drop(slot);
        if self.thread_counters.succeed(1) || self.asks_to_look() {
            self.look();
        }
        true
    }

    pub(super) fn count_fallback(&self) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
        self.look();
    }

    // ---- a key's circuit behind its lock

    /// Works on a key's circuit, then does what its changes ask for, without the lock.
    pub(super) fn with_machine<T>(&self, entry: &Arc<Entry<K>>, work: impl FnOnce(&mut Machine, Instant) -> T) -> T {
        let mut slot = entry.value.lock();
        let now = self.stopwatch.now(self.follows_flights.load(Ordering::Relaxed));
        let machine = slot.machine(|| Arc::clone(&self.config.lock()), now);
        machine.set_usual_wait(entry.value.usual.unanswered_after());
        let before = machine.state();
        machine.poll(now);
        let mut has_place = self.answer_opening(machine, now); // what time alone opens rejects this call
        let result = work(machine, now);
        has_place |= self.answer_opening(machine, now);
        let after = machine.state();
        self.settle_places(before, after, has_place);
        let question = machine.take_open_time_question();
        let has_events = self.tell(entry, machine);
        let opens = is_open(after) && !slot.is_listed;
        slot.is_listed |= opens;
        if self.foldable.load(Ordering::Relaxed) > 0 {
            slot.fold();
        }
        drop(slot);
        if opens {
            self.list_open(entry);
        }
        if let Some(question) = question {
            self.answer(entry, &question);
        }
        if has_events {
            let label = self.label.clone();
            self.events.dispatch(move |told| {
                let key = told.key.as_ref().map_or_else(|| Some("(overflow)".to_owned()), |key| label.of(key));
                crate::circuit_breaker::log::keyed_event(key.as_deref(), &told.event);
            });
        }
        if has_events {
            self.publish_now();
        } else {
            self.look();
        }
        result
    }

    /// Opens a circuit that asks for it, if there is a place. Returns whether it took one.
    fn answer_opening(&self, machine: &mut Machine, now: Instant) -> bool {
        if !machine.wants_to_open() {
            return false;
        }
        let has_place = self.take_place(now);
        self.suppressed.fetch_add(u64::from(!has_place), Ordering::Relaxed);
        machine.answer_opening(has_place);
        has_place
    }

    fn answer(&self, entry: &Arc<Entry<K>>, question: &OpenTimeQuestion) {
        let wait = ask_open_time(question);
        self.with_machine(entry, |machine, _| machine.answer_open_time(question.generation, wait));
    }

    /// Numbers and queues the events of a circuit, in the order of their numbers.
    fn tell(&self, entry: &Entry<K>, machine: &mut Machine) -> bool {
        let mut events = machine.take_events();
        if events.is_empty() {
            return false;
        }
        let keys: Vec<_> = events.iter().map(|_| entry.key.clone()).collect(); // foreign code: not under the ledger
        let mut accumulated = self.accumulated.lock();
        accumulated.enter(self.name, &mut events);
        self.events.push(keys.into_iter().zip(events).map(|(key, event)| KeyedEvent { key, event }));
        true
    }

    /// New settings for all keys; their states and evidence stay.
    pub(super) fn reconfigure(&self, config: CircuitBreakerConfig) {
        let window = match config.window {
            SlidingWindow::Count { calls } if config.can_fold() => u64::from(calls),
            _ => 0,
        };
        {
            let mut current = self.config.lock();
            self.stopwatch.configure(&config);
            self.follows_flights.store(config.detect_slow_calls_in_flight, Ordering::Relaxed);
            self.foldable.store(window, Ordering::Relaxed);
            *current = Arc::new(config);
        }
        // The last change of a circuit applies the current settings, also when two threads change them at once.
        self.keys.for_each(|entry| {
            if entry.value.lock().is_written_out() {
                self.with_machine(entry, |machine, now| {
                    let config = Arc::clone(&self.config.lock());
                    machine.reconfigure(config, now);
                });
            }
        });
    }

    // ---- what others read

    pub(super) fn open_len(&self) -> u64 {
        self.open.load(Ordering::Relaxed) + self.half_open.load(Ordering::Relaxed)
    }

    pub(super) fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }

    /// The keys that are not closed, with their states.
    pub(super) fn not_closed(&self) -> Vec<(Option<K>, State)> {
        let mut found = Vec::new();
        self.keys.for_each(|entry| {
            let state = entry.value.lock().state(&self.config.lock());
            if state != State::Closed {
                found.push((entry.key.clone(), state));
            }
        });
        found
    }

    pub(super) fn totals(&self) -> Totals {
        self.sample().totals
    }

    pub(super) fn sample(&self) -> Sample {
        let now = self.stopwatch.clock.coarse();
        let (mut totals, transitions, open_time) = {
            let accumulated = self.accumulated.lock();
            (accumulated.totals, accumulated.transitions, accumulated.open_time(now))
        };
        let (successes, rejections, _) = self.thread_counters.totals();
        totals.successful += successes;
        totals.not_permitted += rejections;
        totals.fallbacks = self.fallbacks.load(Ordering::Relaxed);
        totals.events_lost = self.events.lost();
        let state = if self.open.load(Ordering::Relaxed) > 0 {
            State::Open
        } else if self.half_open.load(Ordering::Relaxed) > 0 {
            State::HalfOpen
        } else {
            State::Closed
        };
        let config = Arc::clone(&self.config.lock());
        Sample { config, state, snapshot: Snapshot::default(), totals, transitions, open_time, retry_after: None }
    }
}

/// Returns whether so much time has passed since this was last true.
pub(in crate::circuit_breaker) fn is_due(last: &AtomicU64, interval: Duration, now: Instant) -> bool {
    let before = Instant::from_nanos(last.load(Ordering::Relaxed));
    let is_due = before.saturating_add(interval).is_reached(now);
    if is_due {
        last.store(now.as_nanos(), Ordering::Relaxed);
    }
    is_due
}
