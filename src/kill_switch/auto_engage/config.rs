//! The settings: plain values, checked together.

use crate::config::{ConfigError, Problems};
use crate::kill_switch::model::Spread;
use std::collections::BTreeSet;
use std::time::Duration;

/// More than three KPIs, and one of them is always bad.
const KPIS_MAX: usize = 3;
const NAME_MAX: usize = 128;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Direction in which a KPI becomes worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Those above the threshold: errors, latency.
    Higher,
    /// Those below the threshold: orders, hits.
    Lower,
}

/// One measure that may engage a switch.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "pass it to the builder"]
pub struct Kpi {
    pub(crate) name: String,
    pub(crate) metric: Option<String>,
    pub(crate) worse: Direction,
    pub(crate) threshold: f64,
    #[serde(default = "minimum_samples")]
    pub(crate) minimum_samples: u32,
    #[serde(default = "windows")]
    pub(crate) windows: u32,
    #[serde(default = "warm_up", with = "humantime_serde")]
    pub(crate) warm_up: Duration,
    #[serde(default = "baseline_factor")]
    pub(crate) baseline_factor: Option<f64>,
}

const fn minimum_samples() -> u32 {
    100
}

const fn windows() -> u32 {
    3
}

const fn warm_up() -> Duration {
    Duration::from_secs(5 * 60)
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for the type of the field")]
const fn baseline_factor() -> Option<f64> {
    Some(2.0)
}

impl Kpi {
    /// A KPI that is bad above the threshold. Valid: finite, 0 at least; the name 1 to 128 bytes without control
    /// characters, and once among the KPIs.
    pub fn higher_is_worse(name: impl Into<String>, threshold: f64) -> Self {
        Self::new(name.into(), Direction::Higher, threshold)
    }

    /// A KPI that is bad below the threshold. Valid: finite, 0 at least; the name as above.
    pub fn lower_is_worse(name: impl Into<String>, threshold: f64) -> Self {
        Self::new(name.into(), Direction::Lower, threshold)
    }

    fn new(name: String, worse: Direction, threshold: f64) -> Self {
        Self {
            name,
            metric: None,
            worse,
            threshold,
            minimum_samples: minimum_samples(),
            windows: windows(),
            warm_up: warm_up(),
            baseline_factor: baseline_factor(),
        }
    }

    /// The metric that it is made of, for the record of the engagement. Default: the name.
    pub fn metric(mut self, metric: impl Into<String>) -> Self {
        self.metric = Some(metric.into());
        self
    }

    /// Samples that a window needs, the canary's and the baseline's each. Default: 100. Valid: 1 or more.
    ///
    /// Smaller engages on little evidence; larger needs more traffic, or longer windows.
    pub fn minimum_samples(mut self, samples: u32) -> Self {
        self.minimum_samples = samples;
        self
    }

    /// Bad windows in a row. Default: 3. Valid: 1 to 100.
    ///
    /// Smaller engages sooner and on a single spike; larger lets the bad capability run for longer.
    pub fn windows(mut self, windows: u32) -> Self {
        self.windows = windows;
        self
    }

    /// Warm-up of the capability: cold caches are slow. Default: 5 min. Valid: at most 1 day.
    ///
    /// Smaller takes a cold start for a bad release; larger cannot see a release that is bad from the start.
    pub fn warm_up(mut self, warm_up: Duration) -> Self {
        self.warm_up = warm_up;
        self
    }

    /// How many times as bad as the baseline the canary has to be; what makes both bad is not the capability.
    /// Default: 2. Valid: 1 to 1,000, or `None` without a baseline, if every user has the capability.
    ///
    /// Smaller engages when both are nearly as bad; larger lets a shared trouble hide that of the canary.
    pub fn baseline_factor(mut self, factor: impl Into<Option<f64>>) -> Self {
        self.baseline_factor = factor.into();
        self
    }
}

/// Checked settings of a KPI trigger.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(try_from = "Settings")]
pub struct KpiTriggerConfig(pub(crate) Settings);

/// The settings as given: nothing is checked yet. A configuration file reads into this.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) kpis: Vec<Kpi>,
    #[serde(with = "humantime_serde")]
    pub(crate) window: Duration,
    pub(crate) max_engagements: u32,
    #[serde(with = "humantime_serde")]
    pub(crate) engagements_within: Duration,
    pub(crate) max_percent: f64,
    pub(crate) max_spread: Spread,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kpis: Vec::new(),
            window: Duration::from_secs(60),
            max_engagements: 1,
            engagements_within: HOUR,
            max_percent: 10.0,
            max_spread: Spread::Instances,
        }
    }
}

impl KpiTriggerConfig {
    /// Begins with the defaults, and without a KPI.
    pub fn builder() -> KpiTriggerConfigBuilder {
        KpiTriggerConfigBuilder(Settings::default())
    }
}

impl TryFrom<Settings> for KpiTriggerConfig {
    type Error = ConfigError;

    fn try_from(settings: Settings) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        if settings.kpis.is_empty() || settings.kpis.len() > KPIS_MAX {
            problems.add("kpis", settings.kpis.len(), format!("from 1 to {KPIS_MAX}"));
        }
        let mut names = BTreeSet::new();
        for kpi in &settings.kpis {
            check(&mut problems, kpi);
            if !names.insert(&kpi.name) {
                problems.add("kpis.name", format!("{:?}", kpi.name), "another one than those before");
            }
        }
        within(&mut problems, "window", settings.window, SECOND, HOUR);
        problems.count("max_engagements", settings.max_engagements, 1, 100);
        within(&mut problems, "engagements_within", settings.engagements_within, SECOND, 30 * DAY);
        if !(settings.max_percent > 0.0 && settings.max_percent <= 100.0) {
            problems.add("max_percent", settings.max_percent, "above 0 and at most 100");
        }
        problems.into_result(Self(settings))
    }
}

