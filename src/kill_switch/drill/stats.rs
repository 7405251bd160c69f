//! Percentiles of a drill: time until a capability is off, and until that is seen.
//!
//! A percentile is the value at its nearest rank, so it is one that was measured. An instance that never answered
//! took longer than all the others: if a percentile falls on one, there is no number for it. It is not left
//! out, which would make a fleet look the faster the more of it is dead.

use crate::clock::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Times of one instance in a drill, from the command to engage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "make a report of it"]
pub struct Sample {
    instance: String,
    disabled: Option<Duration>,
    verified: Option<Duration>,
}

impl Sample {
    /// An instance, and when it had turned the capability off and was seen to have: `None` is never.
    pub fn new(instance: impl Into<String>, disabled: Option<Duration>, verified: Option<Duration>) -> Self {
        Self { instance: instance.into(), disabled, verified }
    }
}

/// Time limits for 99 of 100 instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    time_to_disable: Duration,
    time_to_verify: Duration,
}

impl Limits {
    /// Times from the command to engage, for the 99th percentile: below 100 instances that is all of them.
    pub const fn new(time_to_disable: Duration, time_to_verify: Duration) -> Self {
        Self { time_to_disable, time_to_verify }
    }
}

/// Percentiles of a time over the instances. `None` is longer than the drill took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Percentiles {
    /// Half of the instances took no longer.
    #[serde(with = "humantime_serde")]
    pub p50: Option<Duration>,
    /// 90 of 100 took no longer.
    #[serde(with = "humantime_serde")]
    pub p90: Option<Duration>,
    /// 99 of 100 took no longer.
    #[serde(with = "humantime_serde")]
    pub p99: Option<Duration>,
    /// None took longer.
    #[serde(with = "humantime_serde")]
    pub max: Option<Duration>,
}

impl Percentiles {
    fn of(mut times: Vec<Option<Duration>>) -> Self {
        times.sort_unstable_by_key(|time| time.unwrap_or(Duration::MAX));
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied().flatten()
        };
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// Result of one phase of a drill: how long the instances took to apply the change, which never did, and the verdict.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct PhaseReport {
    /// Number of instances that took part.
    pub instances: usize,
    /// From the command until the capability was off.
    pub time_to_disable: Percentiles,
    /// From the command until it was seen to be off.
    pub time_to_verify: Percentiles,
    /// Those that never turned it off, or were never seen to, by name.
    pub silent: Vec<String>,
    /// Whether every instance answered, there was one, and both times are within their limits.
    pub is_pass: bool,
    /// All of it in one sentence.
    pub sentence: String,
}

impl PhaseReport {
    /// Makes the report from the results of the instances. An instance that is there twice counts once, with the worse of each time.
    pub fn of(samples: impl IntoIterator<Item = Sample>, limits: Limits) -> Self {
        Self::worded(samples, limits, "off")
    }

    /// Of how the capability came back: as [`of`](Self::of), with times that count from the command to release, and
    /// until it was on again.
    pub fn restored(samples: impl IntoIterator<Item = Sample>, limits: Limits) -> Self {
        Self::worded(samples, limits, "on")
    }

    fn worded(samples: impl IntoIterator<Item = Sample>, limits: Limits, state: &str) -> Self {
        let mut instances: BTreeMap<String, (Option<Duration>, Option<Duration>)> = BTreeMap::new();
        for Sample { instance, disabled, verified } in samples {
            let worst = instances.entry(instance).or_insert((disabled, verified));
            *worst = (worse(worst.0, disabled), worse(worst.1, verified));
        }
        let is_silent = |(disabled, verified): &(Option<_>, Option<_>)| disabled.is_none() || verified.is_none();
        let silent: Vec<_> =
            instances.iter().filter(|(_, times)| is_silent(times)).map(|(name, _)| name.clone()).collect();
        let time_to_disable = Percentiles::of(instances.values().map(|times| times.0).collect());
        let time_to_verify = Percentiles::of(instances.values().map(|times| times.1).collect());
        let (instances, is_pass, sentence) = (instances.len(), false, String::new());
        let mut report = Self { instances, time_to_disable, time_to_verify, silent, is_pass, sentence };
        let why_not = report.why_not(limits, state);
        report.is_pass = why_not.is_none();
        report.sentence = why_not.map_or_else(|| report.passed(state), |why| format!("failed: {why}"));
        report
    }

    fn passed(&self, state: &str) -> String {
        let (off, seen) = (shown(self.time_to_disable.p99), shown(self.time_to_verify.p99));
        let count = instances_shown(self.instances);
        format!("passed: the 99th percentile of {count} was {state} after {off} and seen {state} after {seen}")
    }

    /// The first thing that makes a drill fail.
    fn why_not(&self, limits: Limits, state: &str) -> Option<String> {
        if self.instances == 0 {
            return Some("no instance took part".to_owned());
        }
        if !self.silent.is_empty() {
            return Some(format!("{} of {} never answered", self.silent.len(), instances_shown(self.instances)));
        }
        let late = |what: &str, p99: Option<Duration>, limit: Duration| {
            let is_late = p99.is_none_or(|time| time > limit);
            let sentence =
                || format!("the 99th percentile was {what}{state} after {}, the limit is {limit:?}", shown(p99));
            is_late.then(sentence)
        };
        late("", self.time_to_disable.p99, limits.time_to_disable)
            .or_else(|| late("seen ", self.time_to_verify.p99, limits.time_to_verify))
    }
}

