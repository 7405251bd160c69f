//! Sums over the instances of an arm, and the tick of both arms.

use super::counters::{Bound, Counter, Counters, bounds};
use super::page::Page;
use crate::config::ConfigError;
use crate::rollback::{Arm, BreakerReport, BreakerShare, Buckets, Instances, Kpi, Latency, Segment, Tick};
use std::collections::{BTreeMap, BTreeSet};

/// Segment of latencies where requests have several: durations are exported for all segments together.
const ALL_SEGMENTS: &str = "all segments";

/// An arm while its instances are added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    /// Added since the last look.
    pub(crate) counters: Counters,
    pub(crate) instances: Option<Instances>,
    /// Instances with an open circuit, and all that have it.
    pub(crate) breakers: BTreeMap<String, (f64, f64)>,
    pub(crate) engaged: BTreeSet<String>,
    /// Sum and number of values.
    pub(crate) gauges: BTreeMap<String, (f64, f64)>,
    /// Instances whose CPU time is known over the time since the last look.
    pub(crate) cpu: f64,
    /// Bounds of the buckets by outcome.
    bounds: BTreeMap<String, Vec<Bound>>,
    /// Whether instances differ in them: then counts of one bound are those of some instances only.
    pub(crate) has_mixed_bounds: bool,
}

impl Sums {
    /// Adds an instance that answered.
    pub(crate) fn add(&mut self, page: &Page, added: Option<Counters>) {
        let instances = self.instances.get_or_insert_default();
        instances.total += 1.0;
        instances.not_started += f64::from(u8::from(page.is_not_started));
        instances.not_ready += f64::from(u8::from(page.is_not_ready));
        for (name, is_open) in &page.breakers {
            let (open, of) = self.breakers.entry(name.clone()).or_default();
            *open += f64::from(u8::from(*is_open));
            *of += 1.0;
        }
        self.engaged.extend(page.engaged.iter().cloned());
        for (name, value) in &page.gauges {
            let (sum, of) = self.gauges.entry(name.clone()).or_default();
            *sum += value;
            *of += 1.0;
        }
        for (outcome, bounds) in bounds(&page.counters) {
            let known = self.bounds.entry(outcome.to_owned()).or_insert_with(|| bounds.clone());
            self.has_mixed_bounds |= *known != bounds;
        }
        for (counter, value) in added.into_iter().flatten() {
            self.cpu += if counter == Counter::Cpu { 1.0 } else { 0.0 };
            *self.counters.entry(counter).or_default() += value;
        }
    }

    /// Adds a listed instance that did not answer.
    pub(crate) fn add_unreachable(&mut self) {
        let instances = self.instances.get_or_insert_default();
        instances.total += 1.0;
        instances.not_ready += 1.0;
    }

    fn segments(&self) -> impl Iterator<Item = &String> {
        self.counters.keys().filter_map(|counter| match counter {
            Counter::Requests { segment, .. } => Some(segment),
            _ => None,
        })
    }

