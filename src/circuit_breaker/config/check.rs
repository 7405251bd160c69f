//! Checks of a configuration, from a builder or from a file.

use super::builder::Settings;
use super::{CircuitBreakerConfig, HalfOpen, HalfOpenDecision, ProbeLimit, Rules};
use crate::circuit_breaker::open_time::{Kind, OpenTime};
use crate::circuit_breaker::throttle::Throttle;
use crate::circuit_breaker::window::kind::SlidingWindow;
use crate::config::{ConfigError, Problems};
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Bounds the memory of a count window at some 17 MB, when every call in it is bad.
const WINDOW_CALLS_MAX: u32 = 1_000_000;
/// Bounds the memory of a time window at 40 kB.
const BUCKETS_MAX: u32 = 1_000;

impl Settings {
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub(crate) fn check(self) -> Result<CircuitBreakerConfig, ConfigError> {
        let mut problems = Problems::default();
        window(&mut problems, self.window);
        let rules = self.rules(&mut problems);
        self.slow_calls(&mut problems);
        open_time(&mut problems, &self.open_time);
        let is_share = (0.0..=1.0).contains(&self.open_time_jitter);
        problems.require(is_share, "open_time_jitter", self.open_time_jitter, "from 0 to 1");
        problems.not_zero("unanswered_after", self.unanswered_after);
        problems.not_zero("stall_after", self.stall_after);
        problems.not_zero("retry_after_max", self.retry_after_max);
        let half_open = self.half_open(&mut problems);
        problems.not_zero("ramp", self.ramp);
        if let Some(settings) = &self.throttle {
            throttle(&mut problems, settings);
        }
        problems.into_result(CircuitBreakerConfig {
            window: self.window,
            rules,
            evaluate_on: self.evaluate_on,
            slow_call_duration_threshold: self.slow_call_duration_threshold,
            detect_slow_calls_in_flight: self.detect_slow_calls_in_flight,
            on_abandoned: self.on_abandoned,
            unanswered_after: self.unanswered_after,
            stall_after: self.stall_after,
            on_panic: self.on_panic,
            open_time: self.open_time,
            open_time_jitter: self.open_time_jitter,
            jitter_seed: self.jitter_seed,
            retry_after: self.retry_after,
            retry_after_max: self.retry_after_max,
            automatic_half_open: self.automatic_half_open,
            half_open,
            ramp: self.ramp,
            throttle: self.throttle,
            initial_state: self.initial_state,
        })
    }

    fn rules(&self, problems: &mut Problems) -> Rules {
        // A wrong window has been reported; it must not make every minimum look wrong as well.
        let most = match self.window {
            SlidingWindow::Count { calls } if (1..=WINDOW_CALLS_MAX).contains(&calls) => calls,
            _ => WINDOW_CALLS_MAX,
        };
        let minimum_calls = self.minimum_calls.unwrap_or(most.min(100));
        let slow_call_minimum_calls = self.slow_call_minimum_calls.unwrap_or(minimum_calls);
        let failure_rate = self.failure_rate_threshold.map(|rate| problems.ratio("failure_rate_threshold", rate));
        problems.count("minimum_calls", minimum_calls, 1, most);
        let slow_call_rate = self.slow_call_rate_threshold.map(|rate| problems.ratio("slow_call_rate_threshold", rate));
        problems.count("slow_call_minimum_calls", self.slow_call_minimum_calls, 1, most);
        problems.count("failure_count_threshold", self.failure_count_threshold, 1, most);
        problems.count("failure_count_minimum_calls", self.failure_count_minimum_calls, 1, most);
        problems.count("consecutive_failures_threshold", self.consecutive_failures_threshold, 1, WINDOW_CALLS_MAX);
        let rules = Rules {
            failure_rate,
            minimum_calls,
            slow_call_rate,
            slow_call_minimum_calls,
            failure_count: self.failure_count_threshold,
            failure_count_minimum_calls: self.failure_count_minimum_calls,
            consecutive_failures: self.consecutive_failures_threshold,
        };
        let trips = self.throttle.is_some() || !rules.is_empty();
        let allowed = "set, or another rule must be: nothing would ever trip";
        problems.require(trips, "failure_rate_threshold", "none", allowed);
        rules
    }

    fn slow_calls(&self, problems: &mut Problems) {
        let (field, threshold) = ("slow_call_duration_threshold", self.slow_call_duration_threshold);
        problems.not_zero(field, threshold);
        let is_needed = self.slow_call_rate_threshold.is_some() || self.detect_slow_calls_in_flight;
        problems.require(threshold.is_some() || !is_needed, field, "none", "set: slow calls are to be found");
    }

    fn half_open(&self, problems: &mut Problems) -> HalfOpen {
        let max_calls = self.half_open_max_calls;
        problems.count("half_open_max_calls", max_calls, 1, 10_000);
        let most = match self.half_open_limit {
            ProbeLimit::PerRound => max_calls.clamp(1, 10_000),
            ProbeLimit::InFlight => 10_000,
        };
        let decision = self.half_open_decision.unwrap_or(HalfOpenDecision::Rate { calls: max_calls });
        match decision {
            HalfOpenDecision::Rate { .. } if self.half_open_decision.is_none() => {}
            HalfOpenDecision::Rate { calls } | HalfOpenDecision::ConsecutiveSuccesses { calls } => {
                problems.count("half_open_decision.calls", calls, 1, most);
            }
            HalfOpenDecision::Successes { successes, of } => {
                problems.count("half_open_decision.of", of, 1, most);
                problems.count("half_open_decision.successes", successes, 1, of.max(1));
            }
        }
        problems.not_zero("half_open_timeout", self.half_open_timeout);
        HalfOpen {
            max_calls,
            limit: self.half_open_limit,
            decision,
            is_early: self.half_open_early_decision,
            timeout: self.half_open_timeout,
            timeout_to: self.half_open_timeout_to,
        }
    }
}

