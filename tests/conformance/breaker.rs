//! Plays a scenario of a circuit breaker through the public API, on a clock that the scenario moves.
//!
//! Where the scenarios' breaker and ours differ on purpose, no scenario may look:
//! - a slow probe never closes a circuit that has a rule for slow calls, however half-open is decided;
//! - a half-open rate looks at the failures of its round: failures in a row before it do not count, and where no
//!   rule about failures can be met by the round it takes 0.5;
//! - opened by hand while open, a circuit keeps the evidence that tripped it;
//! - a probe's Retry-After sets the open time when it reopens the circuit;
//! - 0 as a rate, and counts that the round or window cannot hold, are refused when the breaker is built.

use super::breaker_settings::{Rules, build, state};
use super::schema::{self, Admission, CallResult, Control, Elapsed, Listener, OnCancel, Step};
use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{Event, State};
use backstop::clock::{Clock, ManualClock};
use backstop::outcome::Classification;
use backstop::{CircuitBreaker, Outcome};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Scenarios count in whole milliseconds: what begins "after" a moment begins one later.
const TICK: Duration = Duration::from_millis(1);

/// Plays the steps; the errors say which expectations were not met.
pub(crate) fn play(scenario: &schema::Scenario) -> Result<(), Vec<String>> {
    let wrong = |what: &str, error: serde_json::Error| vec![format!("{what} cannot be expressed: {error}")];
    let config = serde_json::from_value(scenario.config.clone()).map_err(|error| wrong("the config", error))?;
    let mut player = Player::new(config).map_err(|error| vec![error])?;
    let mut failures = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        let mut step = step.clone();
        step.as_object_mut().and_then(|fields| fields.remove("note"));
        let failed = match serde_json::from_value(step) {
            Ok(step) => player.play(step),
            Err(error) => wrong("the step", error),
        };
        failures.extend(failed.into_iter().map(|failure| format!("step {number}: {failure}")));
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// One breaker, its clock and the permits in hand.
struct Player {
    breaker: CircuitBreaker,
    time: ManualClock,
    rules: Rules,
    /// An open circuit probes strictly after its time.
    probes_after: Duration,
    initial_state: State,
    half_open_timeout: Option<Duration>,
    cancel_is_neutral: bool,
    permits: HashMap<String, Permit>,
    /// Calls whose name was given to another while they ran: they never end.
    forgotten: Vec<Permit>,
    /// What was told; `None` is a change made by hand, after which a rule may be told of again.
    events: Arc<Mutex<Vec<Option<Event>>>>,
}

impl Player {
    fn new(config: schema::Breaker) -> Result<Self, String> {
        let (clock, time) = Clock::manual();
        let rules = Rules::of(&config)?;
        let probes_after = match config.open.elapsed {
            Elapsed::Gte => Duration::ZERO,
            Elapsed::Gt => TICK,
        };
        let breaker = build(&config, &rules, probes_after, clock).map_err(|error| error.to_string())?;
        let events = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&events);
        breaker.subscribe(move |event| log.lock().unwrap().push(Some(event.clone()))).forever();
        match config.listener {
            Some(Listener::ReadsStateAndCounts) => {
                let handle = breaker.clone();
                breaker
                    .subscribe(move |_| {
                        let _ = (handle.state(), handle.snapshot(), handle.totals());
                    })
                    .forever();
            }
            Some(Listener::Panics) => breaker.subscribe(|_| resume_unwind(Box::new("listener"))).forever(),
            None => {}
        }
        let cancel_is_neutral = config.on_cancel == OnCancel::Ignore;
        let initial_state = state(config.initial_state);
        let half_open_timeout = config.half_open.and_then(|half_open| half_open.max_wait_ms).map(Duration::from_millis);
        let (permits, forgotten) = (HashMap::new(), Vec::new());
        Ok(Self {
            breaker,
            time,
            rules,
            probes_after,
            initial_state,
            half_open_timeout,
            cancel_is_neutral,
            permits,
            forgotten,
            events,
        })
    }

    fn play(&mut self, step: Step) -> Vec<String> {
        match step {
            Step::Call { result, n, ms, gap_ms, expect, retry_after_ms } => {
                let call = |_| {
                    let admission = self.start("call".into());
                    if admission == Admission::Admitted {
                        self.advance(ms);
                        self.finish("call", result, retry_after_ms);
                    }
                    if let Some(gap) = gap_ms {
                        self.advance(gap);
                    }
                    compare("call", admission, expect)
                };
                (0..n.unwrap_or(1)).filter_map(call).collect()
            }
            Step::Start { id, n: None, expect } => compare("start", self.start(id), expect).into_iter().collect(),
            Step::Start { id, n: Some(n), expect } => {
                let start = |i| compare("start", self.start(format!("{id}{i}")), expect);
                (1..=n).filter_map(start).collect()
            }
            Step::Finish { id, result, retry_after_ms } => {
                self.finish(&id, result, retry_after_ms);
                Vec::new()
            }
            Step::Advance { ms } => {
                self.advance(ms);
                Vec::new()
            }
            // No mechanism reads the wall clock, so there is nothing to move.
            Step::WallJump { .. } => Vec::new(),
            Step::Control { to, for_ms } => {
                self.control(to, for_ms);
                Vec::new()
            }
            Step::Expect(fields) => self.expect(&fields),
        }
    }

    fn start(&mut self, id: String) -> Admission {
        match self.breaker.try_acquire() {
            Ok(permit) => {
                self.forgotten.extend(self.permits.insert(id, permit));
                Admission::Admitted
            }
            Err(_) => Admission::Rejected,
        }
    }

    fn finish(&mut self, id: &str, result: CallResult, retry_after_ms: Option<u64>) {
        let Some(permit) = self.permits.remove(id) else { return };
        let outcome = match (result, retry_after_ms) {
            (CallResult::Panic, None) => return unwind_through(permit),
            (CallResult::Cancel, None) => return drop(permit),
            (CallResult::Ok, _) => Outcome::Success,
            (CallResult::Err | CallResult::BadResult, _) => Outcome::Failure,
            (CallResult::Ignored | CallResult::NotExecuted, _) => Outcome::Ignored,
            (CallResult::Panic, _) => Outcome::Panicked,
            (CallResult::Cancel, _) => Outcome::Abandoned,
        };
        let classification = Classification::new(outcome);
        permit.end(match retry_after_ms {
            None => classification,
            Some(0) => classification.with_retry_after(Duration::ZERO),
            Some(ms) => classification.with_retry_after(Duration::from_millis(ms) + self.probes_after),
        });
    }

    /// Nothing runs in the background: whoever looks makes the changes that are due. The scenarios' breaker has
    /// timers, so this looks whenever an open or a half-open time can end.
    fn advance(&mut self, ms: u64) {
        let mut left = Duration::from_millis(ms);
        loop {
            let due = match self.last_told() {
                State::Open => self.breaker.retry_after(),
                State::HalfOpen => self.half_open_timeout,
                _ => None, // to look now would open a bucket of a window that waits for its first event
            };
            let step = due.filter(|due| !due.is_zero()).map_or(left, |due| due.min(left));
            self.time.advance(step);
            self.breaker.state();
            left -= step;
            if left.is_zero() {
                return;
            }
        }
    }

    /// The state as the events tell it, without a look at the breaker.
    fn last_told(&self) -> State {
        let events = self.events.lock().unwrap();
        events.iter().flatten().last().map_or(self.initial_state, |event| event.details().to)
    }

    fn control(&mut self, to: Control, for_ms: Option<u64>) {
        self.events.lock().unwrap().push(None);
        match (to, for_ms) {
            (Control::Closed, _) => self.breaker.reset("scenario"),
            (Control::Open, None) => self.breaker.trip("scenario"),
            (Control::Open, Some(ms)) => {
                self.breaker.trip_for(Duration::from_millis(ms) + self.probes_after, "scenario");
            }
            (Control::HalfOpen, _) => self.breaker.probe("scenario"),
            (Control::ForcedOpen, _) => self.breaker.force_open("scenario"),
            (Control::Disabled, _) => self.breaker.disable("scenario"),
            (Control::MetricsOnly, _) => self.breaker.shadow("scenario"),
        }
    }

    fn expect(&self, fields: &Map<String, Value>) -> Vec<String> {
        let view = self.view();
        let look = |(field, wanted): (&String, &Value)| match view.get(field.as_str()) {
            None => Some(format!("{field}: no such field")),
            Some(got) if is_same(got, wanted) => None,
            Some(got) => Some(format!("{field}: got {got}, want {wanted}")),
        };
        fields.iter().filter_map(look).collect()
    }

    fn view(&self) -> BTreeMap<&'static str, Value> {
        let (state, snapshot, totals) = (self.breaker.state(), self.breaker.snapshot(), self.breaker.totals());
        let in_hand = (self.permits.len() + self.forgotten.len()) as u64;
        let ended = totals.successful + totals.failed + totals.ignored + totals.abandoned + totals.stale;
        let neutral = totals.ignored + if self.cancel_is_neutral { totals.abandoned } else { 0 };
        let (transitions, events) = self.told();
        BTreeMap::from([
            ("state", json!(name(state))),
            ("calls", json!(snapshot.calls)),
            ("ok", json!(snapshot.successful())),
            ("failed", json!(snapshot.failed)),
            ("slow", json!(snapshot.slow)),
            ("failure_rate", json!(snapshot.failure_rate)),
            ("slow_rate", json!(snapshot.slow_call_rate)),
            ("rejected_total", json!(totals.not_permitted)),
            ("admitted_total", json!(ended + in_hand)),
            ("stale_total", json!(totals.stale)),
            ("ignored_total", json!(neutral)),
            ("transitions", json!(transitions)),
            ("events", json!(events)),
            ("retry_after_ms", json!(self.retry_after_ms(state))),
            ("half_open_attempts", json!(snapshot.half_open_attempts)),
        ])
    }

    /// Whole milliseconds until an open circuit probes; one that stays open for ever has no such time.
    fn retry_after_ms(&self, state: State) -> Option<u64> {
        let forever = (state == State::Open).then_some(Duration::from_nanos(u64::MAX));
        let left = self.breaker.retry_after().or(forever)?;
        u64::try_from(left.saturating_sub(self.probes_after).as_millis()).ok()
    }

    /// The transitions, and how often each threshold was told to be exceeded.
    fn told(&self) -> (Vec<String>, BTreeMap<&'static str, u32>) {
        let (mut transitions, mut exceeded) = (Vec::new(), BTreeMap::new());
        let mut announced = BTreeSet::new();
        for event in self.events.lock().unwrap().iter() {
            let Some(event) = event else {
                announced.clear();
                continue;
            };
            let (from, to) = (event.details().from, event.details().to);
            let mut met = self.rules.met(event);
            if let Event::WouldOpen(_) = event {
                met.retain(|rule| announced.insert(*rule));
            } else {
                announced.clear();
                transitions.push(format!("{}->{}", name(from), name(to)));
            }
            for rule in met {
                *exceeded.entry(rule).or_default() += 1;
            }
        }
        (transitions, exceeded)
    }
}

/// A real panic, with the permit on the stack that it unwinds.
fn unwind_through(permit: Permit) {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _permit = permit;
        resume_unwind(Box::new("the call panics")); // without the hook, which would print it
    }));
    assert!(panicked.is_err());
}

fn name(state: State) -> &'static str {
    match state {
        State::Shadow => "metrics_only",
        other => other.as_str(),
    }
}

fn compare(what: &str, got: Admission, want: Admission) -> Option<String> {
    (got != want).then(|| format!("{what}: got {got:?}, want {want:?}"))
}

/// Rates agree to the third digit, times to the end of time; an object need only hold what is wanted of it.
pub(crate) fn is_same(got: &Value, wanted: &Value) -> bool {
    match (got, wanted) {
        (Value::Object(got), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| got.get(key).is_some_and(|got| is_same(got, wanted)))
        }
        (Value::Number(got), Value::Number(wanted)) => match (got.as_u64(), wanted.as_u64()) {
            (Some(got), Some(wanted)) => got == wanted.min(u64::MAX / 1_000_000),
            _ => (got.as_f64().unwrap() - wanted.as_f64().unwrap()).abs() < 1e-3,
        },
        _ => got == wanted,
    }
}
