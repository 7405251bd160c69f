//! Checks of a configuration, from a builder or from a file.

use super::BulkheadConfig;
use crate::bulkhead::limit::AdaptiveLimit;
use crate::bulkhead::partitions::PartitionTotal;
use crate::bulkhead::queue::QueueOrder;
use crate::bulkhead::shedding::Shedding;
use crate::config::{ConfigError, Problems, Ratio, defaults, intern};
use std::time::Duration;

/// The most calls in flight.
pub(crate) const LIMIT_MAX: u32 = 500_000;
/// The longest that a call may wait.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(86_400);
const INTERVAL_MAX: Duration = Duration::from_secs(3_600);
const QUEUE_MAX: u32 = 1_000_000;
const PARTITIONS_MAX: usize = 64;

impl Settings {
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub(crate) fn check(self) -> Result<BulkheadConfig, ConfigError> {
        let mut problems = Problems::default();
        check_limit_of(&mut problems, self.adaptive.as_ref(), self.max_concurrent_calls);
        self.queue(&mut problems);
        if let Some(hold) = self.max_hold {
            let is_allowed = (Duration::from_millis(1)..=WAIT_MAX).contains(&hold);
            problems.require(is_allowed, "max_hold", format_args!("{hold:?}"), "from 1ms to 1 day");
        }
        let partitions = partitions(&mut problems, &self.partitions);
        if (1..partitions.len()).contains(&(self.max_concurrent_calls as usize)) {
            let allowed = format!("at least {}, one for each partition", partitions.len());
            problems.add("max_concurrent_calls", self.max_concurrent_calls, allowed);
        }
        if let Some(adaptive) = &self.adaptive {
            adaptive.check(&mut problems);
        }
        problems.into_result(BulkheadConfig {
            max_concurrent_calls: self.max_concurrent_calls,
            max_wait: self.max_wait,
            max_queue: self.max_queue,
            queue_order: self.queue_order,
            shedding: self.shedding,
            max_hold: self.max_hold,
            partitions,
            partition_total: self.partition_total,
            adaptive: self.adaptive,
        })
    }

    fn queue(&self, problems: &mut Problems) {
        let (wait, waits) = (self.max_wait, !self.max_wait.is_zero());
        problems.require(wait <= WAIT_MAX, "max_wait", format_args!("{wait:?}"), "at most 1 day");
        let without_timer = "0 without the feature `tokio`, whose timer ends the wait";
        problems.require(cfg!(feature = "tokio") || !waits, "max_wait", format_args!("{wait:?}"), without_timer);
        problems.count("max_queue", self.max_queue, u32::from(waits), QUEUE_MAX);
        let Some(Shedding { target, interval }) = self.shedding else { return };
        problems.require(waits, "max_wait", "0s", "longer than 0: `shedding` is for calls that wait");
        problems.not_zero("shedding.target", target);
        let allowed = format!("shorter than max_wait, {wait:?}: nothing would ever be shed");
        problems.require(!waits || target < wait, "shedding.target", format_args!("{target:?}"), allowed);
        let (is_allowed, allowed) = (target..=INTERVAL_MAX, format!("from the target, {target:?}, to 1 hour"));
        problems.require(is_allowed.contains(&interval), "shedding.interval", format_args!("{interval:?}"), allowed);
    }
}

/// Checks a limit set by hand against these settings.
pub(crate) fn check_limit(problems: &mut Problems, config: &BulkheadConfig, limit: u32) {
    check_limit_of(problems, config.adaptive.as_ref(), limit);
}

fn check_limit_of(problems: &mut Problems, adaptive: Option<&AdaptiveLimit>, limit: u32) {
    match adaptive {
        Some(adaptive) if (1..=LIMIT_MAX).contains(&limit) => {
            adaptive.check_initial(problems, "max_concurrent_calls", limit);
        }
        _ => problems.count("max_concurrent_calls", limit, 1, LIMIT_MAX),
    }
}

