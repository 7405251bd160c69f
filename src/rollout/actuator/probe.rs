//! Counted requests: the share that users see, whatever a load balancer says about itself.

use super::limit::{Limit, MoveError};
use crate::rollback::plan::Traffic;
use crate::rollout::stages::Reading;
use std::io::Read as _;
use std::time::Duration;

/// Requests that confirm a move, and that look for drift.
const CONFIRM: u32 = 200;
const LOOK: u32 = 60;
/// Bytes of an answer that are searched.
const SEARCHED: u64 = 64 * 1024;

/// A page behind the traffic.
pub(super) struct Probe {
    agent: ureq::Agent,
    url: String,
    text: String,
}

impl Probe {
    pub(super) fn of(traffic: &Traffic) -> Option<Self> {
        let url = traffic.probe.clone()?;
        let config = ureq::Agent::config_builder().proxy(None).max_redirects(0).http_status_as_error(false);
        let agent = config.timeout_global(Some(Duration::from_secs(2))).build().new_agent();
        Some(Self { agent, url, text: traffic.probe_text.clone() })
    }

    /// Counts until the share is the one that was set, or the time is over: a reload takes a moment.
    pub(super) fn confirm(&self, weight: u32, limit: &Limit) -> Result<(), MoveError> {
        let mut last = None;
        loop {
            let counted = self.count(CONFIRM, limit).map_err(|error| last.clone().unwrap_or(error))?;
            if is_plausible(counted, CONFIRM, weight) {
                return Ok(());
            }
            let why = format!("{counted} of {CONFIRM} requests were answered by the release, instead of {weight} %");
            let why = MoveError::new(why);
            limit.pause(Duration::from_millis(100)).map_err(|_| why.clone())?;
            last = Some(why);
        }
    }

    /// Requests that the release answered.
    fn count(&self, requests: u32, limit: &Limit) -> Result<u32, MoveError> {
        let (mut counted, mut failures) = (0, 0);
        for _ in 0..requests {
            limit.left()?;
            match self.is_release() {
                Some(is_release) => counted += u32::from(is_release),
                None => failures += 1,
            }
            if failures > requests / 10 {
                return Err(MoveError::new("the probe does not answer"));
            }
        }
        Ok(counted)
    }

    fn is_release(&self) -> Option<bool> {
        let answer = self.agent.get(&self.url).call().ok()?;
        let mut text = String::new();
        answer.into_body().into_reader().take(SEARCHED).read_to_string(&mut text).ok()?;
        Some(text.contains(&self.text))
    }
}

/// Compares the share with a few requests.
pub(super) fn compare(probe: Option<&Probe>, weight: u32, limit: &Limit) -> Reading {
    let Some(probe) = probe else { return Reading::Same };
    match probe.count(LOOK, limit) {
        Ok(counted) if is_plausible(counted, LOOK, weight) => Reading::Same,
        Ok(counted) => Reading::Differs {
            why: format!("{counted} of {LOOK} requests were answered by the release, instead of {weight} %"),
        },
        Err(error) => Reading::Unknown { why: error.to_string() },
    }
}

/// Four standard deviations of a random balancer, and a request; none at all at 0 and 100 %.
fn is_plausible(counted: u32, of: u32, weight: u32) -> bool {
    let (share, of) = (f64::from(weight) / 100.0, f64::from(of));
    let slack = if weight == 0 || weight >= 100 { 0.0 } else { 4.0 * (of * share * (1.0 - share)).sqrt() + 1.0 };
    (f64::from(counted) - of * share).abs() <= slack
}

#[cfg(test)]
mod tests {
    use super::is_plausible;

    #[test]
    fn counts_are_compared_within_chance_and_the_edges_exactly() {
        for (counted, weight, expected) in [
            (0, 0, true),
            (1, 0, false),
            (400, 100, true),
            (399, 100, false),
            (20, 5, true),
            (0, 5, false),
            (200, 5, false),
        ] {
            assert_eq!(is_plausible(counted, 400, weight), expected, "{counted} at {weight} %");
        }
    }
}
