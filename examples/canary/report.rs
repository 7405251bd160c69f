//! Figures at the end of the run, and checks on them.

use crate::load::{Answer, Arm, Phase, Route, Sample};
use crate::rollout::{Guards, Measured, STAGES};
use crate::scrape::Look;
use crate::{service, verdict};
use backstop::BoxError;
use std::fmt::Write;
use std::time::Duration;

/// Answers and latencies of one arm in one part of a run.
pub(crate) struct Summary {
    pub(crate) requests: usize,
    /// Ascending. A request that timed out counts with its deadline.
    latencies: Vec<Duration>,
    full: usize,
    fallback: usize,
    errors: usize,
}

impl Summary {
    pub(crate) fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Self {
        let samples: Vec<_> = samples.collect();
        let count = |answer| samples.iter().filter(|sample| sample.answer == answer).count();
        let mut latencies: Vec<_> = samples.iter().map(|sample| sample.took).collect();
        latencies.sort_unstable();
        Self {
            requests: samples.len(),
            full: count(Answer::Full),
            fallback: count(Answer::Fallback),
            errors: count(Answer::Error),
            latencies,
        }
    }

    /// Summary of pages.
    fn in_phase(run: &Measured, arm: Arm, phases: &[Phase]) -> Self {
        Self::of_route(run, arm, Route::Page, phases)
    }

    fn of_route(run: &Measured, arm: Arm, route: Route, phases: &[Phase]) -> Self {
        let is_of = |s: &&Sample| s.arm == arm && s.route == route && phases.contains(&s.phase);
        Self::of(run.samples.iter().filter(is_of))
    }

    /// Summary of the canary's checkouts while ratings were overloaded.
    fn checkouts(run: &Measured) -> Self {
        Self::of_route(run, Arm::Canary, Route::Checkout, &[Phase::Overload, Phase::Open])
    }

    /// Percentile of the latency.
    pub(crate) fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.checked_sub(1)?).copied()
    }

    fn row(&self, what: &str, share: &str) -> String {
        let latency = |percent| self.percentile(percent).map_or_else(|| "-".into(), time);
        let part = |part| percent(part, self.requests);
        format!(
            "  {what:<28}{share:>5}{:>9}{:>10}{:>9}{:>9}{:>8}{:>8}\n",
            self.requests,
            latency(50),
            latency(99),
            part(self.full),
            part(self.fallback),
            part(self.errors)
        )
    }
}

/// All measurements as text.
pub(crate) fn figures(control: &Measured, protected: &Measured) -> String {
    let mut text = format!(
        "{:<30}{:>5}{:>9}{:>10}{:>9}{:>9}{:>8}{:>8}\n",
        "", "share", "requests", "p50", "p99", "in full", "cached", "errors"
    );
    for (title, run) in [("without breaker and bulkhead", control), ("with both", protected)] {
        text += title;
        text.push('\n');
        text += &rows(run);
    }
    let _ = writeln!(
        text,
        "The canary is slower from the start: it makes {} calls per page. This judge checks circuits and bulkheads, not latency.",
        service::PRODUCTS
    );
    text += &calls(control, protected);
    text += &times(protected);
    text.truncate(text.trim_end().len());
    text
}

fn rows(run: &Measured) -> String {
    use Phase::{After, Before, Open, Overload, Probing, Shifted};
    let [first, second] = STAGES.map(|weight| format!("{weight} %"));
    let until = if run.guards == Guards::Armed { "canary, until it opens" } else { "canary, overloaded" };
    let canary = [
        ("canary, before", &first, Before),
        (until, &second, Overload),
        ("canary, circuit open", &second, Open),
        ("canary, fixed, recovering", &first, Probing),
        ("canary, fixed", &second, After),
    ];
    let rows = canary.map(|(what, share, phase)| (Summary::in_phase(run, Arm::Canary, &[phase]), what, share.as_str()));
    let stable = Summary::in_phase(run, Arm::Stable, &[Before, Overload, Open, Shifted, Probing, After]);
    let meanwhile = Summary::in_phase(run, Arm::Stable, &[Overload, Open]);
    let rows = rows
        .into_iter()
        .chain([(Summary::checkouts(run), "canary, checkouts meanwhile", second.as_str())])
        .chain([(meanwhile, "stable, meanwhile", second.as_str()), (stable, "stable, all the time", "")]);
    rows.filter(|(summary, ..)| summary.requests > 0).map(|(summary, what, share)| summary.row(what, share)).collect()
}

/// Calls of the canary that reached the dependency, from scrape to scrape.
fn calls(control: &Measured, protected: &Measured) -> String {
    let mut text =
        String::from("\nthe canary's calls that reached the dependency in the overloaded stage, scrape to scrape\n");
    let mut line = |what: &str, run: &Measured, from: Duration, to: Duration| {
        if let Some((calls, seconds)) = reached(&run.looks, from, to) {
            let _ = writeln!(text, "  {what:<28}{calls:>6} in {seconds:.1} s ({:.0}/s)", calls as f64 / seconds);
        }
    };
    line("without", control, control.times.overload, control.times.shifted);
    if let Some(open) = protected.times.open {
        line("with, until it opens", protected, protected.times.overload, open);
        line("with, while it is open", protected, open, protected.times.shifted);
    }
    text
}

