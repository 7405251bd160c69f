//! A random service and its day: settings, traffic, answers, callers, outages.

use super::recipe::Recipe;
use backstop::clock::Instant;
use fastrand::Rng;
use std::f64::consts::TAU;
use std::ops::Range;
use std::time::Duration;

/// Seconds.
pub(crate) const DAY: f64 = 86_400.0;

/// More calls in flight would be memory and nothing else.
const IN_FLIGHT_MAX: f64 = 20_000.0;

/// Failed calls of a healthy service at most: far below a fifth of every threshold, as the guide asks.
const FAILING_MAX: f64 = 0.03;

/// How calls are made, and on which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Calls,
    /// Races of two calls; the loser is dropped.
    Hedges,
    /// The head at once, then a long body.
    Streams,
    Inbound,
    InboundStreams,
}

impl Shape {
    pub(crate) const ALL: [Self; 5] = [Self::Calls, Self::Hedges, Self::Streams, Self::Inbound, Self::InboundStreams];

    pub(crate) fn is_inbound(self) -> bool {
        matches!(self, Self::Inbound | Self::InboundStreams)
    }

    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Streams | Self::InboundStreams)
    }
}

/// Fault of an outage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    Fails,
    Hangs,
    /// This share of the calls fails.
    FailsInPart(f64),
}

#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    pub(crate) fault: Fault,
    /// Failures come in a millisecond, as from a closed port, instead of after the usual time.
    pub(crate) is_quick: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) recipe: Recipe,
    pub(crate) shape: Shape,
    /// Calls a second, where all of them are made.
    pub(crate) rate: f64,
    /// Calls a second in the rest of the day.
    pub(crate) thin_rate: f64,
    busy: Vec<Range<f64>>,
    /// Seconds until an answer (of a stream, its head): half of them take less. Log-normal.
    pub(crate) median: f64,
    sigma: f64,
    /// Seconds of a stream's body.
    pub(crate) body: f64,
    /// Share of calls that fail although all is well.
    pub(crate) failing: f64,
    /// Share of callers that leave before an answer can be expected.
    pub(crate) leaving: f64,
    /// Seconds that the other callers wait.
    pub(crate) patience: f64,
    pub(crate) hedge_after: f64,
    pub(crate) outages: Vec<Outage>,
    pub(crate) restarts: Vec<Instant>,
}

pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub(crate) fn at(time: f64) -> Instant {
    Instant::default().saturating_add(seconds(time))
}

/// A number between both, its logarithm evenly spread.
fn log_uniform(random: &mut Rng, range: Range<f64>) -> f64 {
    (range.start.ln() + random.f64() * (range.end / range.start).ln()).exp()
}

impl Plan {
    /// The service of a seed, with about so many calls in its day at most.
    pub(crate) fn draw(seed: u64, calls: f64) -> Self {
        let mut random = Rng::with_seed(seed);
        let shape = random.choice(Shape::ALL).expect("there are shapes");
        let (median, body) = if shape.is_stream() {
            (log_uniform(&mut random, 0.001..0.1), log_uniform(&mut random, 1.0..600.0))
        } else {
            (log_uniform(&mut random, 0.001..600.0), 0.0)
        };
        let sigma = 0.1 + 0.7 * random.f64();
        let patience = (20.0 * median).max(0.25) * (1.0 + random.f64());
        let rate = log_uniform(&mut random, 0.01..1_000.0).min(IN_FLIGHT_MAX / (patience + body));
        let leaving = match random.u8(0..3) {
            0 => 0.0,
            1 => 0.9 * random.f64(),
            _ => 1.0 - log_uniform(&mut random, 0.01..0.1),
        };
        let failing = if random.bool() { 0.0 } else { FAILING_MAX * random.f64() };
        let mut plan = Self {
            seed,
            recipe: Recipe::draw(&mut random, rate, median, sigma),
            shape,
            rate,
            thin_rate: rate,
            busy: vec![],
            median,
            sigma,
            body,
            failing,
            leaving,
            patience,
            hedge_after: median * (1.65 * sigma).exp(),
            outages: vec![],
            restarts: vec![],
        };
        plan.draw_outages(&mut random);
        plan.restarts = (0..random.u8(0..3)).map(|_| at(DAY * random.f64())).collect();
        plan.draw_traffic(&mut random, calls);
        plan
    }

    fn draw_outages(&mut self, random: &mut Rng) {
        if random.bool() {
            return; // a healthy service
        }
        let mut time = 0.0;
        loop {
            let from = time + log_uniform(random, 600.0..30_000.0);
            let to = from + log_uniform(random, 30.0..10_000.0) + self.patience.min(1_000.0);
            if to > DAY - 3_600.0 {
                return;
            }
            let fault = match random.u8(0..3) {
                0 => Fault::Fails,
                1 => Fault::Hangs,
                _ => Fault::FailsInPart(Recipe::FAILING_SHARE + 0.1 + 0.2 * random.f64()),
            };
            self.outages.push(Outage { from: at(from), to: at(to), fault, is_quick: random.bool() });
            time = to;
        }
    }

    /// All calls where they are few enough; else all of them around what happens, and one in many in between.
    fn draw_traffic(&mut self, random: &mut Rng, calls: f64) {
        if self.rate * DAY <= calls {
            self.busy.push(0.0..DAY);
            return;
        }
        self.thin_rate = self.rate.min(0.2 * calls / DAY);
        let edges = self.outages.iter().flat_map(|outage| [outage.from, outage.to]);
        let mut times: Vec<f64> =
            edges.chain(self.restarts.iter().copied()).map(|time| time.as_nanos() as f64 / 1e9).collect();
        times.extend([0.0, DAY * random.f64()]);
        times.sort_by(f64::total_cmp);
        let length = 0.8 * calls / self.rate / times.len() as f64;
        self.busy = times.iter().map(|time| time - length / 3.0..time + length * 2.0 / 3.0).collect();
    }

    /// The time of the first call after `time`, of a Poisson process; `None` after the day.
    pub(crate) fn next_call(&self, mut time: f64, random: &mut Rng) -> Option<f64> {
        let mut due = -(1.0 - random.f64()).ln();
        while time < DAY {
            let is_busy = self.busy.iter().any(|busy| busy.contains(&time));
            let edges = self.busy.iter().flat_map(|busy| [busy.start, busy.end]).filter(|edge| *edge > time);
            let (rate, until) = (if is_busy { self.rate } else { self.thin_rate }, edges.fold(DAY, f64::min));
            if due < rate * (until - time) {
                return Some(time + due / rate);
            }
            (due, time) = (due - rate * (until - time), until);
        }
        None
    }

    /// Seconds until an answer.
    pub(crate) fn time_to_answer(&self, random: &mut Rng) -> f64 {
        let normal = (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos();
        self.median * (self.sigma * normal).exp()
    }
}
