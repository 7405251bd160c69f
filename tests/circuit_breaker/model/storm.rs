//! Many threads on one breaker: whatever the order of things was, at rest everything adds up.

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{CircuitBreakerBuilder, CircuitBreakerConfig, Event, SlidingWindow, State, Totals};
use backstop::clock::{Clock, ManualClock};
use backstop::config::ConfigOnly;
use backstop::{CircuitBreaker, Outcome};
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

const THREADS: usize = 6;
const OPEN_TIME: Duration = Duration::from_millis(5);
const PLACES: u32 = 3;

/// A storm of `steps` on each thread, and a look at what is left. The result is the number of events.
pub(crate) fn storm(window: SlidingWindow, seed: u64, steps: u64) -> usize {
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder("storm").clock(clock).open_time(OPEN_TIME);
    let breaker = shape(builder, window, 1.0 / 3.0).build().expect("valid settings");
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    breaker.subscribe(move |event| log.lock().unwrap().push(event.clone())).forever();

    let counts = thread::scope(|scope| {
        let spawn = |i: usize| {
            let (breaker, time) = (breaker.clone(), time.clone());
            let random = fastrand::Rng::with_seed(seed + i as u64);
            scope.spawn(move || Sailor::new(breaker, time, window, random).sail(steps))
        };
        let threads: Vec<_> = (0..THREADS).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic but the calls' own")).collect::<Vec<_>>()
    });

    let totals = breaker.totals();
    every_call_is_counted_once(&totals, &counts);
    transitions_form_a_path(&told.lock().unwrap(), breaker.state(), totals.events_lost);
    metrics_agree(&breaker, &totals, &told.lock().unwrap());
    let events = told.lock().unwrap().len();
    no_place_is_lost(&breaker, &time);
    events
}

fn shape<T>(builder: CircuitBreakerBuilder<T>, window: SlidingWindow, rate: f64) -> CircuitBreakerBuilder<T> {
    builder
        .window(window)
        .minimum_calls(3)
        .failure_rate_threshold(rate)
        .slow_call_duration_threshold(Duration::from_millis(2))
        .half_open_max_calls(PLACES)
        .half_open_timeout(4 * OPEN_TIME)
}

fn reshaped(window: SlidingWindow, rate: f64) -> CircuitBreakerConfig {
    let builder: CircuitBreakerBuilder<ConfigOnly> = CircuitBreakerConfig::builder();
    shape(builder.open_time(OPEN_TIME), window, rate).build().expect("valid settings")
}

/// What one thread did.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    admitted: u64,
    rejected: u64,
    /// Ended with success, failure, ignored, abandoned, panicked.
    ended: [u64; 5],
}

struct Sailor {
    breaker: CircuitBreaker,
    time: ManualClock,
    window: SlidingWindow,
    random: fastrand::Rng,
    in_flight: Vec<Permit>,
    counts: Counts,
}

impl Sailor {
    fn new(breaker: CircuitBreaker, time: ManualClock, window: SlidingWindow, random: fastrand::Rng) -> Self {
        Self { breaker, time, window, random, in_flight: Vec::new(), counts: Counts::default() }
    }

    fn sail(mut self, steps: u64) -> Counts {
        for _ in 0..steps {
            match self.random.u32(0..1_000) {
                0..350 => self.admit(),
                350..700 => {
                    if !self.in_flight.is_empty() {
                        let which = self.random.usize(0..self.in_flight.len());
                        self.end(which);
                    }
                }
                700..960 => {
                    self.admit();
                    self.in_flight.pop().into_iter().for_each(|permit| {
                        permit.success();
                        self.counts.ended[0] += 1;
                    });
                }
                960..990 => self.time.advance(Duration::from_micros(self.random.u64(0..3_000))),
                990..994 => self.look(),
                994..996 => self.command(),
                _ => self.breaker.reconfigure(reshaped(self.window, self.random.f64().max(0.1))),
            }
        }
        while !self.in_flight.is_empty() {
            self.end(0);
        }
        self.counts
    }

    fn admit(&mut self) {
        match self.breaker.try_acquire() {
            Ok(permit) => {
                self.counts.admitted += 1;
                self.in_flight.push(permit);
            }
            Err(_) => self.counts.rejected += 1,
        }
    }

    fn end(&mut self, which: usize) {
        let permit = self.in_flight.swap_remove(which);
        let how = [0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4][self.random.usize(0..11)];
        self.counts.ended[how] += 1;
        match how {
            0 => permit.success(),
            1 => permit.failure(),
            2 => permit.end(Outcome::Ignored),
            3 => drop(permit),
            _ => drop(catch_unwind(AssertUnwindSafe(move || {
                let _permit = permit;
                resume_unwind(Box::new("the call panicked")) // does not reach the panic hook
            }))),
        }
    }

