//! Recorded baseline: known-good values of a service by UTC hour of the week.
//!
//! ```text
//!  a tick whose verdict is continue ──▶ the hour's counts ──▶ at its end, merged with the same hour of earlier weeks
//! ```

use crate::clock::Timestamp;
use crate::config::{ConfigError, Problems};
use crate::rollback::stats::latency::quantile;
use crate::rollback::{Arm, Buckets, Decision, Object, Recorded, unique_objects};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const HOURS: u8 = 168;
/// Requests that an hour needs to be recorded: fewer say nothing of a p99 or of an error in a thousand.
const REQUESTS_MIN: f64 = 1_000.0;
/// Weeks after which a new one counts a quarter.
const WEEKS_MAX: u32 = 4;

/// Known-good values of a service by UTC hour of the week, from Monday 00:00, which is hour 0, to Sunday 23:00.
///
/// # Examples
///
/// ```
/// use backstop::rollback::{Judge, Policy};
/// use backstop::signals::Baseline;
///
/// let text = r#"{"hours": {"34": {"weeks": 3, "error_rate": 0.002, "p99": 0.24, "throughput": 95.5}}}"#;
/// let baseline = Baseline::parse(text)?;
/// let recorded = baseline.at("2026-01-06T10:15:00Z".parse().unwrap()).expect("Tuesday, 10 o'clock");
/// let judge = Judge::recorded(Policy::default(), &recorded);
/// # drop(judge);
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    #[serde(deserialize_with = "unique_objects")]
    hours: BTreeMap<u8, BaselineHour>,
}

/// Known-good values of one hour of the week, over the last weeks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BaselineHour {
    /// Weeks in which it was recorded. A new one counts a quarter from the fourth on.
    pub weeks: u32,
    /// Server errors over requests.
    pub error_rate: f64,
    /// 99th percentile of the latency of successes, in seconds.
    pub p99: Option<f64>,
    /// Requests a second.
    pub throughput: f64,
}

impl Baseline {
    /// Reads a baseline from JSON.
    ///
    /// # Errors
    ///
    /// Text that is no baseline or has an hour twice, and every value that is out of its range.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let Object(parsed) = serde_json::from_str(text).unwrap_or_else(|error| {
            problems.add("baseline", error, "");
            Object(Self::default())
        });
        for (hour, values) in &parsed.hours {
            let is_hour = *hour < HOURS && values.weeks > 0;
            let is_known = Recorded::new(values.error_rate, values.p99).is_ok() && values.throughput >= 0.0;
            if !is_hour || !is_known || !values.throughput.is_finite() {
                problems.add(
                    format!("hours.{hour}"),
                    format!("{values:?}"),
                    "an hour under 168 with values of a service",
                );
            }
        }
        problems.into_result(parsed)
    }

    /// The baseline as JSON.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The values of the same hour of the week as this time; `None` if it was not recorded.
    pub fn hour(&self, at: Timestamp) -> Option<&BaselineHour> {
        self.hours.get(&hour_of_week(at))
    }

    /// The values of that hour as a judge takes them.
    pub fn at(&self, at: Timestamp) -> Option<Recorded> {
        let hour = self.hour(at)?;
        Recorded::new(hour.error_rate, hour.p99).ok()
    }

    fn merge(&mut self, hour: u8, new: BaselineHour) {
        let Some(old) = self.hours.get_mut(&hour) else {
            self.hours.insert(hour, new);
            return;
        };
        let weeks = old.weeks.saturating_add(1);
        let mean = |old: f64, new: f64| old + (new - old) / f64::from(weeks.min(WEEKS_MAX));
        *old = BaselineHour {
            weeks,
            error_rate: mean(old.error_rate, new.error_rate),
            p99: old.p99.zip(new.p99).map(|(old, new)| mean(old, new)).or(new.p99).or(old.p99),
            throughput: mean(old.throughput, new.throughput),
        };
    }
}

fn hour_of_week(at: Timestamp) -> u8 {
    // The first of January 1970 was a Thursday.
    let hour = (at.as_second().div_euclid(3_600) + 3 * 24).rem_euclid(i64::from(HOURS));
    u8::try_from(hour).expect("it is less than 168")
}

/// Records a baseline from the ticks of the stable version.
#[derive(Clone, Debug, Default)]
pub struct BaselineRecorder {
    baseline: Baseline,
    hour: Option<Hour>,
}

/// Counts of the hour that has not ended.
#[derive(Clone, Debug)]
struct Hour {
    /// Since 1970.
    number: i64,
    of_week: u8,
    seconds: f64,
    requests: f64,
    errors: f64,
    latency: Option<Buckets>,
}

impl BaselineRecorder {
    /// Goes on with a baseline.
    pub fn new(baseline: Baseline) -> Self {
        Self { baseline, hour: None }
    }

    /// Takes in what the stable version has counted in this many seconds. Only a tick whose verdict is `continue` is
    /// known to be good; others are left out. Returns whether an hour has ended: the baseline may have changed.
    pub fn observe(&mut self, at: Timestamp, seconds: Duration, stable: &Arm, decision: Decision) -> bool {
        let (number, of_week) = (at.as_second().div_euclid(3_600), hour_of_week(at));
        let has_ended = self.hour.as_ref().is_some_and(|hour| hour.number != number);
        if has_ended {
            self.end_hour();
        }
        if decision == Decision::Continue {
            let new = || Hour { number, of_week, seconds: 0.0, requests: 0.0, errors: 0.0, latency: None };
            self.hour.get_or_insert_with(new).add(seconds, stable);
        }
        has_ended
    }

    /// The baseline, without the hour that has not ended.
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// Ends the recording with the hour that has not ended.
    pub fn finish(mut self) -> Baseline {
        self.end_hour();
        self.baseline
    }

