//! The guards of one KPI in one window.

use super::config::{Direction, Kpi};
use super::verdict::{Guard, GuardResult};
use super::window::{Reading, Window};
use std::time::Duration;

/// Results of the guards of a KPI.
pub(crate) struct Judgement {
    pub(crate) guards: Vec<GuardResult>,
    /// Whether the window is one of those in a row.
    pub(crate) is_bad: bool,
    /// The canary's reading, if no guard holds the KPI back.
    pub(crate) engage: Option<Reading>,
}

/// Judges a KPI of a capability that has been on for `age`, and that was bad in `in_row` windows before this one.
pub(crate) fn judge(kpi: &Kpi, window: &Window, age: Duration, in_row: u32) -> Judgement {
    let mut says = Says { kpi, guards: Vec::new() };
    let canary = match readings(kpi, window) {
        Ok(canary) => canary,
        Err(sentence) => {
            says.say(Guard::Reading, false, sentence);
            return Judgement { guards: says.guards, is_bad: false, engage: None };
        }
    };
    says.say(Guard::Reading, true, "every value is a number".to_owned());
    says.warm_up(age);
    says.samples(canary);
    says.threshold(canary);
    says.baseline(canary, window.baseline.get(&kpi.name));
    let is_bad = says.agree();
    says.windows(in_row.saturating_add(1));
    let engage = says.agree().then_some(canary);
    Judgement { guards: says.guards, is_bad, engage }
}

/// The canary's reading, when it and that of the baseline are sound.
fn readings(kpi: &Kpi, window: &Window) -> Result<Reading, String> {
    let canary = window.canary.get(&kpi.name).ok_or("the canary has no value")?;
    let baseline = window.baseline.get(&kpi.name).filter(|_| kpi.baseline_factor.is_some());
    for (whose, reading) in [("canary", Some(canary)), ("baseline", baseline)] {
        let Some(reading) = reading else { continue };
        for (what, number) in [("value", reading.value), ("number of samples", reading.samples)] {
            if !(number.is_finite() && number >= 0.0) {
                return Err(format!("the {whose}'s {what} is {number}, must be finite and 0 at least"));
            }
        }
    }
    Ok(*canary)
}

struct Says<'a> {
    kpi: &'a Kpi,
    guards: Vec<GuardResult>,
}

impl Says<'_> {
    fn say(&mut self, guard: Guard, agrees: bool, sentence: String) {
        self.guards.push(GuardResult { guard, kpi: Some(self.kpi.name.clone()), holds: !agrees, sentence });
    }

    fn agree(&self) -> bool {
        self.guards.iter().all(|said| !said.holds)
    }

    fn warm_up(&mut self, age: Duration) {
        let warm_up = self.kpi.warm_up;
        let sentence = format!("the capability has been on for {age:?}, less than its warm-up of {warm_up:?}");
        self.say(Guard::WarmUp, age >= warm_up, sentence);
    }

    fn samples(&mut self, canary: Reading) {
        let needed = self.kpi.minimum_samples;
        let sentence = format!(
            "the canary has {} samples in this window, at least {needed} are needed to judge it",
            canary.samples
        );
        self.say(Guard::Samples, canary.samples >= f64::from(needed), sentence);
    }

    fn threshold(&mut self, canary: Reading) {
        let (value, threshold) = (canary.value, self.kpi.threshold);
        let (is_past, bad) = match self.kpi.worse {
            Direction::Higher => (value > threshold, "above"),
            Direction::Lower => (value < threshold, "below"),
        };
        let is = if is_past { "is" } else { "is not" };
        self.say(Guard::Threshold, is_past, format!("the canary's {value} {is} {bad} {threshold}"));
    }

    fn baseline(&mut self, canary: Reading, baseline: Option<&Reading>) {
        let Some(factor) = self.kpi.baseline_factor else {
            return self.say(Guard::Baseline, true, "no baseline to compare with".to_owned());
        };
        let Some(baseline) = baseline else {
            return self.say(Guard::Baseline, false, "the baseline has no value".to_owned());
        };
        let needed = self.kpi.minimum_samples;
        if baseline.samples < f64::from(needed) {
            let sentence = format!(
                "the baseline has {} samples in this window, at least {needed} are needed to compare with it",
                baseline.samples
            );
            return self.say(Guard::Baseline, false, sentence);
        }
        let is_worse = match self.kpi.worse {
            Direction::Higher => canary.value >= factor * baseline.value,
            Direction::Lower => canary.value * factor <= baseline.value,
        };
        let (ours, theirs) = (canary.value, baseline.value);
        let sentence = if is_worse {
            format!("the canary's {ours} is at least {factor} times as bad as the baseline's {theirs}")
        } else {
            format!("the baseline is bad too: the canary's {ours} is not {factor} times as bad as its {theirs}")
        };
        self.say(Guard::Baseline, is_worse, sentence);
    }

    fn windows(&mut self, in_row: u32) {
        let needed = self.kpi.windows;
        let sentence = format!("a bad window would be number {in_row} in a row, {needed} are needed");
        self.say(Guard::Windows, in_row >= needed, sentence);
    }
}
