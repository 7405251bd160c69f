//! Timelines of the acts, in columns of equal time.

use crate::load::{Answer, Arm, Route, Sample};
use crate::shop::Measured;
use backstop::rollback::Decision;
use std::fmt::Write;
use std::time::Duration;

/// Columns of the longest act.
const COLUMNS: u32 = 58;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Acts of an overload, one below the other on the same scale.
pub(crate) fn overload(acts: &[(&str, &Measured)]) -> String {
    let longest = acts.iter().map(|(_, act)| act.total).max().unwrap_or_default();
    let mut text = String::new();
    for (title, act) in acts {
        let chart = Chart::new(act, longest);
        let mut lanes = vec![
            (title.to_string(), chart.axis()),
            ("canary's share".into(), chart.cells(|from, to| chart.share(from, to))),
            ("stable latency".into(), chart.cells(|from, to| latency(&chart.pages(Arm::Stable, from, to)))),
            ("canary latency".into(), chart.cells(|from, to| latency(&chart.pages(Arm::Canary, from, to)))),
            ("canary answers".into(), chart.cells(|from, to| answers(&chart.pages(Arm::Canary, from, to)))),
            ("canary checkout".into(), chart.cells(|from, to| latency(&chart.checkouts(Arm::Canary, from, to)))),
        ];
        if !act.looks.is_empty() {
            lanes.push(("canary circuit".into(), chart.cells(|_, to| chart.circuit(Arm::Canary, to))));
        }
        text += &chart.draw(lanes);
    }
    text += "latency: median, on a logarithmic scale from ▁ 1 ms to █ 1 s (timed out)\n";
    text += "answers: • in full  ~ from the cache  × error      circuit: ━ closed  ╱ open  ╍ half-open\n";
    text
}

/// An act with several canaries: failed pages, and the evidence of the judge.
pub(crate) fn evidence(title: &str, act: &Measured) -> String {
    let chart = Chart::new(act, act.total);
    let mut lanes = vec![(title.to_owned(), chart.axis())];
    for (arm, _) in &act.looks {
        let name = arm.as_str();
        lanes.push((format!("{name} failed"), chart.cells(|from, to| failed(&chart.pages(*arm, from, to)))));
        lanes.push((format!("{name} evidence"), chart.cells(|_, to| chart.evidence(*arm, to))));
        lanes.push((format!("{name} verdict"), chart.cells(|_, to| chart.verdict(*arm, to))));
    }
    let mut text = chart.draw(lanes);
    text += "failed: share of the pages, █ 10 % or more      evidence of more errors than stable: █ rolls back\n";
    text += "verdict: c collecting  • continue  p pause  R rollback\n";
    text
}

struct Chart<'a> {
    act: &'a Measured,
    /// Time per column.
    column: Duration,
}

impl<'a> Chart<'a> {
    fn new(act: &'a Measured, longest: Duration) -> Self {
        Self { act, column: (longest / COLUMNS).max(Duration::from_millis(1)) }
    }

    fn draw(&self, lanes: Vec<(String, String)>) -> String {
        let mut text = String::new();
        for (name, cells) in lanes {
            let _ = writeln!(text, "{}", format!("{name:<20}{cells}").trim_end());
        }
        let _ = writeln!(text, "{:<20}{}", "", self.marks());
        for (number, moment) in self.act.moments.iter().enumerate() {
            let _ = writeln!(text, "{:>24} {:>6.2} s  {}", mark(number), moment.at.as_secs_f64(), moment.text);
        }
        text.push('\n');
        text
    }

    fn columns(&self) -> u32 {
        u32::try_from(self.act.total.as_nanos().div_ceil(self.column.as_nanos())).unwrap_or(COLUMNS)
    }

    fn cells(&self, cell: impl Fn(Duration, Duration) -> char) -> String {
        (0..self.columns()).map(|n| cell(self.column * n, self.column * (n + 1))).collect()
    }

    fn place(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.column.as_nanos()).unwrap_or(usize::MAX)
    }

    fn axis(&self) -> String {
        let mut axis = String::new();
        for second in (0..=self.act.total.as_secs()).step_by(2) {
            let place = self.place(Duration::from_secs(second));
            let _ = write!(axis, "{}{second} s", " ".repeat(place.saturating_sub(axis.len())));
        }
        axis
    }

    /// A digit under each event; events in the same column move to the right.
    fn marks(&self) -> String {
        let mut marks = String::new();
        for (number, moment) in self.act.moments.iter().enumerate() {
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
        self.act.samples.iter().filter(is_of).collect()
    }

    fn checkouts(&self, arm: Arm, from: Duration, to: Duration) -> Vec<&Sample> {
        self.samples(arm, Route::Checkout, from, to)
    }

    fn share(&self, from: Duration, to: Duration) -> char {
        let shares = self.act.shares.iter().rev().find(|shares| shares.at < (from + to) / 2);
        match shares.map_or(0, |shares| shares.canary) {
            0 => ' ',
            weight => LEVELS[(weight as usize * LEVELS.len()).div_ceil(100) - 1],
        }
    }

    fn circuit(&self, arm: Arm, to: Duration) -> char {
        let change = self.act.circuits.iter().rev().find(|change| change.arm == arm && change.at < to);
        match change.map(|change| change.to.as_str()) {
            Some("open") => '╱',
            Some("half_open") => '╍',
            _ => '━',
        }
    }

    fn verdict_at(&self, arm: Arm, to: Duration) -> Option<&backstop::rollback::Verdict> {
        let (_, looks) = self.act.looks.iter().find(|(canary, _)| *canary == arm)?;
        looks.iter().rev().find(|look| look.at < to).map(|look| &look.verdict)
    }

    fn verdict(&self, arm: Arm, to: Duration) -> char {
        match self.verdict_at(arm, to).map(|verdict| verdict.decision) {
            None => ' ',
            Some(Decision::Collecting) => 'c',
            Some(Decision::Continue) => '•',
            Some(Decision::Pause) => 'p',
            Some(Decision::Rollback) => 'R',
        }
    }

    fn evidence(&self, arm: Arm, to: Duration) -> char {
        let verdict = self.verdict_at(arm, to);
        let errors = verdict.and_then(|verdict| verdict.triggers.iter().find(|trigger| trigger.name == "errors"));
        let share = errors.and_then(|errors| Some(errors.log_e? / errors.log_threshold?));
        level(share.unwrap_or(0.0))
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

/// Share of the pages that failed; a full block is 10 %.
fn failed(samples: &[&Sample]) -> char {
    let failed = samples.iter().filter(|sample| sample.answer == Answer::Error).count();
    level(10.0 * failed as f64 / samples.len().max(1) as f64)
}