/// Calls and seconds between the first scrapes after each of two times.
fn reached(looks: &[Look], from: Duration, to: Duration) -> Option<(u64, f64)> {
    let first = looks.iter().find(|look| look.at >= from)?;
    let last = looks.iter().find(|look| look.at >= to)?;
    let seconds = last.at.saturating_sub(first.at).as_secs_f64();
    (seconds > 0.0).then(|| (last.reached - first.reached, seconds))
}

fn times(run: &Measured) -> String {
    let times = &run.times;
    let line = |what: &str, from: Option<Duration>, to: Option<Duration>| match (from, to) {
        (Some(from), Some(to)) => format!("  {what:<36}{:>8}\n", time(to.saturating_sub(from))),
        _ => String::new(),
    };
    let looks = format!("open to ROLLBACK ({} scrapes)", verdict::LOOKS);
    let rest = format!("fix to half-open (open for {})", setting(service::OPEN_TIME));
    [
        "\ntimes with both\n".into(),
        line("overload to first failed call", Some(times.overload), times.first_failure),
        line("first failed call to open", times.first_failure, times.open),
        line(&looks, times.open, times.verdict),
        line(&rest, Some(times.fixed), times.half_open),
        line("half-open to closed", times.half_open, times.closed),
        line("fix to closed", Some(times.fixed), times.closed),
    ]
    .concat()
}

/// Checks that the breaker and the bulkhead protected the callers.
pub(crate) fn check(control: &Measured, protected: &Measured) -> Result<(), BoxError> {
    let without = Summary::in_phase(control, Arm::Canary, &[Phase::Overload]);
    let open = Summary::in_phase(protected, Arm::Canary, &[Phase::Open]);
    let stable_opened = protected.circuits.iter().any(|change| change.arm == Arm::Stable);
    let stable = Summary::in_phase(protected, Arm::Stable, &[Phase::Overload, Phase::Open]);
    let (Some(slow), Some(fast)) = (without.percentile(50), open.percentile(50)) else {
        return Err("step \"callers are compared\": no requests".into());
    };
    let (blocked, alive) = (Summary::checkouts(control), Summary::checkouts(protected));
    let (Some(waiting), Some(served)) = (blocked.percentile(50), alive.percentile(50)) else {
        return Err("step \"checkouts are compared\": no requests".into());
    };
    let checks = [
        ("stable's circuit stays closed", !stable_opened),
        ("stable answers in full meanwhile", stable.full * 100 >= stable.requests * 95),
        ("an open circuit answers from the cache", open.fallback * 100 >= open.requests * 95),
        ("an open circuit answers at once", fast * 5 < slow),
        ("the canary's bulkhead was full", protected.looks.iter().any(|look| look.canary.rejected > 0)),
        ("the bulkhead leaves workers to checkouts", served * 5 < waiting && alive.full * 100 >= alive.requests * 95),
    ];
    match checks.iter().find(|(_, holds)| !holds) {
        Some((step, _)) => Err(format!("step \"{step}\": this failed, see the figures").into()),
        None => Ok(()),
    }
}

/// The run in four sentences.
pub(crate) fn conclusion(control: &Measured, protected: &Measured) -> String {
    let without = Summary::in_phase(control, Arm::Canary, &[Phase::Overload]);
    let open = Summary::in_phase(protected, Arm::Canary, &[Phase::Open]);
    let times = &protected.times;
    let median = |summary: &Summary| summary.percentile(50).map_or_else(|| "-".into(), time);
    format!(
        "Without the breaker, callers of the overloaded canary waited {} (median) and {} got an answer.\n\
         With the circuit open they waited {}, and {} got an answer, with ratings from the cache.\n\
         Checkouts, which need no ratings, took {} (median) without protection and {} with breaker and bulkhead.\n\
         The judge said ROLLBACK {} after the first failed call; stable's circuit stayed closed.",
        median(&without),
        how_many(without.full + without.fallback, without.requests),
        median(&open),
        how_many(open.full + open.fallback, open.requests),
        median(&Summary::checkouts(control)),
        median(&Summary::checkouts(protected)),
        times.verdict.zip(times.first_failure).map_or_else(|| "-".into(), |(to, from)| time(to.saturating_sub(from))),
    )
}

fn how_many(part: usize, of: usize) -> String {
    match part {
        0 => "none".into(),
        _ if part == of => "all".into(),
        _ => percent(part, of),
    }
}

/// Formats a measured time: 0.8 ms, 12 ms, 1.05 s.
pub(crate) fn time(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    match ms {
        ..9.95 => format!("{ms:.1} ms"),
        ..999.5 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1e3),
    }
}

/// Formats a setting: 10 ms, 4 s.
pub(crate) fn setting(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

/// Formats whole percents; 0 % and 100 % only if exact.
fn percent(part: usize, of: usize) -> String {
    let share = 100.0 * part as f64 / of.max(1) as f64;
    match share {
        _ if part > 0 && share < 0.5 => "<1 %".into(),
        _ if part < of && share >= 99.5 => ">99 %".into(),
        _ => format!("{share:.0} %"),
    }
}