    fn command(&mut self) {
        match self.random.u32(0..12) {
            0 => self.breaker.force_open("storm"),
            1 => self.breaker.disable("storm"),
            2..4 => self.breaker.shadow("storm"),
            4..6 => self.breaker.trip("storm"),
            6..8 => self.breaker.probe("storm"),
            _ => self.breaker.reset("storm"),
        }
    }

    /// Whatever goes on, what is read is possible.
    fn look(&self) {
        let snapshot = self.breaker.snapshot();
        assert!(snapshot.failed <= snapshot.calls && snapshot.slow <= snapshot.calls, "{snapshot:?}");
        if let SlidingWindow::Count { calls } = self.window {
            assert!(snapshot.calls <= u64::from(calls.max(PLACES)), "{snapshot:?}");
        }
    }
}

fn every_call_is_counted_once(totals: &Totals, counts: &[Counts]) {
    let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>();
    let all = totals.successful + totals.failed + totals.ignored + totals.abandoned + totals.stale;
    assert_eq!(all, sum(|counts| counts.admitted), "{totals:?}");
    assert_eq!(totals.not_permitted, sum(|counts| counts.rejected));
    // A stale call is counted as that and as nothing else.
    let most = |ended: u64, given: u64| assert!(ended <= given, "{ended} counted, {given} given: {totals:?}");
    most(totals.successful, sum(|counts| counts.ended[0]));
    most(totals.failed, sum(|counts| counts.ended[1] + counts.ended[4]));
    most(totals.ignored, sum(|counts| counts.ended[2]));
    most(totals.abandoned, sum(|counts| counts.ended[3]));
}

/// Each event begins where the one before it ended. Only a full queue leaves a gap, and says so.
fn transitions_form_a_path(told: &[Event], state: State, lost: u64) {
    let (mut reached, mut sequence, mut missing) = (State::Closed, 0, 0);
    for event in told.iter().map(Event::details) {
        assert!(event.sequence > sequence, "{} after {sequence}", event.sequence);
        if event.sequence == sequence + 1 {
            assert_eq!(event.from, reached, "event {}", event.sequence);
        }
        missing += event.sequence - sequence - 1;
        (reached, sequence) = (event.to, event.sequence);
    }
    assert_eq!(missing, lost);
    assert_eq!(reached, state);
    assert!(sequence > 0, "a storm without a transition tests little");
}

/// The state gauges are one-hot; the counters are the totals and, if none was lost, the events.
fn metrics_agree(breaker: &CircuitBreaker, totals: &Totals, told: &[Event]) {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || breaker.publish());
    let (mut states, mut transitions, mut calls) = (Vec::new(), 0, 0);
    for (key, _, _, value) in recorder.snapshotter().snapshot().into_vec() {
        let label = |name: &str| key.key().labels().find(|label| label.key() == name).map(metrics::Label::value);
        match (key.kind(), key.key().name(), value) {
            (MetricKind::Gauge, "backstop_circuit_breaker_state", DebugValue::Gauge(value)) if value.0 != 0.0 => {
                states.push((label("state").expect("it has one").to_owned(), value.0));
            }
            (_, "backstop_circuit_breaker_transitions_total", DebugValue::Counter(value)) => transitions += value,
            (_, "backstop_circuit_breaker_calls_total", DebugValue::Counter(value)) => calls += value,
            _ => {}
        }
    }
    assert_eq!(states, [(breaker.state().as_str().to_owned(), 1.0)]);
    let Totals { successful, failed, ignored, abandoned, not_permitted, stale, .. } = *totals;
    assert_eq!(calls, successful + failed + ignored + abandoned + not_permitted + stale);
    if totals.events_lost == 0 {
        let events = told.iter().filter(|event| matches!(event, Event::Transition(_))).count();
        assert_eq!(transitions, events as u64);
    }
}

/// When the open time ends, exactly as many probes pass as there are places; given back, they pass again.
fn no_place_is_lost(breaker: &CircuitBreaker, time: &ManualClock) {
    breaker.reset("quiet");
    breaker.trip("quiet");
    assert_eq!(race(breaker).len(), 0, "open");
    time.advance(OPEN_TIME);
    for _ in 0..2 {
        let probes = race(breaker);
        assert_eq!(probes.len(), PLACES as usize);
        assert_eq!(breaker.state(), State::HalfOpen);
        drop(probes); // abandoned: no result, and the places are free, once
    }
}

/// All threads ask at once, several times each.
fn race(breaker: &CircuitBreaker) -> Vec<Permit> {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            (0..PLACES).filter_map(|_| breaker.try_acquire().ok()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("asking does not panic")).collect()
    })
}
