//! Plays a scenario of adaptive throttling: the probability of a rejection is a function of two counts.

use super::schema::{self, ThrottleStep};
use backstop::CircuitBreaker;
use backstop::circuit_breaker::Throttle;

/// Computes each step; the errors say which probabilities are wrong.
pub(crate) fn play(scenario: &schema::Scenario) -> Result<(), Vec<String>> {
    let wrong = |error: serde_json::Error| vec![format!("cannot be expressed: {error}")];
    let config: schema::Throttle = serde_json::from_value(scenario.config.clone()).map_err(wrong)?;
    let throttle = Throttle::new()
        .accepts_multiplier(1.0 / config.threshold)
        .minimum_requests(config.min_requests)
        .maximum_rejection_rate(config.max_rate)
        .aggression(config.aggression);
    if let Err(error) = CircuitBreaker::builder("conformance").throttle(throttle.clone()).build() {
        return Err(vec![error.to_string()]);
    }
    let mut failures = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        let ThrottleStep::Compute { requests, accepts, reject_probability } =
            serde_json::from_value(step.clone()).map_err(wrong)?;
        let got = throttle.rejection_probability(requests, accepts);
        if (got - reject_probability).abs() >= 1e-3 {
            failures.push(format!("step {number}: got {got}, want {reject_probability}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}
