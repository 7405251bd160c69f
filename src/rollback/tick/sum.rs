//! Two ticks as one.

use super::{Arm, Kpi, NAMES_MAX, Segment, Tick};
use std::collections::BTreeMap;

impl Tick {
    /// Both ticks as one: counts add up, the rest is that of the later one.
    pub(crate) fn and(self, mut later: Self) -> Self {
        later.at = later.at.max(self.at);
        later.stage = later.stage.or(self.stage);
        later.canary.add(self.canary);
        match (&mut later.baseline, self.baseline) {
            (Some(later), Some(earlier)) => later.add(earlier),
            (none @ None, earlier) => *none = earlier,
            (Some(_), None) => {}
        }
        later
    }
}

impl Arm {
    fn add(&mut self, earlier: Self) {
        add(&mut self.segments, earlier.segments, |later, mut earlier| later.add(&mut earlier));
        add(&mut self.kpis, earlier.kpis, |later, earlier| {
            *later = Kpi { good: later.good + earlier.good, total: later.total + earlier.total };
        });
        self.instances = self.instances.or(earlier.instances);
        add(&mut self.breakers, earlier.breakers, |_, _| {});
        add(&mut self.gauges, earlier.gauges, |_, _| {});
    }
}

/// Adds what was earlier. Names of a tick are limited, and so are those of many at the same time.
fn add<T>(to: &mut BTreeMap<String, T>, earlier: BTreeMap<String, T>, sum: impl Fn(&mut T, T)) {
    for (name, earlier) in earlier {
        let has_room = to.len() < NAMES_MAX;
        match to.get_mut(&name) {
            Some(later) => sum(later, earlier),
            None if has_room => _ = to.insert(name, earlier),
            None => {}
        }
    }
}

impl Segment {
    fn add(&mut self, earlier: &mut Self) {
        for ((_, later), (_, earlier)) in self.counts().into_iter().zip(earlier.counts()) {
            if let Some(earlier) = *earlier {
                *later = Some(later.unwrap_or(0.0) + earlier);
            }
        }
        let both = [
            (&mut self.latency.success, &mut earlier.latency.success),
            (&mut self.latency.failure, &mut earlier.latency.failure),
        ];
        for (later, earlier) in both {
            match (later, earlier.take()) {
                (Some(later), Some(earlier)) if later.le == earlier.le => {
                    for (later, earlier) in later.counts.iter_mut().zip(earlier.counts) {
                        *later += earlier;
                    }
                }
                (none @ None, earlier) => *none = earlier,
                (Some(_), _) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ticks_at_the_same_time_have_no_more_names_than_one() {
        let tick = |i: u32| {
            let mut canary = Arm::default();
            canary.gauges.insert(format!("gauge {i}"), f64::from(i));
            canary.segments.insert(format!("segment {i}"), Segment::default());
            Tick { at: 1.0, stage: None, canary, baseline: None }
        };
        let sum = (1..3_000).map(tick).fold(tick(0), Tick::and);
        assert_eq!((sum.canary.segments.len(), sum.canary.gauges.len()), (NAMES_MAX, NAMES_MAX));
        assert!(sum.canary.gauges.contains_key("gauge 2999"));
    }
}
