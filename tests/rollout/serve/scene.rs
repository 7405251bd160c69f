//! A judging process with a scripted source and a clock that the test moves, behind its routes.

use crate::kit::{Script, arm, block_on, http, serve};
use backstop::clock::{Clock, ManualClock};
use backstop::rollback::{Arm, Policy, Tick};
use backstop::rollout::judging::{Judging, Published};
use backstop::rollout::verdicts::{HookToken, overrides, router};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Scene {
    pub(crate) judging: Judging,
    pub(crate) source: Script,
    pub(crate) address: SocketAddr,
    clock: ManualClock,
    /// The source's clock.
    at: f64,
}

pub(crate) const TOKEN: &str = "a-token-of-the-tests";
pub(crate) const PERSON: &str = "another-token-of-the-tests";

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Policy::default(), None)
    }

    /// A judge in the middle of its work: what a process does not know after a start is another subject.
    pub(crate) fn with(policy: Policy, token: Option<&str>) -> Self {
        let mut scene = Self::started(policy, token);
        scene.judging.begin("first");
        scene
    }

    pub(crate) fn started(policy: Policy, token: Option<&str>) -> Self {
        let (source, (clock, time)) = (Script::default(), Clock::manual());
        let judging = Judging::with_clock("shop", policy, source.clone(), clock);
        let token = token.map(|token| HookToken::new(token).unwrap());
        let person = HookToken::new(PERSON).unwrap();
        let routes = router([judging.verdicts()], token).merge(overrides([judging.verdicts()], person));
        let address = serve(routes);
        Self { judging, source, address, clock: time, at: 1.7e9 }
    }

    /// A second later, with nothing new.
    pub(crate) fn look(&mut self) -> Arc<Published> {
        self.at += 1.0;
        self.clock.advance(Duration::from_secs(1));
        self.judging.look()
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(crate) fn tick(&mut self, canary: Arm, baseline: Arm) -> Arc<Published> {
        self.source.push(Tick::new(self.at + 1.0, canary, Some(baseline)).unwrap());
        self.look()
    }

    /// Seconds of 100 requests to the canary and 1,900 to the baseline, of which so many of the canary's fail.
    pub(crate) fn seconds(&mut self, seconds: u32, errors: f64) -> Arc<Published> {
        (0..seconds).map(|_| self.tick(arm(100.0, errors), arm(1_900.0, 2.0))).last().unwrap()
    }

    /// So many seconds in which the source fails.
    pub(crate) fn outage(&mut self, seconds: u32, sentence: &str) -> Arc<Published> {
        let looked = (0..seconds).map(|_| {
            self.source.fail(sentence);
            self.look()
        });
        looked.last().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = http("GET", self.address, path, "");
        (status, body.parse().unwrap_or(Value::String(body)))
    }

    pub(crate) fn verdict(&self) -> Value {
        let (status, verdict) = self.get("/v1/verdict?service=shop");
        assert_eq!(status, 200, "{verdict}");
        verdict
    }

    pub(crate) fn hook(&self, hook: &str, payload: &Value) -> (u16, String) {
        http("POST", self.address, &format!("/v1/hooks/{hook}"), &payload.to_string())
    }

    /// Status and body of a POST with this token.
    pub(crate) fn post(&self, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.address)).body(body.to_owned());
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        block_on(async {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    }

    /// A controller begins a rollout; returns whether judging begins anew.
    pub(crate) fn begin(&self, rollout: &str) -> bool {
        let (status, body) =
            self.post("/v1/rollout", Some(TOKEN), &serde_json::json!({ "rollout": rollout }).to_string());
        assert_eq!(status, 200, "{body}");
        body.parse::<Value>().unwrap()["begun"].as_bool().unwrap()
    }

    /// Answers to the four hooks, in the order of the table in the docs.
    pub(crate) fn answers(&self) -> [u16; 4] {
        let payload = payload("first");
        ["rollback", "confirm-rollout", "confirm-traffic-increase", "confirm-promotion"]
            .map(|hook| self.hook(hook, &payload).0)
    }
}

/// A payload of Flagger.
pub(crate) fn payload(checksum: &str) -> Value {
    serde_json::json!({
        "name": "shop", "namespace": "test", "phase": "Progressing", "checksum": checksum,
        "buildId": "1", "type": "rollback", "failedChecks": 0, "canaryWeight": 5, "iterations": 0,
        "remainingTime": 0, "metadata": { "service": "shop" },
    })
}
