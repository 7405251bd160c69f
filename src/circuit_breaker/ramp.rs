//! After closing: a share of the calls that grows from nothing to all.

use crate::clock::Instant;
use std::time::Duration;

/// Ramp of the traffic after closing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ramp {
    since: Instant,
    /// Admissions earned and not yet used.
    credit: f64,
}

impl Ramp {
    /// Begins; the first call passes.
    pub(super) fn begin(now: Instant) -> Self {
        Self { since: now, credit: 1.0 }
    }

    pub(super) fn is_over(&self, now: Instant, length: Duration) -> bool {
        now.saturating_duration_since(self.since) >= length
    }

    /// Returns whether the next call passes. Each call earns the share of an admission that the time allows.
    pub(super) fn admits(&mut self, now: Instant, length: Duration) -> bool {
        if self.is_over(now, length) {
            return true;
        }
        self.credit += now.saturating_duration_since(self.since).as_secs_f64() / length.as_secs_f64();
        let admits = self.credit >= 1.0;
        self.credit -= if admits { 1.0 } else { 0.0 };
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_evenly_with_time() {
        let length = Duration::from_secs(10);
        let mut ramp = Ramp::begin(Instant::default());
        let mut admitted_in = |second: u64| {
            let calls = (0..1_000).map(|i| Instant::from_nanos(second * 1_000_000_000 + i * 1_000_000));
            calls.filter(|now| ramp.admits(*now, length)).count()
        };
        let shares: Vec<_> = (0..11).map(|second| admitted_in(second) / 10).collect();
        assert_eq!(shares, [5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 100]);
    }

    #[test]
    fn no_length_admits_all() {
        assert!(Ramp::begin(Instant::default()).admits(Instant::default(), Duration::ZERO));
    }
}