fn worse(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// In whole milliseconds, rounded up: what is just past a limit shows that it is.
fn shown(time: Option<Duration>) -> String {
    let millis = |time: Duration| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    time.map_or_else(|| "never".to_owned(), |time| format!("{:?}", Duration::from_millis(millis(time))))
}

fn instances_shown(count: usize) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}

/// Returns whether a switch was last drilled too long ago to rely on.
///
/// Never is too long ago. A drill in the future, by a clock that was wrong, counts as far away as it is.
pub fn is_stale(last_drill: Option<Timestamp>, now: Timestamp, max_age: Duration) -> bool {
    last_drill.is_none_or(|last| now.duration_since(last).unsigned_abs() > max_age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn limits() -> Limits {
        Limits::new(millis(1_000), millis(2_000))
    }

    fn sample(number: u64, disabled: Option<u64>, verified: Option<u64>) -> Sample {
        Sample::new(format!("web-{number:03}"), disabled.map(millis), verified.map(millis))
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let report = PhaseReport::of((1..=200).map(|number| sample(number, Some(number), Some(2 * number))), limits());
        let at = |p50, p90, p99, max| {
            let [p50, p90, p99, max] = [p50, p90, p99, max].map(|time| Some(millis(time)));
            Percentiles { p50, p90, p99, max }
        };
        assert_eq!(report.time_to_disable, at(100, 180, 198, 200));
        assert_eq!(report.time_to_verify, at(200, 360, 396, 400));
        assert!(report.is_pass);
        let sentence = "passed: the 99th percentile of 200 instances was off after 198ms and seen off after 396ms";
        assert_eq!(report.sentence, sentence);
        let one = PhaseReport::of([sample(1, Some(7), Some(8))], limits());
        assert_eq!(one.time_to_disable, at(7, 7, 7, 7));
        let back =
            PhaseReport::restored([Sample::new("web-1", Some(Duration::from_nanos(1)), Some(millis(8)))], limits());
        let sentence = "passed: the 99th percentile of 1 instance was on after 1ms and seen on after 8ms";
        assert_eq!(back.sentence, sentence);
    }

    #[test]
    fn an_instance_that_never_answered_is_slower_than_all_others_and_fails_the_drill() {
        let answered = (1..=9).map(|number| sample(number, Some(number), Some(number)));
        let report = PhaseReport::of(answered.chain([sample(10, Some(1), None)]), limits());
        assert_eq!((report.time_to_verify.p90, report.time_to_verify.p99), (Some(millis(9)), None));
        assert_eq!((report.silent, report.is_pass), (vec!["web-010".to_owned()], false));
        assert_eq!(report.sentence, "failed: 1 of 10 instances never answered");
    }

    #[test]
    fn a_drill_fails_past_each_limit_and_without_instances() {
        let sentence = |samples: Vec<Sample>| PhaseReport::of(samples, limits()).sentence;
        assert!(sentence(vec![sample(1, Some(1_000), Some(2_000))]).starts_with("passed"));
        let late = "failed: the 99th percentile was off after 1.001s, the limit is 1s";
        assert_eq!(sentence(vec![sample(1, Some(1_001), Some(2_000))]), late);
        let late = "failed: the 99th percentile was seen off after 2.001s, the limit is 2s";
        assert_eq!(sentence(vec![sample(1, Some(1_000), Some(2_001))]), late);
        assert_eq!(sentence(Vec::new()), "failed: no instance took part");
    }

    #[test]
    fn an_instance_that_answers_twice_counts_once_and_as_the_worse() {
        let twice = [sample(1, Some(1), Some(9)), sample(1, Some(5), Some(2)), sample(2, Some(1), None)];
        let report = PhaseReport::of(twice.into_iter().chain([sample(2, Some(1), Some(1))]), limits());
        assert_eq!((report.instances, report.silent.len()), (2, 1));
        assert_eq!((report.time_to_disable.max, report.time_to_verify.p50), (Some(millis(5)), Some(millis(9))));
    }

    #[test]
    fn a_drill_is_stale_when_it_is_too_far_away_or_never_was() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let is_stale = |last| is_stale(last, at(10_000), Duration::from_secs(100));
        assert!(is_stale(None));
        assert!(!is_stale(Some(at(9_900))));
        assert!(is_stale(Some(at(9_899))));
        assert!(!is_stale(Some(at(10_100))));
        assert!(is_stale(Some(at(10_101))));
    }

    proptest! {
        #[test]
        fn so_many_instances_are_no_slower_than_a_percentile(times in proptest::collection::vec(0..50_u64, 1..300)) {
            let percentiles = Percentiles::of(times.iter().map(|time| Some(millis(*time))).collect());
            for (percent, value) in [(50, percentiles.p50), (90, percentiles.p90), (99, percentiles.p99)] {
                let value = value.unwrap();
                let no_slower = times.iter().filter(|time| millis(**time) <= value).count();
                let faster = times.iter().filter(|time| millis(**time) < value).count();
                prop_assert!(no_slower * 100 >= percent * times.len());
                prop_assert!(faster * 100 < percent * times.len());
            }
        }
    }
}
