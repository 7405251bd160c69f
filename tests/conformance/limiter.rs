//! Plays a scenario of an adaptive limit: one step of the published algorithm for each sample.
//!
//! A minimum of 0, which would let nothing through for ever, is 1 here. Probing for the round trip without load is
//! ours and not the scenarios': it is off.

use super::schema;
use super::schema_bulkhead::{self, LimiterStep};
use backstop::ConfigError;
use backstop::bulkhead::limit::{Aimd, Decrease, Limiter, Sample, Vegas};
use std::time::Duration;

/// Feeds the samples; the errors say which limits are wrong.
pub(crate) fn play(scenario: &schema::Scenario) -> Result<(), Vec<String>> {
    let wrong = |error: serde_json::Error| vec![format!("cannot be expressed: {error}")];
    let config = serde_json::from_value(scenario.config.clone()).map_err(wrong)?;
    let mut limiter = limiter(&config).map_err(|error| vec![error.to_string()])?;
    let mut failures = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        match serde_json::from_value(step.clone()).map_err(wrong)? {
            LimiterStep::Sample { rtt_ms, in_flight, drop } => {
                let sample = Sample::new(Duration::from_secs_f64(rtt_ms / 1_000.0), in_flight);
                limiter.sample(if drop { sample.dropped() } else { sample });
            }
            LimiterStep::Expect { limit } if limit == limiter.limit() => {}
            LimiterStep::Expect { limit } => {
                failures.push(format!("step {number}: got {}, want {limit}", limiter.limit()));
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

fn limiter(config: &schema_bulkhead::Limiter) -> Result<Limiter, ConfigError> {
    match *config {
        schema_bulkhead::Limiter::Aimd { initial, min, max, backoff, timeout_ms } => {
            let aimd = Aimd::new().min(min.max(1)).max(max).backoff_ratio(backoff);
            let aimd = timeout_ms.map_or(aimd.clone(), |ms| aimd.timeout(Duration::from_millis(ms)));
            Limiter::new(aimd, initial)
        }
        schema_bulkhead::Limiter::Vegas { initial, max, alpha, beta, decrease, smoothing } => {
            let decrease = match decrease {
                schema_bulkhead::Decrease::Log10 => Decrease::Log10,
                schema_bulkhead::Decrease::Half => Decrease::Half,
            };
            let vegas = Vegas::new().max(max).decrease(decrease).smoothing(smoothing).probe_interval(0);
            let vegas = alpha.map_or(vegas.clone(), |calls| vegas.alpha(calls));
            let vegas = beta.map_or(vegas.clone(), |calls| vegas.beta(calls));
            Limiter::new(vegas, initial)
        }
    }
}
