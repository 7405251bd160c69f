//! Webhooks: one POST with JSON, and no word about its URL, which may be a secret.

use super::contract::Actuator;
use super::limit::{Cancel, Limit, MoveError};
use super::probe::{Probe, compare};
use crate::rollback::plan::{Plan, Traffic};
use crate::rollout::stages::Reading;
use serde_json::{Value, json};
use std::time::Duration;

/// Pauses before further attempts at a request.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// Sends JSON; a status of 200 to 299 is a success. Redirects are not followed, and the answer's body is not read: however
/// long it is, it costs nothing.
pub(crate) fn post(url: &str, body: &Value, within: Duration) -> Result<(), MoveError> {
    let config = ureq::Agent::config_builder().proxy(None).max_redirects(0).http_status_as_error(false);
    let agent = config.timeout_global(Some(within)).build().new_agent();
    let request = agent.post(url).header("content-type", "application/json").send(body.to_string());
    match request.map(|answer| answer.status().as_u16()) {
        Ok(200..=299) => Ok(()),
        Ok(status @ 300..=399) => {
            Err(MoveError::refused(format!("it answered with a redirect ({status}), which is not followed")))
        }
        Ok(status @ (408 | 425 | 429)) => Err(MoveError::new(format!("it answered with status {status}"))),
        Ok(status @ 400..=499) => Err(MoveError::refused(format!("it answered with status {status}"))),
        Ok(status) => Err(MoveError::new(format!("it answered with status {status}"))),
        Err(ureq::Error::Timeout(_)) => Err(MoveError::new("it did not answer in time")),
        Err(ureq::Error::HostNotFound) => Err(MoveError::new("its host is not found")),
        Err(ureq::Error::Io(error)) => Err(MoveError::new(format!("it cannot be reached: {}", error.kind()))),
        Err(ureq::Error::BadUri(_)) => Err(MoveError::refused("its URL is not valid")),
        Err(_) => Err(MoveError::new("the request failed")),
    }
}

/// Moves traffic by a request to another program.
pub(super) struct Webhook {
    traffic: Traffic,
    service: String,
    artifact: String,
    probe: Option<Probe>,
}

impl Webhook {
    pub(super) fn new(traffic: Traffic, plan: &Plan) -> Self {
        let probe = Probe::of(&traffic);
        Self { traffic, service: plan.service.clone(), artifact: plan.artifact.clone(), probe }
    }
}

impl Actuator for Webhook {
    fn set(&mut self, weight: u32, is_cut: bool, cancel: &Cancel) -> Result<(), MoveError> {
        let limit = Limit::new(self.traffic.timeout, cancel);
        let body = json!({
            "service": self.service,
            "artifact": self.artifact,
            "weight": weight,
            "break_glass": is_cut,
        });
        let url = self.traffic.url.as_deref().unwrap_or_default();
        let mut pauses = PAUSES.iter();
        while let Err(error) = post(url, &body, limit.left()?.min(Duration::from_secs(5))) {
            let Some(pause) = pauses.next().filter(|_| !error.is_final()) else { return Err(error) };
            limit.pause(*pause).map_err(|_| error)?;
        }
        self.probe.as_ref().map_or(Ok(()), |probe| probe.confirm(weight, &limit))
    }

    fn read(&mut self, weight: u32, cancel: &Cancel) -> Reading {
        compare(self.probe.as_ref(), weight, &Limit::new(self.traffic.timeout, cancel))
    }
}
