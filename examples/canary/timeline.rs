//! Timeline of the runs, one below the other on the same scale.

use crate::load::{Answer, Arm, Route, Sample};
use crate::rollout::{Guards, Measured};
use crate::service;
use std::fmt::Write;
use std::time::Duration;

/// Columns of the longest run.
const COLUMNS: u32 = 58;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(crate) fn draw(runs: &[&Measured]) -> String {
    let longest = runs.iter().map(|run| run.total).max().unwrap_or_default();
    let column = (longest / COLUMNS).max(Duration::from_millis(1));
    let mut text = String::new();
    for run in runs {
        text += &Chart { run, column }.draw();
        text.push('\n');
    }
    let _ = writeln!(text, "canary bulkhead: calls to ratings in flight, █ {} or more", service::IN_FLIGHT);
    text += "canary's calls: calls that reach the dependency, █ 500 a second\n";
    text += "latency: median, on a logarithmic scale from ▁ 1 ms to █ 1 s (timed out)\n";
    text += "answers: • in full  ~ from the cache  × error      circuit: ━ closed  ╱ open  ╍ half-open  · shadow";
    text
}

struct Chart<'a> {
    run: &'a Measured,
    /// Time per column.
    column: Duration,
}

impl Chart<'_> {
    fn draw(&self) -> String {
        let title = match self.run.guards {
            Guards::Shadow => "without",
            Guards::Armed => "with both",
        };
        let moments = &self.run.moments;
        let mut text = String::new();
        let mut lane = |name: &str, cells: String| {
            let _ = writeln!(text, "{}", format!("{name:<20}{cells}").trim_end());
        };
        lane(title, self.axis());
        lane("canary's share", self.cells(|from, to| self.share(from, to)));
        lane("stable latency", self.cells(|from, to| latency(&self.pages(Arm::Stable, from, to))));
        lane("canary latency", self.cells(|from, to| latency(&self.pages(Arm::Canary, from, to))));
        lane("canary answers", self.cells(|from, to| answers(&self.pages(Arm::Canary, from, to))));
        lane("canary checkout", self.cells(|from, to| latency(&self.samples(Arm::Canary, Route::Checkout, from, to))));
        lane("stable circuit", self.cells(|_, to| self.circuit(Arm::Stable, to)));
        lane("canary circuit", self.cells(|_, to| self.circuit(Arm::Canary, to)));
        lane("canary bulkhead", self.cells(|from, to| self.in_flight(from, to)));
        lane("canary's calls", self.cells(|from, to| self.arrivals(from, to)));
        lane("", self.marks());
        for (number, moment) in moments.iter().enumerate() {
            let _ = writeln!(text, "{:>24} {:>6.2} s  {}", mark(number), moment.at.as_secs_f64(), moment.text);
        }
        text
    }

    fn columns(&self) -> u32 {
        u32::try_from(self.run.total.as_nanos().div_ceil(self.column.as_nanos())).unwrap_or(COLUMNS)
    }

    fn cells(&self, cell: impl Fn(Duration, Duration) -> char) -> String {
        (0..self.columns()).map(|n| cell(self.column * n, self.column * (n + 1))).collect()
    }

    fn place(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.column.as_nanos()).unwrap_or(usize::MAX)
    }

    fn axis(&self) -> String {
        let mut axis = String::new();
        for second in (0..=self.run.total.as_secs()).step_by(2) {
            let place = self.place(Duration::from_secs(second));
            let _ = write!(axis, "{}{second} s", " ".repeat(place.saturating_sub(axis.len())));
        }
        axis
    }

    /// A digit under each event; events in the same column move to the right.
    fn marks(&self) -> String {
        let mut marks = String::new();
        for (number, moment) in self.run.moments.iter().enumerate() {
            let gap = self.place(moment.at).saturating_sub(marks.chars().count());
            let _ = write!(marks, "{}{}", " ".repeat(gap), mark(number));
        }
        marks
    }

    fn pages(&self, arm: Arm, from: Duration, to: Duration) -> Vec<&Sample> {
        self.samples(arm, Route::Page, from, to)
    }

    fn samples(&self, arm: Arm, route: Route, from: Duration, to: Duration) -> Vec<&Sample> {
        let is_of = |s: &&Sample| s.arm == arm && s.route == route && (from..to).contains(&s.at);
        self.run.samples.iter().filter(is_of).collect()
    }

    fn share(&self, from: Duration, to: Duration) -> char {
        let stage = self.run.stages.iter().rev().find(|stage| stage.at < (from + to) / 2);
        match stage.map_or(0, |stage| stage.weight) {
            0 => ' ',
            weight => LEVELS[(weight as usize * LEVELS.len()).div_ceil(100) - 1],
        }
    }

    fn circuit(&self, arm: Arm, to: Duration) -> char {
        let change = self.run.circuits.iter().rev().find(|change| change.arm == arm && change.at < to);
        match (change.map(|change| change.to.as_str()), self.run.guards) {
            (_, Guards::Shadow) => '·',
            (Some("open"), _) => '╱',
            (Some("half_open"), _) => '╍',
            _ => '━',
        }
    }

    /// The canary's calls in flight at the last scrape; a full block is the bulkhead's limit.
    fn in_flight(&self, from: Duration, to: Duration) -> char {
        let last = self.run.looks.iter().rev().find(|look| look.at < (from + to) / 2);
        last.map_or(' ', |look| level(look.canary.in_flight as f64 / f64::from(service::IN_FLIGHT)))
    }

    /// Rate of the canary's calls at the dependency; a full block is 500 a second.
    fn arrivals(&self, from: Duration, to: Duration) -> char {
        let middle = (from + to) / 2;
        let around = self.run.looks.windows(2).find(|pair| (pair[0].at..pair[1].at).contains(&middle));
        let Some([before, after]) = around.and_then(|pair| <&[_; 2]>::try_from(pair).ok()) else { return ' ' };
        let rate = (after.reached - before.reached) as f64 / after.at.saturating_sub(before.at).as_secs_f64();
        level(rate / 500.0)
    }
}

fn mark(number: usize) -> char {
    char::from_digit(u32::try_from(number).unwrap_or(0) + 1, 36).unwrap_or('?')
}

/// A blank for 0, else one of eight levels up to 1.
fn level(share: f64) -> char {
    let mut reached = LEVELS.iter().enumerate().rev().filter(|(n, _)| share * LEVELS.len() as f64 >= *n as f64);
    reached.next().filter(|_| share > 0.0).map_or(' ', |(_, level)| *level)
}

fn latency(samples: &[&Sample]) -> char {
    let mut times: Vec<_> = samples.iter().map(|sample| sample.took).collect();
    times.sort_unstable();
    let Some(median) = times.get(times.len() / 2) else { return ' ' };
    // Three decades, 1 ms to 1 s, on eight levels.
    level((median.as_secs_f64().max(0.001_001).log10() + 3.0) / 3.0)
}

/// The most frequent answer.
fn answers(samples: &[&Sample]) -> char {
    let count = |answer| samples.iter().filter(|sample| sample.answer == answer).count();
    let most = [(Answer::Full, '•'), (Answer::Fallback, '~'), (Answer::Error, '×')]
        .map(|(answer, sign)| (count(answer), sign));
    most.into_iter().max().filter(|(count, _)| *count > 0).map_or(' ', |(_, sign)| sign)
}
