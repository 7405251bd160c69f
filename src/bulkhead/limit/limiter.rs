//! An algorithm and what it has learned so far.

use super::AdaptiveLimit;
use super::aimd::Aimd;
use super::gradient::{Gradient2, Slope};
use super::probe::{Advice, Probe};
use super::round::{CALLS_MIN, Enough, Gathered, Round, log10};
use super::sample::Sample;
use super::vegas::{Queue, Vegas};
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
    algorithm: Algorithm,
    gathered: Gathered,
    probe: Probe,
}

#[derive(Clone, Debug)]
enum Algorithm {
    Aimd(Aimd, u32),
    Vegas(Vegas, Queue),
    Gradient2(Gradient2, Slope),
}

impl Algorithm {
    fn limit(&self) -> u32 {
        let limit = match self {
            Self::Aimd(_, limit) => return *limit,
            Self::Vegas(_, queue) => queue.limit,
            Self::Gradient2(_, slope) => slope.limit,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within min and max")]
        let limit = limit as u32;
        limit
    }

    fn step(&mut self, round: &Round) {
        match self {
            Self::Aimd(settings, limit) => *limit = settings.step(*limit, round),
            Self::Vegas(settings, queue) => queue.step(settings, round),
            Self::Gradient2(settings, slope) => slope.step(settings, round),
        }
    }

    /// Takes a round trip for one without load.
    fn learn(&mut self, nanos: f64) {
        match self {
            Self::Aimd(..) => {}
            Self::Vegas(_, queue) => queue.no_load = nanos,
            Self::Gradient2(_, slope) => slope.learn(nanos),
        }
    }

    fn set_limit(&mut self, calls: u32) {
        match self {
            Self::Aimd(_, limit) => *limit = calls,
            Self::Vegas(_, queue) => queue.limit = f64::from(calls),
            Self::Gradient2(_, slope) => slope.limit = f64::from(calls),
        }
    }
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
        let algorithm = match settings.clone() {
            AdaptiveLimit::Aimd(aimd) => Algorithm::Aimd(aimd, initial),
            AdaptiveLimit::Vegas(vegas) => Algorithm::Vegas(vegas, Queue { limit: initial.into(), no_load: 0.0 }),
            AdaptiveLimit::Gradient2(gradient) => Algorithm::Gradient2(gradient, Slope::new(initial.into())),
        };
        Ok(Self { settings, algorithm, gathered: Gathered::default(), probe: Probe::default() })
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        let (min, max) = self.settings.bounds();
        // Smoothing may end a rounding error below the minimum.
        self.probe.cut().unwrap_or_else(|| self.algorithm.limit()).clamp(min, max)
    }

    /// The limit that a probe returns to; without one, the limit.
    pub(crate) fn settled(&self) -> u32 {
        let (min, max) = self.settings.bounds();
        self.algorithm.limit().clamp(min, max)
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
        let limit = self.algorithm.limit();
        let (calls, no_load) = match &self.algorithm {
            Algorithm::Aimd(..) => return Enough::Calls(limit.max(CALLS_MIN)),
            Algorithm::Vegas(settings, queue) => (f64::from(settings.alpha_at(limit)) / 3.0, queue.no_load),
            Algorithm::Gradient2(_, slope) => (f64::from(2 * log10(limit)), slope.long()),
        };
        let no_load = self.probe.cut().is_none().then_some(no_load);
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
        self.algorithm.set_limit(calls.clamp(min, max));
        self.probe.stop();
    }

    fn step(&mut self, round: &Round) {
        let (min, _) = self.settings.bounds();
        match self.probe.next(self.settings.probe_interval(), self.algorithm.limit(), min, round) {
            Advice::Step => self.algorithm.step(round),
            Advice::Learn(nanos) => self.algorithm.learn(nanos),
        }
    }
}