impl Rules {
    fn is_empty(&self) -> bool {
        self.failure_rate.is_none()
            && self.slow_call_rate.is_none()
            && self.failure_count.is_none()
            && self.consecutive_failures.is_none()
    }
}

fn window(problems: &mut Problems, window: SlidingWindow) {
    match window {
        SlidingWindow::Count { calls } => problems.count("window.calls", calls, 1, WINDOW_CALLS_MAX),
        SlidingWindow::Time { duration, buckets, .. } => {
            problems.count("window.buckets", buckets, 1, BUCKETS_MAX);
            let least = MILLISECOND * buckets.clamp(1, BUCKETS_MAX);
            let allowed = format!("at least {least:?}, 1ms a bucket");
            problems.require(duration >= least, "window.duration", format_args!("{duration:?}"), allowed);
        }
        SlidingWindow::Tumbling { duration } => {
            let is_allowed = duration >= MILLISECOND;
            problems.require(is_allowed, "window.duration", format_args!("{duration:?}"), "at least 1ms");
        }
    }
}

fn open_time(problems: &mut Problems, time: &OpenTime) {
    match &time.0 {
        Kind::Fixed(wait) => problems.not_zero("open_time", *wait),
        Kind::Exponential { initial, multiplier, max } => {
            problems.not_zero("open_time.initial", *initial);
            let is_allowed = (1.0..=100.0).contains(multiplier);
            problems.require(is_allowed, "open_time.multiplier", multiplier, "from 1 to 100");
            let allowed = format!("at least the initial {initial:?}");
            problems.require(max >= initial, "open_time.max", format_args!("{max:?}"), allowed);
        }
        Kind::Function(_) => {}
    }
}

fn throttle(problems: &mut Problems, settings: &Throttle) {
    let mut within = |field, value: f64, least: f64, most: f64| {
        problems.require((least..=most).contains(&value), field, value, format!("from {least} to {most}"));
    };
    within("throttle.accepts_multiplier", settings.accepts_multiplier, 1.0, 1_000.0);
    within("throttle.minimum_requests_per_second", settings.minimum_requests_per_second, 0.0, 1e9);
    within("throttle.aggression", settings.aggression, 0.1, 10.0);
    problems.ratio("throttle.maximum_rejection_rate", settings.maximum_rejection_rate);
    problems.count("throttle.minimum_requests", settings.minimum_requests, 0, 1_000_000);
    let is_allowed = (10 * MILLISECOND..=Duration::from_secs(86_400)).contains(&settings.window);
    problems.require(is_allowed, "throttle.window", format_args!("{:?}", settings.window), "from 10ms to 1 day");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit_breaker::handle::CircuitBreaker;

    #[test]
    fn the_defaults_are_allowed() {
        let config = CircuitBreakerConfig::builder().build().unwrap();
        assert_eq!(config.minimum_calls(), 100);
    }

    #[test]
    fn nonsense_is_rejected_all_at_once() {
        let error = CircuitBreaker::builder("")
            .window(SlidingWindow::time(Duration::ZERO, 1_000_000_000))
            .failure_rate_threshold(f64::NAN)
            .minimum_calls(0)
            .slow_call_rate_threshold(1.5)
            .failure_count_threshold(0)
            .consecutive_failures_threshold(0)
            .unanswered_after(Duration::ZERO)
            .stall_after(Duration::ZERO)
            .open_time(Duration::ZERO)
            .open_time_jitter(f64::INFINITY)
            .retry_after_max(Duration::ZERO)
            .half_open_max_calls(0)
            .half_open_timeout(Duration::ZERO)
            .ramp(Duration::ZERO)
            .throttle(Throttle::new().accepts_multiplier(f64::NAN).window(Duration::ZERO))
            .build()
            .unwrap_err();
        let fields: Vec<_> = error.problems().iter().map(|problem| problem.field().to_owned()).collect();
        assert_eq!(
            fields,
            [
                "name",
                "window.buckets",
                "window.duration",
                "failure_rate_threshold",
                "minimum_calls",
                "slow_call_rate_threshold",
                "failure_count_threshold",
                "consecutive_failures_threshold",
                "slow_call_duration_threshold",
                "open_time",
                "open_time_jitter",
                "unanswered_after",
                "stall_after",
                "retry_after_max",
                "half_open_max_calls",
                "half_open_timeout",
                "ramp",
                "throttle.accepts_multiplier",
                "throttle.window",
            ]
        );
    }

    #[test]
    fn a_minimum_above_the_window_is_rejected_and_the_default_follows_the_window() {
        let small = CircuitBreakerConfig::builder().window(SlidingWindow::count(5));
        assert_eq!(small.clone().build().unwrap().minimum_calls(), 5);
        let error = small.minimum_calls(10).build().unwrap_err();
        assert_eq!(error.problems()[0].to_string(), "minimum_calls: 10 is not allowed, must be from 1 to 5");
    }

    #[test]
    fn a_breaker_that_could_never_trip_is_rejected() {
        assert!(CircuitBreakerConfig::builder().failure_rate_threshold(None).build().is_err());
    }
}
