//! Adaptive limits against a simulated server with a known knee, at once and at twice its capacity.
//!
//! `cargo test --test bulkhead adaptive -- --nocapture` shows the table; `BACKSTOP_ADAPTIVE_SEED` draws other calls. A debug
//! build leaves out the long scenarios (`BACKSTOP_ADAPTIVE_CALLS` sets the bound): `scripts/test_long.sh` plays all.

mod scenario;
mod server;
mod world;

use backstop::bulkhead::Permit;
use backstop::clock::{Clock, ManualClock};
use backstop::{Bulkhead, Outcome};
use scenario::{Expect, Scenario};
use std::fmt::{self, Write as _};
use std::time::Duration;
use world::{Fixed, Gate, Open, Stretch, play};

/// A bulkhead whose clock is the simulation's.
struct Adaptive {
    bulkhead: Bulkhead,
    time: ManualClock,
    /// As of the last call that ended: nothing else changes it.
    limit: u32,
}

impl Gate for Adaptive {
    type Permit = Permit;

    fn advance(&mut self, by: Duration) {
        self.time.advance(by);
    }

    fn enter(&mut self) -> Option<Permit> {
        self.bulkhead.try_acquire().ok()
    }

    fn leave(&mut self, permit: Permit, is_late: bool) {
        permit.end(if is_late { Outcome::Failure } else { Outcome::Success });
        self.limit = self.bulkhead.snapshot().limit;
    }

    fn limit(&self) -> f64 {
        self.limit.into()
    }
}

fn seed() -> u64 {
    std::env::var("BACKSTOP_ADAPTIVE_SEED").map_or(7, |seed| seed.parse().expect("a number"))
}

/// Scenarios with more calls at the server's capacity are left out.
fn longest() -> f64 {
    let longest = if cfg!(debug_assertions) { 100_000.0 } else { f64::INFINITY };
    std::env::var("BACKSTOP_ADAPTIVE_CALLS").map_or(longest, |calls| calls.parse().expect("a number"))
}

fn scenarios(name: &str) -> Vec<Scenario> {
    let file = format!("tests/bulkhead/adaptive/{name}.jsonl");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let scenarios =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")));
    scenarios.filter(|scenario: &Scenario| scenario.calls() <= longest()).collect()
}

fn with_limit(scenario: &Scenario, load: f64) -> Vec<Stretch> {
    let (clock, time) = Clock::manual();
    let builder = Bulkhead::builder("simulated").clock(clock).max_concurrent_calls(scenario.initial);
    let bulkhead = builder.adaptive(scenario.adaptive.clone()).build().expect("the settings are allowed");
    play(scenario, load, seed(), &mut Adaptive { bulkhead, time, limit: scenario.initial })
}

/// The best goodput of a fixed limit at twice the capacity, for a server that stays as it is.
///
/// Less than the capacity: with a small knee, a place that has just become free waits for the next arrival.
fn peak(scenario: &Scenario, knee: f64) -> f64 {
    let still = Scenario { knee, moves: vec![], round_trips: 300.0, ..scenario.clone() };
    let goodput = |share: f64| play(&still, 2.0, seed(), &mut Fixed::new(knee * share))[0].goodput;
    [1.0, 1.1, 1.2].map(goodput).into_iter().fold(0.0, f64::max)
}

/// Plays a file and prints its table, all at once: other files are played at the same time.
fn play_file(name: &str) {
    let mut failures = vec![];
    let mut table =
        format!("{:22} {:>5} {:>6} {:>5} | {name}: 1x   2x | no limit: 1x   2x\n", "scenario", "knee", "limit", "off");
    for scenario in scenarios(name) {
        let limited = [1.0, 2.0].map(|load| with_limit(&scenario, load));
        let open = [1.0, 2.0].map(|load| play(&scenario, load, seed(), &mut Open));
        for (i, settled) in limited[1].iter().enumerate() {
            let row = Row::new(&scenario, settled, [&limited[0][i], &limited[1][i], &open[0][i], &open[1][i]]);
            writeln!(table, "{row}").expect("a string takes everything");
            let wrong = row.wrong(&scenario.expect);
            failures.extend(wrong.map(|what| format!("{}, stretch {i}: {what} ({})", scenario.id, scenario.title)));
        }
    }
    println!("{table}");
    assert!(failures.is_empty(), "{} expectations failed:\n{}", failures.len(), failures.join("\n"));
}

/// A line of the table.
struct Row {
    id: String,
    knee: f64,
    limit: f64,
    off: f64,
    /// With the limit at once and twice the capacity, then without, as shares of the peak.
    goodput: [f64; 4],
}

impl Row {
    fn new(scenario: &Scenario, settled: &Stretch, goodput: [&Stretch; 4]) -> Self {
        let Stretch { knee, limit, .. } = *settled;
        let peak = peak(scenario, knee);
        let goodput = goodput.map(|stretch| stretch.goodput / peak);
        Self { id: scenario.id.clone(), knee, limit, off: limit / knee - 1.0, goodput }
    }

    fn wrong(&self, expect: &Expect) -> impl Iterator<Item = &'static str> + use<> {
        let [_, twice, _, open_twice] = self.goodput;
        let off = self.off.abs();
        let checks = [
            (expect.knee_within.is_none_or(|share| off <= share), "the limit is off the knee"),
            (!expect.is_missed || off > 0.2, "the knee was not to be found"),
            (expect.goodput.is_none_or(|share| twice >= share), "goodput is lost at twice the capacity"),
            (open_twice < 0.1, "without a limit it should collapse"),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, knee, limit, off, goodput: [once, twice, open_once, open_twice] } = self;
        let off = off * 100.0;
        write!(
            f,
            "{id:22} {knee:5} {limit:6.1} {off:+4.0}% | {once:9.2} {twice:4.2} | {open_once:12.2} {open_twice:4.2}"
        )
    }
}

#[test]
fn vegas_settles_at_the_knee_and_keeps_the_goodput_that_is_lost_without() {
    play_file("vegas");
}

#[test]
fn the_gradient_settles_at_the_knee_and_keeps_the_goodput_that_is_lost_without() {
    play_file("gradient2");
}

#[test]
fn aimd_with_a_timeout_keeps_the_goodput_that_is_lost_without() {
    play_file("aimd");
}
