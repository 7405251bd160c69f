//! One day of one service: a heap of events in virtual time.

use super::dependency::{Answer, Dependency, Guarded, Script, Watched, call, head, read};
use super::laws::{Begun, End, Laws};
use super::plan::{DAY, Fault, Plan, Shape, at, seconds};
use super::report::Report;
use backstop::CircuitBreaker;
use backstop::circuit_breaker::{Event, Permit, State, Transition};
use backstop::clock::{Clock, Instant, ManualClock};
use fastrand::Rng;
use http::StatusCode;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::Layer;

/// Seconds between the frames of a stream: less than its callers would call a stall.
const BETWEEN_FRAMES: f64 = 25.0;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Call,
    OutageBegins(usize),
    OutageEnds,
    Restart,
    /// A call's answer, or the end of its caller's patience.
    Due(Key),
    Hedge(Key),
}

/// A call's place, and its number: a place is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    place: usize,
    number: u64,
}

enum Held {
    Permit(Permit),
    Answer(Pin<Box<Answer>>),
    Body(Pin<Box<Watched>>),
}

struct Call {
    number: u64,
    held: Held,
    begun: Begun,
    fails: bool,
    leaves_at: Instant,
    /// Leaves before an answer can be expected.
    is_impatient: bool,
    /// The other call of a race.
    other: Option<Key>,
}

/// Changes of state that nobody has looked at.
#[derive(Default)]
struct News {
    told: AtomicU64,
    changes: Mutex<Vec<Transition>>,
}

/// The frames of a body that flows for so many seconds. The first one comes with the head.
fn frames(body: f64) -> u32 {
    2 + (1..24).filter(|n| f64::from(*n) * BETWEEN_FRAMES < body).fold(0, |frames, _| frames + 1)
}

fn between_frames(body: f64) -> Duration {
    seconds(body / f64::from(frames(body) - 1))
}

struct World<'p> {
    plan: &'p Plan,
    random: Rng,
    clock: Clock,
    time: ManualClock,
    now: Instant,
    heap: BinaryHeap<Reverse<(Instant, u64, Next)>>,
    numbers: u64,
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
    breaker: CircuitBreaker,
    service: Guarded,
    news: Arc<News>,
    seen: u64,
    /// A call has succeeded since the start: until then callers are patient, as no time to an answer is usual.
    is_answered: bool,
    laws: Laws<'p>,
}

fn guarded(plan: &Plan, clock: &Clock) -> (CircuitBreaker, Guarded, Arc<News>) {
    let breaker = plan.recipe.breaker(clock.clone(), plan.seed);
    let layer = if plan.shape.is_inbound() { breaker.layer().inbound() } else { breaker.layer() };
    let news = Arc::new(News::default());
    let told = Arc::clone(&news);
    let listener = move |event: &Event| {
        told.changes.lock().unwrap().push(event.details().clone());
        told.told.fetch_add(1, Ordering::Relaxed);
    };
    breaker.subscribe(listener).forever();
    (breaker, layer.layer(Dependency(clock.clone())), news)
}

/// Lives through the day.
pub(crate) fn live(plan: &Plan) -> Report {
    let (clock, time) = Clock::manual();
    let (breaker, service, news) = guarded(plan, &clock);
    let mut world = World {
        plan,
        random: Rng::with_seed(!plan.seed),
        clock,
        time,
        now: Instant::default(),
        heap: BinaryHeap::new(),
        numbers: 0,
        calls: vec![],
        free: vec![],
        breaker,
        service,
        news,
        seen: 0,
        is_answered: false,
        laws: Laws::new(plan),
    };
    for (number, outage) in plan.outages.iter().enumerate() {
        world.plan_for(outage.from, Next::OutageBegins(number));
        world.plan_for(outage.to, Next::OutageEnds);
    }
    plan.restarts.iter().for_each(|restart| world.plan_for(*restart, Next::Restart));
    world.plan_next_call(0.0);
    let night = at(DAY);
    while let Some(Reverse((due, _, next))) = world.heap.pop().filter(|Reverse((due, ..))| *due <= night) {
        world.time.advance(due.saturating_duration_since(world.now));
        world.now = due;
        world.step(next);
    }
    world.laws.finish()
}

