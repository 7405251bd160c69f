//! Plays a scenario of an adaptive limit: one step a call.

use super::schema;
use backstop::bulkhead::limit::{AdaptiveLimit, Aimd, Decrease, Limiter, Sample, Vegas};
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(tag = "algo", rename_all = "snake_case")]
enum Config {
    Aimd(Settings),
    Vegas(Settings),
}

#[derive(Deserialize)]
struct Settings {
    initial: u32,
    min: Option<u32>,
    max: u32,
    backoff: Option<f64>,
    timeout_ms: Option<u64>,
    alpha: Option<u32>,
    beta: Option<u32>,
    decrease: Option<Half>,
    smoothing: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Half {
    Half,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    Sample {
        rtt_ms: u64,
        in_flight: u32,
        #[serde(default)]
        drop: bool,
    },
    Expect {
        limit: u32,
    },
}

impl Config {
    fn limiter(self) -> Result<Limiter, backstop::ConfigError> {
        let (adaptive, initial): (AdaptiveLimit, u32) = match self {
            Self::Aimd(given) => {
                // No limit is below 1 anyway; 0 is not allowed here.
                let mut aimd = Aimd::new().min(given.min.unwrap_or(1).max(1)).max(given.max);
                aimd = given.backoff.map_or(aimd.clone(), |ratio| aimd.backoff_ratio(ratio));
                aimd = given.timeout_ms.map_or(aimd.clone(), |millis| aimd.timeout(Duration::from_millis(millis)));
                (aimd.into(), given.initial)
            }
            Self::Vegas(given) => {
                let mut vegas = Vegas::new().min(given.min.unwrap_or(1).max(1)).max(given.max);
                vegas = given.alpha.map_or(vegas.clone(), |calls| vegas.alpha(calls));
                vegas = given.beta.map_or(vegas.clone(), |calls| vegas.beta(calls));
                vegas = given.decrease.map_or(vegas.clone(), |Half::Half| vegas.decrease(Decrease::Half));
                vegas = given.smoothing.map_or(vegas.clone(), |share| vegas.smoothing(share));
                (vegas.into(), given.initial)
            }
        };
        Limiter::new(adaptive, initial)
    }
}

/// Takes each step; the errors say which limits are wrong.
pub(crate) fn play(scenario: &schema::Scenario) -> Result<(), Vec<String>> {
    let wrong = |error: serde_json::Error| vec![format!("cannot be expressed: {error}")];
    let config: Config = serde_json::from_value(scenario.config.clone()).map_err(wrong)?;
    let mut limiter = config.limiter().map_err(|error| vec![error.to_string()])?;
    let mut failures = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        match serde_json::from_value(step.clone()).map_err(wrong)? {
            Step::Sample { rtt_ms, in_flight, drop } => {
                let sample = Sample::new(Duration::from_millis(rtt_ms), in_flight);
                limiter.sample(if drop { sample.dropped() } else { sample });
            }
            Step::Expect { limit } if limit != limiter.limit() => {
                failures.push(format!("step {number}: got {}, want {limit}", limiter.limit()));
            }
            Step::Expect { .. } => {}
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}
