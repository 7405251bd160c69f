//! Two ticks as one.

use super::{Arm, Kpi, Segment, Tick};

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
        for (name, mut segment) in earlier.segments {
            match self.segments.get_mut(&name) {
                Some(later) => later.add(&mut segment),
                None => {
                    self.segments.insert(name, segment);
                }
            }
        }
        for (name, kpi) in earlier.kpis {
            let later = self.kpis.entry(name).or_default();
            *later = Kpi { good: later.good + kpi.good, total: later.total + kpi.total };
        }
        self.instances = self.instances.or(earlier.instances);
        for (name, report) in earlier.breakers {
            self.breakers.entry(name).or_insert(report);
        }
        for (name, value) in earlier.gauges {
            self.gauges.entry(name).or_insert(value);
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