    /// The arm; latencies go to this segment. `seconds` since the last look.
    fn into_arm(self, latency_segment: &str, seconds: f64) -> Arm {
        let mut arm = Arm { instances: self.instances, ..Arm::default() };
        arm.breakers = self
            .breakers
            .into_iter()
            .map(|(name, (open, of))| (name, BreakerReport::Share(BreakerShare { open: open.min(of), of })))
            .collect();
        arm.switches_engaged = self.engaged.into_iter().collect();
        arm.gauges = self.gauges.into_iter().map(|(name, (sum, of))| (name, sum / of.max(1.0))).collect();
        let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (counter, value) in self.counters {
            match counter {
                Counter::Requests { segment, outcome } => {
                    count(arm.segments.entry(segment).or_default(), &outcome, value);
                }
                Counter::ActiveSeconds { segment } => {
                    arm.segments.entry(segment).or_default().active_seconds = Some(value);
                }
                Counter::ErrorSeconds { segment } => {
                    arm.segments.entry(segment).or_default().error_seconds = Some(value);
                }
                Counter::Bucket { outcome, le } => buckets.entry(outcome).or_default().push((le.get(), value)),
                Counter::Cpu if seconds > 0.0 && self.cpu > 0.0 => {
                    arm.gauges.insert("cpu".to_owned(), value / seconds / self.cpu);
                }
                Counter::Cpu => {}
                Counter::Kpi { name, is_total } => {
                    let kpi: &mut Kpi = arm.kpis.entry(name).or_default();
                    *(if is_total { &mut kpi.total } else { &mut kpi.good }) = value;
                }
            }
        }
        arm.kpis.values_mut().for_each(|kpi| kpi.good = kpi.good.min(kpi.total));
        if self.has_mixed_bounds {
            return arm;
        }
        let success = buckets.remove("success").and_then(plain);
        let latency = Latency { success, failure: buckets.remove("failure").and_then(plain) };
        if latency.success.is_some() || latency.failure.is_some() {
            arm.segments.entry(latency_segment.to_owned()).or_default().latency = latency;
        }
        arm
    }
}

/// Adds requests of an outcome, as [`Signals::arm`](crate::Signals::arm) counts them.
fn count(segment: &mut Segment, outcome: &str, value: f64) {
    let is_server = matches!(outcome, "server_error" | "rejected_circuit_breaker" | "rejected_bulkhead");
    let is_client = outcome == "client_error";
    if is_server || is_client || outcome == "success" {
        *segment.requests.get_or_insert(0.0) += value;
    }
    if is_server {
        *segment.server_errors.get_or_insert(0.0) += value;
    }
    if is_client {
        *segment.client_errors.get_or_insert(0.0) += value;
    }
}

/// Counts of single buckets. `None` without a last one above every bound: then some are not known.
fn plain(cumulative: Vec<(f64, f64)>) -> Option<Buckets> {
    let (mut le, mut counts, mut before) = (Vec::new(), Vec::new(), 0.0);
    for (bound, value) in cumulative {
        counts.push(f64::max(value - before, 0.0));
        before = f64::max(before, value);
        if bound.is_finite() {
            le.push(bound);
        }
    }
    (counts.len() == le.len() + 1 && !le.is_empty()).then_some(Buckets { le, counts })
}

