//! Plays a scenario of a bulkhead through the public API, on a clock that the scenario moves.
//!
//! Everybody who waits is polled after each step, as a runtime would poll whoever is woken: so a wait ends at the
//! step that brings its deadline, and not between two.
//!
//! Words beside those of the schema line, for the files that are our own:
//! - config `total`: `soft` (as in the schema, a share may exceed the limit) or `hard`;
//! - config `shedding`: `target_ms`, `interval_ms`; a call that is shed has the outcome `shed`, is among
//!   `rejected_total`, and alone in `shed_total`;
//! - op `reset_in_flight`: the permits are taken from their holders.
//!
//! Where a scenario says nothing of a queue's bound there is none: ours is then as large as it may be. A
//! `max_wait_ms` of `null` is a wait without an end: ours is then as long as it may be. An idle service that was polled
//! ready is kept until the end. A name that is used again while its permit is held lets go of that permit.

use super::schema;
use super::schema_bulkhead::{self, Acquired, BulkheadStep, Order, Total};
use backstop::bulkhead::{BulkheadConfig, BulkheadService, PartitionTotal, Permit, QueueOrder, Shedding};
use backstop::clock::{Clock, ManualClock};
use backstop::reject::RejectReason;
use backstop::{Bulkhead, ConfigError, Rejected};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Runtime;
use tower::{Service, service_fn};

const QUEUE_MAX: u32 = 1_000_000;
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// The settings of a scenario, on the way to a bulkhead or, when it changes them, to the same one again.
macro_rules! set {
    ($builder:expr, $config:expr) => {{
        let config: &schema_bulkhead::Bulkhead = $config;
        let mut builder = $builder
            .max_concurrent_calls(config.max)
            .max_wait(wait(config.max_wait_ms))
            .max_queue(config.queue.unwrap_or(QUEUE_MAX))
            .queue_order(match config.order {
                Order::Fifo => QueueOrder::Fifo,
                Order::Lifo => QueueOrder::Lifo,
            })
            .partition_total(match config.total {
                Total::Soft => PartitionTotal::Soft,
                Total::Hard => PartitionTotal::Hard,
            })
            .shedding(config.shedding.as_ref().map(|shedding| {
                let [target, interval] = [shedding.target_ms, shedding.interval_ms].map(Duration::from_millis);
                Shedding::new().target(target).interval(interval)
            }));
        for (name, share) in &config.partitions {
            builder = builder.partition(name, *share);
        }
        builder
    }};
}

