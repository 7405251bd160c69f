//! Checks of the settings of an adaptive limit.

use super::AdaptiveLimit;
use super::aimd::Aimd;
use super::gradient::Gradient2;
use super::vegas::Vegas;
use crate::bulkhead::config::check::LIMIT_MAX as CALLS_MAX;
use crate::config::Problems;

impl AdaptiveLimit {
    /// Reports every setting that is out of its range, as `adaptive.…`.
    pub(crate) fn check(&self, problems: &mut Problems) {
        let (min, max) = self.bounds();
        problems.count("adaptive.min", min, 1, CALLS_MAX);
        // A wrong minimum has been reported; it must not make the maximum look wrong as well.
        problems.count("adaptive.max", max, min.clamp(1, CALLS_MAX), CALLS_MAX);
        match self {
            Self::Aimd(aimd) => aimd.check(problems),
            Self::Vegas(vegas) => vegas.check(problems),
            Self::Gradient2(gradient) => gradient.check(problems),
        }
        problems.count("adaptive.window", self.window(), 1, CALLS_MAX);
        problems.count("adaptive.probe_interval", self.probe_interval(), 0, CALLS_MAX);
    }

    /// Reports a limit to begin with that is not within the bounds.
    pub(crate) fn check_initial(&self, problems: &mut Problems, field: &'static str, initial: u32) {
        let (min, max) = self.bounds();
        let is_possible = (1..=CALLS_MAX).contains(&min) && (min..=CALLS_MAX).contains(&max);
        let (least, most) = if is_possible { (min, max) } else { (1, CALLS_MAX) };
        problems.count(field, initial, least, most);
    }
}

impl Aimd {
    fn check(&self, problems: &mut Problems) {
        let is_allowed = (0.5..1.0).contains(&self.backoff_ratio);
        problems.require(is_allowed, "adaptive.backoff_ratio", self.backoff_ratio, "from 0.5 and below 1");
        problems.not_zero("adaptive.timeout", self.timeout);
    }
}

impl Vegas {
    fn check(&self, problems: &mut Problems) {
        problems.count("adaptive.alpha", self.alpha, 1, CALLS_MAX);
        problems.count("adaptive.beta", self.beta, self.alpha.unwrap_or(1).clamp(1, CALLS_MAX), CALLS_MAX);
        problems.ratio("adaptive.smoothing", self.smoothing);
    }
}

impl Gradient2 {
    fn check(&self, problems: &mut Problems) {
        let is_allowed = (1.0..=10.0).contains(&self.tolerance);
        problems.require(is_allowed, "adaptive.tolerance", self.tolerance, "from 1 to 10");
        problems.count("adaptive.queue_size", self.queue_size, 1, CALLS_MAX);
        problems.ratio("adaptive.smoothing", self.smoothing);
        problems.count("adaptive.long_window", self.long_window, 1, CALLS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn fields(limit: impl Into<AdaptiveLimit>) -> Vec<String> {
        let mut problems = Problems::default();
        limit.into().check(&mut problems);
        let problems = problems.into_result(()).map_or_else(|error| error.problems().to_vec(), |()| vec![]);
        problems.iter().map(|problem| problem.field().to_owned()).collect()
    }

    #[test]
    fn the_defaults_are_allowed() {
        assert_eq!(fields(Aimd::new()), [""; 0]);
        assert_eq!(fields(Vegas::new()), [""; 0]);
        assert_eq!(fields(Gradient2::new()), [""; 0]);
    }

    #[test]
    fn nonsense_is_rejected_all_at_once() {
        let aimd = Aimd::new().min(0).max(0).backoff_ratio(f64::NAN).timeout(Duration::ZERO).window(0);
        let names = ["min", "max", "backoff_ratio", "timeout", "window"].map(|name| format!("adaptive.{name}"));
        assert_eq!(fields(aimd), names);
        let vegas =
            Vegas::new().min(9).max(8).alpha(7).beta(6).smoothing(0.0).window(u32::MAX).probe_interval(u32::MAX);
        let names = ["max", "beta", "smoothing", "window", "probe_interval"].map(|name| format!("adaptive.{name}"));
        assert_eq!(fields(vegas), names);
        let gradient = Gradient2::new().max(u32::MAX).tolerance(0.9).queue_size(0).smoothing(1.1).long_window(0);
        let names =
            ["max", "tolerance", "queue_size", "smoothing", "long_window"].map(|name| format!("adaptive.{name}"));
        assert_eq!(fields(gradient), names);
    }

    #[test]
    fn the_edges_of_the_ranges_are_told_apart() {
        for (ratio, is_fine) in [(0.5, true), (0.499, false), (0.999, true), (1.0, false), (f64::INFINITY, false)] {
            assert_eq!(fields(Aimd::new().backoff_ratio(ratio)).is_empty(), is_fine, "{ratio}");
        }
        assert_eq!(fields(Vegas::new().min(7).max(7).alpha(3).beta(3)), [""; 0]);
    }
}
