//! Counters of a service, by what a judge makes of them.

use crate::telemetry::REQUEST_DURATION_SECONDS;
use std::collections::BTreeMap;

/// A counter that both sources read. Series of one page are one counter if they differ in nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counter {
    Requests {
        segment: String,
        outcome: String,
    },
    ActiveSeconds {
        segment: String,
    },
    ErrorSeconds {
        segment: String,
    },
    /// Requests in a bucket or in one before it.
    Bucket {
        outcome: String,
        le: Bound,
    },
    /// CPU seconds of the process.
    Cpu,
    /// Results of a KPI: as wanted, or all.
    Kpi {
        name: String,
        is_total: bool,
    },
}

/// Upper bound of a bucket: above 0, so its bits are in the order of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bound(u64);

impl Bound {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|bound: &f64| *bound > 0.0).map(|bound| Self(bound.to_bits()))
    }

    pub(crate) fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// Values of counters, or what was added to them.
pub(crate) type Counters = BTreeMap<Counter, f64>;

/// Name of the series of buckets.
pub(crate) fn bucket_name() -> String {
    format!("{}_bucket", REQUEST_DURATION_SECONDS.name)
}

/// Whether the process was restarted since `base`: any counter that decreased gives it away. CPU seconds do not, as systems
/// round them.
pub(crate) fn is_restarted(base: &Counters, now: &Counters) -> bool {
    let mut counts = now.iter().filter(|(counter, _)| **counter != Counter::Cpu);
    counts.any(|(counter, value)| base.get(counter).is_some_and(|base| value < base))
}

/// The values added since `base`. A process that was restarted counts from 0, and all of them are new.
pub(crate) fn added(base: &Counters, now: &Counters) -> Counters {
    let is_restarted = is_restarted(base, now);
    let since = |counter: &Counter| if is_restarted { 0.0 } else { base.get(counter).copied().unwrap_or(0.0) };
    now.iter().map(|(counter, value)| (counter.clone(), (value - since(counter)).max(0.0))).collect()
}

/// Seconds in which the process had requests; `None` if it does not count them.
pub(crate) fn active_seconds(counters: &Counters) -> Option<f64> {
    let seconds = counters.iter().filter_map(|(counter, value)| match counter {
        Counter::ActiveSeconds { .. } => Some(*value),
        _ => None,
    });
    seconds.reduce(f64::max)
}

/// Bounds of the buckets, by outcome.
pub(crate) fn bounds(counters: &Counters) -> BTreeMap<&str, Vec<Bound>> {
    let mut bounds: BTreeMap<&str, Vec<Bound>> = BTreeMap::new();
    for counter in counters.keys() {
        if let Counter::Bucket { outcome, le } = counter {
            bounds.entry(outcome).or_default().push(*le);
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(ok: f64, failed: f64) -> Counters {
        let of = |outcome: &str| Counter::Requests { segment: "default".into(), outcome: outcome.into() };
        [(of("success"), ok), (of("server_error"), failed)].into()
    }

    #[test]
    fn a_counter_that_decreases_makes_every_counter_of_the_process_new() {
        assert_eq!(added(&counters(100.0, 5.0), &counters(130.0, 6.0)), counters(30.0, 1.0));
        // The errors did not decrease, and are new all the same.
        assert_eq!(added(&counters(100.0, 5.0), &counters(7.0, 5.0)), counters(7.0, 5.0));
        assert_eq!(added(&Counters::new(), &counters(7.0, 5.0)), counters(7.0, 5.0));
    }

    #[test]
    fn cpu_seconds_that_are_rounded_down_are_no_restart() {
        let with = |cpu: f64, ok: f64, failed: f64| {
            let mut counters = counters(ok, failed);
            counters.insert(Counter::Cpu, cpu);
            counters
        };
        assert_eq!(added(&with(12.34, 100.0, 5.0), &with(12.33, 130.0, 5.0)), with(0.0, 30.0, 0.0));
    }
}