/// The tick of both arms at this time, and warnings about them.
pub(crate) fn tick(
    at: f64,
    seconds: f64,
    canary: Sums,
    baseline: Option<Sums>,
) -> Result<(Tick, Vec<String>), ConfigError> {
    let segments: BTreeSet<_> = canary.segments().chain(baseline.iter().flat_map(Sums::segments)).cloned().collect();
    let one = (segments.len() == 1).then(|| segments.into_iter().next()).flatten();
    let latency_segment = one.unwrap_or_else(|| ALL_SEGMENTS.to_owned());
    let mut warnings = Vec::new();
    let mut arm = |name: &str, sums: Sums| {
        if sums.has_mixed_bounds {
            let sentence = "have different bounds of latency buckets: its latencies are not measured";
            warnings.push(format!("instances of the {name} {sentence}"));
        }
        sums.into_arm(&latency_segment, seconds)
    };
    let mut canary = arm("canary", canary);
    let mut baseline = baseline.map(|baseline| arm("baseline", baseline));
    let other = baseline.as_mut().and_then(|arm| arm.segments.get_mut(&latency_segment));
    if let (Some(own), Some(other)) = (canary.segments.get_mut(&latency_segment), other) {
        let both = [
            (&mut own.latency.success, &mut other.latency.success),
            (&mut own.latency.failure, &mut other.latency.failure),
        ];
        for (own, other) in both {
            if own.as_ref().zip(other.as_ref()).is_some_and(|(own, other)| own.le != other.le) {
                (*own, *other) = (None, None);
                warnings
                    .push("the arms have different bounds of latency buckets: latencies are not compared".to_owned());
            }
        }
    }
    warnings.dedup();
    Ok((Tick::new(at, canary, baseline)?, warnings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::source::page::Wanted;

    fn page(requests: u32, le: &str) -> Page {
        let text = format!(
            "backstop_requests_total{{segment=\"a\",outcome=\"success\"}} {requests}\n\
             backstop_requests_total{{segment=\"a\",outcome=\"rejected_bulkhead\"}} 2\n\
             backstop_requests_total{{segment=\"a\",outcome=\"ignored\"}} 50\n\
             backstop_requests_total{{segment=\"b\",outcome=\"client_error\"}} 1\n\
             backstop_request_duration_seconds_bucket{{outcome=\"success\",le=\"{le}\"}} 4\n\
             backstop_request_duration_seconds_bucket{{outcome=\"success\",le=\"+Inf\"}} {requests}\n\
             backstop_circuit_breaker_state{{name=\"db\",state=\"open\"}} {}\n",
            u8::from(requests > 10),
        );
        Page::read(&text, &Wanted::default()).unwrap()
    }

    fn sums(pages: &[Page]) -> Sums {
        let mut sums = Sums::default();
        for page in pages {
            sums.add(page, Some(page.counters.clone()));
        }
        sums
    }

    #[test]
    fn instances_add_up_to_an_arm() {
        let mut canary = sums(&[page(10, "0.1"), page(30, "0.1")]);
        canary.add_unreachable();
        let (tick, warnings) = tick(7.0, 1.0, canary, None).unwrap();
        let a = &tick.canary.segments["a"];
        assert_eq!((a.requests, a.server_errors, a.client_errors), (Some(44.0), Some(4.0), None));
        assert_eq!(tick.canary.segments["b"].client_errors, Some(2.0));
        let buckets = tick.canary.segments[ALL_SEGMENTS].latency.success.as_ref().unwrap();
        assert_eq!((buckets.le.as_slice(), buckets.counts.as_slice()), ([0.1].as_slice(), [8.0, 32.0].as_slice()));
        assert_eq!(tick.canary.breakers["db"], BreakerReport::Share(BreakerShare { open: 1.0, of: 2.0 }));
        let instances = tick.canary.instances.unwrap();
        assert_eq!((instances.total, instances.not_ready), (3.0, 1.0));
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn instances_with_different_buckets_are_an_arm_without_latencies() {
        let (tick, warnings) =
            tick(7.0, 1.0, sums(&[page(5, "0.1"), page(5, "0.2")]), Some(sums(&[page(5, "0.1")]))).unwrap();
        assert_eq!(
            warnings,
            ["instances of the canary have different bounds of latency buckets: its latencies are not measured"]
        );
        assert!(!tick.canary.segments.contains_key(ALL_SEGMENTS));
        assert_eq!(tick.canary.segments["a"].requests, Some(14.0));
        assert!(tick.baseline.unwrap().segments[ALL_SEGMENTS].latency.success.is_some());
    }

    #[test]
    fn a_histogram_without_its_last_bucket_is_not_measured() {
        assert_eq!(plain(vec![(0.1, 4.0), (0.5, 9.0)]), None);
        let counts = |cumulative: Vec<(f64, f64)>| plain(cumulative).unwrap().counts;
        assert_eq!(counts(vec![(0.1, 4.0), (f64::INFINITY, 9.0)]), [4.0, 5.0]);
        assert_eq!(
            counts(vec![(0.1, 4.0), (0.5, 3.0), (f64::INFINITY, 9.0)]),
            [4.0, 0.0, 5.0],
            "a scrape amid a count"
        );
    }

    #[test]
    fn arms_with_different_buckets_are_compared_without_latencies() {
        let (tick, warnings) = tick(7.0, 1.0, sums(&[page(5, "0.1")]), Some(sums(&[page(5, "0.2")]))).unwrap();
        assert_eq!(warnings.len(), 1);
        assert_eq!(tick.canary.segments[ALL_SEGMENTS].latency.success, None);
        assert_eq!(tick.baseline.unwrap().segments["a"].requests, Some(7.0));
    }
}