fn partitions(problems: &mut Problems, given: &[(String, f64)]) -> Vec<(&'static str, Ratio)> {
    if given.len() > PARTITIONS_MAX {
        problems.add("partitions", given.len(), format!("at most {PARTITIONS_MAX}"));
        return Vec::new();
    }
    let mut partitions: Vec<(&'static str, Ratio)> = Vec::new();
    for (name, share) in given {
        let share = problems.ratio("partitions.share", *share);
        match intern("partitions.name", name) {
            Ok(name) if partitions.iter().any(|(known, _)| *known == name) => {
                problems.add("partitions.name", format!("\"{name}\""), "a name that no other partition has");
            }
            Ok(name) => partitions.push((name, share)),
            Err(error) => problems.extend(error),
        }
    }
    let sum: f64 = partitions.iter().map(|(_, share)| share.get()).sum();
    problems.require(sum <= 1.0 + 1e-9, "partitions.share", format_args!("{sum} in all"), "at most 1 in all");
    partitions
}

/// A table of names and shares, in its order; a name that comes twice is found by the check.
#[cfg(feature = "serde")]
pub(super) fn pairs<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, f64)>, D::Error> {
    struct Pairs;

    impl<'de> serde::de::Visitor<'de> for Pairs {
        type Value = Vec<(String, f64)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a table of names and shares, like { live = 0.7, batch = 0.3 }")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }

    deserializer.deserialize_map(Pairs)
}

defaults! {
    /// The settings as given: nothing is checked yet. A configuration file reads into this.
    #[derive(Clone, Debug)]
    #[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
    pub(crate) struct Settings {
        pub(super) max_concurrent_calls: u32 = 25,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(super) max_wait: Duration = Duration::ZERO,
        pub(super) max_queue: u32 = 100,
        pub(super) queue_order: QueueOrder = QueueOrder::Fifo,
        pub(super) shedding: Option<Shedding> = None,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(super) max_hold: Option<Duration> = None,
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::check::pairs"))]
        pub(super) partitions: Vec<(String, f64)> = Vec::new(),
        pub(super) partition_total: PartitionTotal = PartitionTotal::Hard,
        pub(super) adaptive: Option<AdaptiveLimit> = None,
    }

    const new
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;
    use crate::bulkhead::config::BulkheadConfig;
    use crate::bulkhead::handle::Bulkhead;
    use crate::bulkhead::limit::aimd::Aimd;

    #[test]
    fn the_defaults_are_allowed() {
        let config = BulkheadConfig::builder().build().unwrap();
        assert_eq!((config.max_concurrent_calls(), config.max_wait(), config.max_queue()), (25, Duration::ZERO, 100));
        assert_eq!(BulkheadConfig::default().max_concurrent_calls(), 25);
    }

    #[test]
    fn nonsense_is_rejected_all_at_once() {
        let error = Bulkhead::builder("a\nb")
            .max_concurrent_calls(0)
            .max_wait(Duration::MAX)
            .max_queue(0)
            .shedding(Shedding::new().target(Duration::ZERO).interval(Duration::MAX))
            .max_hold(Duration::ZERO)
            .partition("live", f64::NAN)
            .partition("live", 0.9)
            .partition("", 0.9)
            .partition("batch", 0.9)
            .adaptive(Aimd::new().min(0))
            .build()
            .unwrap_err();
        let fields: Vec<_> = error.problems().iter().map(|problem| problem.field().to_owned()).collect();
        assert_eq!(
            fields,
            [
                "name",
                "max_concurrent_calls",
                "max_wait",
                "max_queue",
                "shedding.target",
                "shedding.interval",
                "max_hold",
                "partitions.share",
                "partitions.name",
                "partitions.name",
                "partitions.share",
                "adaptive.min",
            ]
        );
    }

    #[test]
    fn settings_that_contradict_each_other_are_rejected() {
        let error = Bulkhead::builder("x").shedding(Shedding::new()).build().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid configuration: max_wait: 0s is not allowed, must be longer than 0: `shedding` is for calls that wait",
        );
        let error = Bulkhead::builder("x").max_wait(Duration::from_secs(1)).max_queue(0).build().unwrap_err();
        assert_eq!(error.problems()[0].field(), "max_queue");
    }
}