impl World<'_> {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn plan_for(&mut self, due: Instant, next: Next) {
        let number = self.number();
        self.heap.push(Reverse((due, number, next)));
    }

    fn plan_next_call(&mut self, time: f64) {
        if let Some(time) = self.plan.next_call(time, &mut self.random) {
            self.plan_for(at(time), Next::Call);
        }
    }

    fn step(&mut self, next: Next) {
        match next {
            Next::OutageBegins(number) => self.laws.outage_begins(number, self.now),
            Next::OutageEnds => self.laws.outage_ends(self.now),
            Next::Restart => {
                (self.breaker, self.service, self.news) = guarded(self.plan, &self.clock);
                (self.seen, self.is_answered) = (0, false);
                self.calls.clear();
                self.free.clear();
                self.laws.restarts(self.now);
            }
            Next::Call => {
                self.plan_next_call(self.now.as_nanos() as f64 / 1e9);
                self.begin_request();
            }
            Next::Hedge(first) => {
                let Some(leaves_at) = self.find(first).map(|call| call.leaves_at) else { return };
                if let Some(second) = self.begin(leaves_at, false) {
                    self.call(second).other = Some(first);
                    self.call(first).other = Some(second);
                }
            }
            Next::Due(key) if self.find(key).is_some() => self.progress(key),
            Next::Due(_) => {}
        }
    }

    fn find(&self, key: Key) -> Option<&Call> {
        self.calls.get(key.place)?.as_ref().filter(|call| call.number == key.number)
    }

    fn call(&mut self, key: Key) -> &mut Call {
        self.calls[key.place].as_mut().expect("it was looked up")
    }

    /// Tells the laws what the breaker has told.
    fn listen(&mut self) {
        if self.news.told.load(Ordering::Relaxed) == self.seen {
            return;
        }
        let changes = std::mem::take(&mut *self.news.changes.lock().unwrap());
        self.seen += changes.len() as u64;
        for change in changes {
            let wait = if change.to == State::Open { self.breaker.retry_after() } else { None };
            self.laws.changes(&change, wait);
        }
    }

    fn begin_request(&mut self) {
        let is_impatient = self.is_answered && self.random.f64() < self.plan.leaving;
        // A caller of a stream leaves before the head, or while the body flows.
        let leaves_before = is_impatient && !(self.plan.shape.is_stream() && self.random.bool());
        let patience = if leaves_before { 0.5 * self.plan.median * self.random.f64() } else { self.plan.patience };
        let leaves_at = self.now.saturating_add(seconds(patience));
        let first = self.begin(leaves_at, is_impatient);
        if let Some(first) = first.filter(|_| self.plan.shape == Shape::Hedges && !is_impatient) {
            self.plan_for(self.now.saturating_add(seconds(self.plan.hedge_after)), Next::Hedge(first));
        }
    }

    /// When an answer comes, and whether it is a failure.
    fn fate(&mut self) -> (Instant, bool) {
        let usual = self.plan.time_to_answer(&mut self.random);
        let outage = self.laws.outage().map(|number| &self.plan.outages[number]);
        let fails = match outage.map(|outage| outage.fault) {
            None => self.random.f64() < self.plan.failing,
            Some(Fault::Fails) => true,
            Some(Fault::Hangs) => return (Instant::NEVER, false),
            Some(Fault::FailsInPart(share)) => self.random.f64() < share,
        };
        let is_quick = fails && outage.is_some_and(|outage| outage.is_quick);
        let takes = if is_quick { usual.min(0.001) } else { usual };
        (self.now.saturating_add(seconds(takes).max(Duration::from_nanos(1))), fails)
    }

    fn begin(&mut self, leaves_at: Instant, is_impatient: bool) -> Option<Key> {
        self.laws.asks(self.now);
        let (answer_at, fails) = self.fate();
        let held = match self.plan.shape {
            Shape::Calls | Shape::Hedges => self.breaker.try_acquire().ok().map(Held::Permit),
            _ => {
                let script = self.script(answer_at, fails);
                call(&mut self.service, script).map(Held::Answer)
            }
        };
        self.listen();
        let held = held?;
        let number = self.number();
        let begun = self.laws.begins(self.now);
        let call = Some(Call { number, held, begun, fails, leaves_at, is_impatient, other: None });
        let place = self.free.pop().unwrap_or(self.calls.len());
        if place == self.calls.len() {
            self.calls.push(None);
        }
        self.calls[place] = call;
        let key = Key { place, number };
        self.plan_for(answer_at.min(leaves_at), Next::Due(key));
        Some(key)
    }

    fn script(&mut self, head_at: Instant, fails: bool) -> Script {
        let body = self.plan.body;
        // While all is well, streams fail at their end, as they succeed: failures at the head would be counted first,
        // and a process that starts would see few successes but theirs for as long as the first bodies last.
        // In a partial outage they fail at the head: a caller that leaves the flow never sees the end.
        let is_late = match self.laws.outage().map(|number| self.plan.outages[number].fault) {
            None => true,
            Some(Fault::FailsInPart(_)) => false,
            Some(_) => self.random.bool(),
        };
        let breaks = fails && self.plan.shape.is_stream() && is_late;
        let status = if fails && !breaks { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let is_stream = self.plan.shape.is_stream() && status == StatusCode::OK;
        let frames = if is_stream { frames(body) } else { 0 };
        Script { head_at, status, frames, between_frames: between_frames(body), breaks }
    }

    /// A call is answered, goes on, or its caller leaves.
    fn progress(&mut self, key: Key) {
        let now = self.now;
        let call = self.calls[key.place].take().expect("it was looked up");
        self.free.push(key.place);
        let leaves = call.leaves_at <= now;
        let Call { held, begun, .. } = call;
        let end = match held {
            Held::Body(body) if leaves => {
                drop(body);
                End::Good
            }
            held if leaves => {
                drop(held);
                if call.is_impatient { End::Early } else { End::Unanswered }
            }
            Held::Permit(permit) if call.fails => {
                permit.failure();
                End::Bad
            }
            Held::Permit(permit) => {
                permit.success();
                End::Good
            }
            Held::Answer(answer) => {
                let response = head(answer);
                self.is_answered |= response.status() == StatusCode::OK;
                if response.status() != StatusCode::OK {
                    End::Bad
                } else if self.plan.shape.is_stream() {
                    let stays = if call.is_impatient { self.random.f64() * self.plan.body } else { DAY };
                    let leaves_at = now.saturating_add(seconds(stays));
                    let held = Held::Body(Box::pin(response.into_body()));
                    let begun = self.laws.flows(begun);
                    return self.go_on(key, Call { held, begun, leaves_at, ..call });
                } else {
                    End::Good
                }
            }
            Held::Body(mut body) => match read(&mut body) {
                Some(true) => End::Good,
                Some(false) => End::Bad,
                None => return self.go_on(key, Call { held: Held::Body(body), ..call }),
            },
        };
        self.listen();
        self.laws.ends(begun, end, now);
        self.is_answered |= end == End::Good;
        if matches!(end, End::Good | End::Bad)
            && let Some(other) = call.other.filter(|other| self.find(*other).is_some())
        {
            let loser = self.calls[other.place].take().expect("it was looked up");
            self.free.push(other.place);
            drop(loser.held);
            self.listen();
            self.laws.ends(loser.begun, End::Early, now);
        }
    }

    /// A body flows: its next frame, or the end of its caller's interest.
    fn go_on(&mut self, key: Key, mut call: Call) {
        if let Held::Body(body) = &mut call.held {
            read(body);
        }
        self.listen();
        let next = self.now.saturating_add(between_frames(self.plan.body));
        self.plan_for(next.min(call.leaves_at), Next::Due(key));
        self.free.pop();
        self.calls[key.place] = Some(call);
    }
}