fn check(problems: &mut Problems, kpi: &Kpi) {
    for (field, name) in [("kpis.name", Some(&kpi.name)), ("kpis.metric", kpi.metric.as_ref())] {
        let Some(name) = name else { continue };
        if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
            let shown: String = name.chars().take(32).flat_map(char::escape_debug).collect();
            problems.add(field, format!("\"{shown}\""), format!("1 to {NAME_MAX} bytes without control characters"));
        }
    }
    if !(kpi.threshold.is_finite() && kpi.threshold >= 0.0) {
        problems.add("kpis.threshold", kpi.threshold, "finite and 0 at least");
    } else if kpi.worse == Direction::Lower && kpi.threshold <= 0.0 {
        problems.add("kpis.threshold", kpi.threshold, "above 0 where lower is worse: nothing is below it");
    }
    problems.count("kpis.minimum_samples", kpi.minimum_samples, 1, u32::MAX);
    problems.count("kpis.windows", kpi.windows, 1, 100);
    within(problems, "kpis.warm_up", kpi.warm_up, Duration::ZERO, DAY);
    if let Some(factor) = kpi.baseline_factor
        && !(1.0..=1_000.0).contains(&factor)
    {
        problems.add("kpis.baseline_factor", factor, "from 1 to 1000, or none");
    }
}

fn within(problems: &mut Problems, field: &'static str, value: Duration, least: Duration, most: Duration) {
    if value < least || value > most {
        problems.add(field, format!("{value:?}"), format!("from {least:?} to {most:?}"));
    }
}

/// Makes an [`KpiTriggerConfig`]. Setters never fail; `build` returns every problem at once.
#[derive(Clone, Debug)]
#[must_use = "it does nothing before `build`"]
pub struct KpiTriggerConfigBuilder(Settings);

impl KpiTriggerConfigBuilder {
    /// Adds a KPI; each of them may engage. Valid: from 1 to 3.
    pub fn kpi(mut self, kpi: Kpi) -> Self {
        self.0.kpis.push(kpi);
        self
    }

    /// Length of a window. Default: 60 s. Valid: 1 s to 1 hour.
    ///
    /// Smaller decides sooner; larger gathers more samples.
    pub fn window(mut self, window: Duration) -> Self {
        self.0.window = window;
        self
    }

    /// Largest number of automatic engagements within a time; past it a person has to act.
    /// Default: 1 in an hour. Valid: 1 to 100, within 1 s to 30 days.
    ///
    /// Fewer leave more to people; more let a switch flap.
    pub fn max_engagements(mut self, engagements: u32, within: Duration) -> Self {
        (self.0.max_engagements, self.0.engagements_within) = (engagements, within);
        self
    }

    /// The most that may be turned off without a person: percent of the requests, and how far through the fleet.
    /// Default: 10 %, on some instances. Valid: above 0 and at most 100.
    pub fn max_reach(mut self, percent: f64, spread: Spread) -> Self {
        (self.0.max_percent, self.0.max_spread) = (percent, spread);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub fn build(self) -> Result<KpiTriggerConfig, ConfigError> {
        self.0.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_all_at_once() {
        let bad = Kpi::lower_is_worse("a\nb", 0.0)
            .metric("")
            .minimum_samples(0)
            .windows(101)
            .warm_up(Duration::MAX)
            .baseline_factor(f64::NAN);
        let twice = Kpi::higher_is_worse("errors", f64::INFINITY);
        let builder = KpiTriggerConfig::builder().kpi(bad).kpi(twice.clone()).kpi(twice.clone()).kpi(twice);
        let builder = builder.window(Duration::ZERO).max_engagements(0, Duration::ZERO);
        let error = builder.max_reach(100.1, Spread::Everywhere).build().unwrap_err();
        let fields: Vec<_> = error.problems().iter().map(|problem| problem.field().replace("kpis.", "")).collect();
        let expected = "kpis name metric threshold minimum_samples windows warm_up baseline_factor \
            threshold threshold name threshold name window max_engagements engagements_within max_percent";
        assert_eq!(fields.join(" "), expected);
    }

    #[test]
    fn a_file_goes_through_the_same_check() {
        let read = |text: &str| toml::from_str::<KpiTriggerConfig>(text).map_err(|error| error.to_string());
        let kpi = "[[kpis]]\nname = 'errors'\nworse = 'higher'\nthreshold = 0.05\n";
        let built = KpiTriggerConfig::builder().kpi(Kpi::higher_is_worse("errors", 0.05)).build();
        assert_eq!(read(kpi).unwrap(), built.unwrap());
        assert!(read("").unwrap_err().contains("kpis: 0 is not allowed, must be from 1 to 3"));
        assert!(read(&format!("{kpi}windows = 0\n")).unwrap_err().contains("kpis.windows"));
        assert!(read(&format!("{kpi}mood = 1\n")).unwrap_err().contains("unknown field"));
        assert!(read(&format!("mood = 1\n{kpi}")).unwrap_err().contains("unknown field"));
    }
}