/// Plays the steps; the errors say which expectations were not met.
pub(crate) fn play(scenario: &schema::Scenario) -> Result<(), Vec<String>> {
    let wrong = |what: &str, error: serde_json::Error| vec![format!("{what} cannot be expressed: {error}")];
    let config = serde_json::from_value(scenario.config.clone()).map_err(|error| wrong("the config", error))?;
    let mut player = Player::new(config).map_err(|error| vec![error.to_string()])?;
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

type Waiting = Pin<Box<dyn Future<Output = Result<Permit, Rejected>>>>;
type Idle = BulkheadService<tower::util::ServiceFn<fn(()) -> Ready<Result<(), Rejected>>>>;

/// One bulkhead, its time, and who holds or waits for its permits.
struct Player {
    config: schema_bulkhead::Bulkhead,
    bulkhead: Bulkhead,
    time: ManualClock,
    /// Has the timers of those who wait; its time is moved along.
    runtime: Runtime,
    permits: HashMap<String, Permit>,
    /// In the order of their arrival.
    waiting: Vec<(String, Waiting)>,
    idle: Vec<Idle>,
    outcomes: BTreeMap<String, &'static str>,
}

impl Player {
    fn new(config: schema_bulkhead::Bulkhead) -> Result<Self, ConfigError> {
        let (clock, time) = Clock::manual();
        let bulkhead = set!(Bulkhead::builder("conformance").clock(clock), &config).build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime with time alone needs nothing of the system");
        let (permits, waiting, idle) = (HashMap::new(), Vec::new(), Vec::new());
        Ok(Self { config, bulkhead, time, runtime, permits, waiting, idle, outcomes: BTreeMap::new() })
    }

    fn play(&mut self, step: BulkheadStep) -> Vec<String> {
        let failures = match step {
            BulkheadStep::Acquire { id, n, expect, wait_ms, partition, bypass } => {
                let acquire = |id| {
                    let acquired = match self.acquire(id, wait_ms, partition.as_deref(), bypass) {
                        Ok(acquired) => acquired,
                        Err(unknown) => return Some(unknown),
                    };
                    (acquired != expect).then(|| format!("acquire: got {acquired:?}, want {expect:?}"))
                };
                names(&id, n).into_iter().filter_map(acquire).collect()
            }
            BulkheadStep::Release { id, n } => {
                self.permits.retain(|held, _| !names(&id, n).contains(held));
                Vec::new()
            }
            BulkheadStep::Cancel { id, n } => {
                for id in names(&id, n) {
                    self.cancel(&id);
                }
                Vec::new()
            }
            BulkheadStep::Advance { ms } => {
                let by = Duration::from_millis(ms);
                self.time.advance(by);
                self.runtime.block_on(tokio::time::advance(by));
                Vec::new()
            }
            BulkheadStep::Resize { max } => {
                self.config.max = max;
                refused(self.bulkhead.resize(max, "scenario"))
            }
            BulkheadStep::SetWait { ms } => {
                self.config.max_wait_ms = ms;
                refused(settings(&self.config).and_then(|settings| self.bulkhead.reconfigure(settings)))
            }
            BulkheadStep::ResetInFlight {} => {
                self.bulkhead.reset_in_flight("scenario");
                Vec::new()
            }
            BulkheadStep::PollReady { n } => (0..n.unwrap_or(1)).filter_map(|_| self.poll_ready()).collect(),
            BulkheadStep::Expect(fields) => self.expect(&fields),
        };
        self.poll_all();
        failures
    }

    /// A name of a partition that nobody has is an error in the scenario.
    fn acquire(
        &mut self,
        id: String,
        wait_ms: Option<u64>,
        partition: Option<&str>,
        is_bypass: bool,
    ) -> Result<Acquired, String> {
        let bulkhead = match partition.filter(|_| !self.config.partitions.is_empty()) {
            Some(name) => self.bulkhead.partition(name).ok_or_else(|| format!("no partition {name}"))?,
            None => self.bulkhead.clone(),
        };
        if is_bypass {
            self.admit(id, bulkhead.bypass());
            return Ok(Acquired::Admitted);
        }
        let mut waiting: Waiting = match wait_ms {
            None => Box::pin(async move { bulkhead.acquire().await }),
            Some(0) => Box::pin(async move { bulkhead.try_acquire() }),
            Some(ms) => Box::pin(async move { bulkhead.acquire_within(Duration::from_millis(ms)).await }),
        };
        Ok(match self.poll(&mut waiting) {
            Poll::Ready(Ok(permit)) => {
                self.admit(id, permit);
                Acquired::Admitted
            }
            Poll::Ready(Err(_)) => {
                self.outcomes.insert(id, "rejected");
                Acquired::Rejected
            }
            Poll::Pending => {
                self.outcomes.insert(id.clone(), "waiting");
                self.waiting.push((id, waiting));
                Acquired::Waiting
            }
        })
    }

    fn admit(&mut self, id: String, permit: Permit) {
        self.outcomes.insert(id.clone(), "admitted");
        self.permits.insert(id, permit);
    }

    fn poll(&self, waiting: &mut Waiting) -> Poll<Result<Permit, Rejected>> {
        let _guard = self.runtime.enter();
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn poll_all(&mut self) {
        for (id, mut waiting) in std::mem::take(&mut self.waiting) {
            match self.poll(&mut waiting) {
                Poll::Ready(Ok(permit)) => self.admit(id, permit),
                Poll::Ready(Err(rejected)) => {
                    let outcome = match rejected.reason() {
                        RejectReason::WaitTimeout => "timed_out",
                        RejectReason::Shed => "shed",
                        _ => "rejected",
                    };
                    self.outcomes.insert(id, outcome);
                }
                Poll::Pending => self.waiting.push((id, waiting)),
            }
        }
    }

    fn cancel(&mut self, id: &str) {
        let place = self.waiting.iter().position(|(waiting, _)| waiting == id);
        let waited = place.map(|place| self.waiting.remove(place)).is_some();
        if waited || self.permits.remove(id).is_some() {
            self.outcomes.insert(id.to_owned(), "cancelled");
        }
    }

    /// An idle connection asks whether it may call, and never does.
    fn poll_ready(&mut self) -> Option<String> {
        let answer: fn(()) -> Ready<Result<(), Rejected>> = |()| ready(Ok(()));
        let mut service = self.bulkhead.wrap(service_fn(answer));
        let is_ready = service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready();
        self.idle.push(service);
        (!is_ready).then(|| "poll_ready: not ready".to_owned())
    }

    fn expect(&self, fields: &Map<String, Value>) -> Vec<String> {
        let view = self.view();
        let look = |(field, wanted): (&String, &Value)| match view.get(field.as_str()) {
            None => Some(format!("{field}: no such field")),
            Some(got) if super::breaker::is_same(got, wanted) => None,
            Some(got) => Some(format!("{field}: got {got}, want {wanted}")),
        };
        fields.iter().filter_map(look).collect()
    }

    fn view(&self) -> BTreeMap<&'static str, Value> {
        let (snapshot, totals) = (self.bulkhead.snapshot(), self.bulkhead.totals());
        let partition = |name: &str| self.bulkhead.partition(name).and_then(|partition| partition.partition_permits());
        let partitions = self.config.partitions.keys().map(|name| (name, partition(name).unwrap_or_default()));
        let (in_flight, limits): (Map<_, _>, Map<_, _>) = partitions
            .map(|(name, (in_flight, own))| ((name.clone(), json!(in_flight)), (name.clone(), json!(own))))
            .unzip();
        BTreeMap::from([
            ("max", json!(snapshot.limit)),
            ("in_flight", json!(snapshot.in_flight)),
            ("available", json!(snapshot.available())),
            ("waiting", json!(snapshot.queue_depth)),
            ("admitted_total", json!(totals.permitted)),
            ("rejected_total", json!(totals.rejected_full + totals.timed_out + totals.shed)),
            ("shed_total", json!(totals.shed)),
            ("outcome", json!(self.outcomes)),
            ("partition_in_flight", Value::Object(in_flight)),
            ("partition_limit", Value::Object(limits)),
        ])
    }
}

/// `a` alone, or `a1` to `an`.
fn names(id: &str, n: Option<u32>) -> Vec<String> {
    n.map_or_else(|| vec![id.to_owned()], |n| (1..=n).map(|i| format!("{id}{i}")).collect())
}

fn wait(ms: Option<u64>) -> Duration {
    ms.map_or(WAIT_MAX, Duration::from_millis)
}

fn refused(result: Result<(), ConfigError>) -> Vec<String> {
    result.err().map(|error| error.to_string()).into_iter().collect()
}

fn settings(config: &schema_bulkhead::Bulkhead) -> Result<BulkheadConfig, ConfigError> {
    set!(BulkheadConfig::builder(), config).build()
}
