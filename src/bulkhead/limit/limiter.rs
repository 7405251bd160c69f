//! An algorithm and what it has learned so far.

use super::AdaptiveLimit;
use super::learned::Learned;
use super::probe::{Advice, Probe};
use super::round::{CALLS_MIN, Enough, Gathered, Round, log10};
use super::sample::Sample;
use crate::config::{ConfigError, Problems};

/// Learns a limit from the calls that end under it.
///
/// It is a plain value: it reads no clock and shares nothing. Given the same samples it says the same.
///
/// # Examples
///
/// ```
/// use backstop::bulkhead::limit::{Limiter, Sample, Vegas};
/// use std::time::Duration;
///
/// let mut limiter = Limiter::new(Vegas::new().max(200), 20)?;
/// for _ in 0..100 {
///     limiter.observe(Sample::new(Duration::from_millis(10), limiter.limit()));
/// }
/// assert!(limiter.limit() > 20, "calls do not get slower: there is room");
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Limiter {
    settings: AdaptiveLimit,
    learned: Learned,
    gathered: Gathered,
    probe: Probe,
}

impl Limiter {
    /// Begins with the limit `initial`.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range, and an `initial` that is not within `min` and `max`.
    pub fn new(adaptive: impl Into<AdaptiveLimit>, initial: u32) -> Result<Self, ConfigError> {
        let settings = adaptive.into();
        let mut problems = Problems::default();
        settings.check(&mut problems);
        settings.check_initial(&mut problems, "initial", initial);
        problems.into_result(())?;
        let learned = Learned::new(initial.into());
        Ok(Self { settings, learned, gathered: Gathered::default(), probe: Probe::default() })
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        let (min, max) = self.settings.bounds();
        // Smoothing may end a rounding error below the minimum. During a probe the algorithm may ask for less.
        self.probe.cut().unwrap_or(max).min(self.learned.calls()).clamp(min, max)
    }

    /// The limit that a probe returns to; without one, the limit.
    pub(crate) fn settled(&self) -> u32 {
        let (min, max) = self.settings.bounds();
        self.learned.calls().clamp(min, max)
    }

    /// The settings it was made with.
    pub const fn settings(&self) -> &AdaptiveLimit {
        &self.settings
    }

    /// Notes a call that has ended, and takes a step when a round of them is complete; the limit after it.
    ///
    /// This is what a bulkhead does. The step sees the mean of the round trips, the most in flight and whether any call
    /// was dropped; a dropped call's round trip counts for nothing. See [the module](super#rounds).
    pub fn observe(&mut self, sample: Sample) -> u32 {
        let call = sample.into();
        if !self.probe.skips(&call)
            && let Some(round) = self.gathered.add(&call, self.enough())
        {
            self.step(&round);
        }
        self.limit()
    }

    fn enough(&self) -> Enough {
        if let Some(calls) = self.settings.window() {
            return Enough::Calls(calls);
        }
        let limit = self.learned.calls();
        let calls = match &self.settings {
            AdaptiveLimit::Aimd(_) => return Enough::Calls(limit.max(CALLS_MIN)),
            AdaptiveLimit::Vegas(settings) => f64::from(settings.alpha_at(limit)) / 3.0,
            AdaptiveLimit::Gradient2(_) => f64::from(2 * log10(limit)),
        };
        let no_load = self.probe.cut().is_none().then_some(self.learned.no_load);
        Enough::Queue { calls, limit, no_load }
    }

    /// Takes a step on one call alone: the published formulas as they stand; the limit after it.
    pub fn sample(&mut self, sample: Sample) -> u32 {
        let call = sample.into();
        if !self.probe.skips(&call) {
            self.step(&call);
        }
        self.limit()
    }

    /// Sets the limit by hand, at most `max` and at least `min`; the algorithm goes on from there.
    pub fn set_limit(&mut self, calls: u32) {
        let (min, max) = self.settings.bounds();
        self.learned.limit = calls.clamp(min, max).into();
        self.probe.stop();
    }

    fn step(&mut self, round: &Round) {
        let (min, _) = self.settings.bounds();
        match (self.probe.next(self.settings.probe_interval(), self.learned.calls(), min, round), &self.settings) {
            (Advice::Learn(nanos), _) => self.learned.learn(nanos),
            (Advice::Step, AdaptiveLimit::Aimd(settings)) => settings.step(&mut self.learned, round),
            (Advice::Step, AdaptiveLimit::Vegas(settings)) => settings.step(&mut self.learned, round),
            (Advice::Step, AdaptiveLimit::Gradient2(settings)) => settings.step(&mut self.learned, round),
        }
    }
}