    /// An hour with less than 1,000 requests is not recorded.
    fn end_hour(&mut self) {
        let Some(hour) = self.hour.take().filter(|hour| hour.requests >= REQUESTS_MIN) else { return };
        let p99 = hour.latency.and_then(|buckets| quantile(&buckets.le, &buckets.counts, 0.99));
        let (error_rate, throughput) = ((hour.errors / hour.requests).min(1.0), hour.requests / hour.seconds.max(1.0));
        self.baseline.merge(hour.of_week, BaselineHour { weeks: 1, error_rate, p99, throughput });
    }
}

impl Hour {
    fn add(&mut self, seconds: Duration, stable: &Arm) {
        self.seconds += seconds.as_secs_f64();
        for segment in stable.segments.values() {
            self.requests += segment.requests.unwrap_or(0.0);
            self.errors += segment.server_errors.unwrap_or(0.0);
            let Some(new) = &segment.latency.success else { continue };
            match &mut self.latency {
                Some(sums) if sums.le == new.le => {
                    sums.counts.iter_mut().zip(&new.counts).for_each(|(sum, new)| *sum += new);
                }
                Some(_) => {}
                none => *none = Some(new.clone()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollback::{Latency, Segment};

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A minute of 100 requests a second.
    fn minute(errors: f64) -> Arm {
        let success = Some(Buckets { le: vec![0.1, 0.2], counts: vec![5_900.0, 100.0, 0.0] });
        let (requests, server_errors) = (Some(6_000.0), Some(errors));
        let latency = Latency { success, failure: None };
        let segment = Segment { requests, server_errors, latency, ..Segment::default() };
        Arm { segments: [("default".to_owned(), segment)].into(), ..Arm::default() }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn hours_of_the_week_begin_with_monday_in_utc() {
        for (text, hour) in [
            ("1970-01-01T00:00:00Z", 72),
            ("1969-12-31T23:59:59Z", 71),
            ("2026-01-05T00:00:00Z", 0),
            ("2026-01-05T01:30:00+01:00", 0),
            ("2026-01-11T23:59:59Z", 167),
        ] {
            assert_eq!(hour_of_week(time(text)), hour, "{text}");
        }
    }

    #[test]
    fn only_ticks_whose_verdict_is_continue_are_recorded() {
        let mut recorder = BaselineRecorder::default();
        let at = time("2026-01-05T09:00:00Z");
        recorder.observe(at, MINUTE, &minute(6.0), Decision::Continue);
        for decision in [Decision::Collecting, Decision::Pause, Decision::Rollback] {
            recorder.observe(at, MINUTE, &minute(600.0), decision);
        }
        let baseline = recorder.finish();
        let hour = baseline.hour(time("2026-01-12T09:59:00Z")).unwrap();
        assert_eq!((hour.weeks, hour.error_rate, hour.throughput), (1, 0.001, 100.0));
        assert!(hour.p99.is_some_and(|p99| p99 > 0.1 && p99 < 0.2), "{hour:?}");
        assert_eq!(baseline.hour(time("2026-01-12T10:00:00Z")), None);
    }

    #[test]
    fn weeks_are_merged_and_an_hour_with_few_requests_is_left_out() {
        let mut recorder = BaselineRecorder::default();
        assert!(!recorder.observe(time("2026-01-05T09:00:00Z"), MINUTE, &minute(6.0), Decision::Continue));
        assert!(recorder.observe(time("2026-01-12T09:00:00Z"), MINUTE, &minute(12.0), Decision::Continue));
        let mut few = minute(500.0);
        few.segments.get_mut("default").unwrap().requests = Some(999.0);
        recorder.observe(time("2026-01-19T09:00:00Z"), MINUTE, &few, Decision::Continue);
        let baseline = recorder.finish();
        let hour = baseline.hour(time("2026-01-05T09:00:00Z")).unwrap();
        assert_eq!(hour.weeks, 2);
        assert!((hour.error_rate - 0.0015).abs() < 1e-12);
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_a_damaged_one_is_refused() {
        let mut recorder = BaselineRecorder::default();
        recorder.observe(time("2026-01-05T09:00:00Z"), MINUTE, &minute(6.0), Decision::Continue);
        let baseline = recorder.finish();
        assert_eq!(Baseline::parse(&baseline.to_json()).unwrap(), baseline);
        for damaged in [
            "",
            "{}",
            r#"{"hours": {}, "more": 1}"#,
            r#"[{"1": {"weeks": 1, "error_rate": 0, "p99": null, "throughput": 1}}]"#,
            r#"{"hours": {"1": [1, 0, null, 1]}}"#,
            r#"{"hours": {"168": {"weeks": 1, "error_rate": 0, "p99": null, "throughput": 1}}}"#,
            r#"{"hours": {"1": {"weeks": 1, "error_rate": 1.5, "p99": null, "throughput": 1}}}"#,
            r#"{"hours": {"1": {"weeks": 0, "error_rate": 0, "p99": -1, "throughput": 1}}}"#,
        ] {
            assert!(Baseline::parse(damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn an_hour_twice_is_refused() {
        let hour = r#"{"weeks": 1, "error_rate": 0, "p99": null, "throughput": 1}"#;
        let error = Baseline::parse(&format!(r#"{{"hours": {{"7": {hour}, "8": {hour}, "7": {hour}}}}}"#)).unwrap_err();
        assert!(error.to_string().contains("duplicate key 7"), "{error}");
        assert!(Baseline::parse(&format!(r#"{{"hours": {{"7": {hour}}}, "hours": {{"8": {hour}}}}}"#)).is_err());
    }
}
