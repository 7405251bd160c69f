//! A client with the rules of Kubernetes' probes, in tokio's time.
//!
//! The startup probe runs alone until it has succeeded once. Then liveness, which begins as succeeded, and readiness,
//! which begins as failed, each change after a threshold of results in a row. An answer that is late is a failure, as is
//! a status other than 200 to 399.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tower::util::ServiceExt;

/// A probe of a pod's specification.
pub(crate) struct Probe {
    path: &'static str,
    period: u64,
    timeout: u64,
    failure_threshold: u32,
    success_threshold: u32,
}

/// What the kubelet does, with the second in which it does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Started,
    Ready,
    NotReady,
    Restart,
}

/// The probes that the guide recommends.
pub(crate) struct Kubelet {
    pub(crate) startup: Probe,
    pub(crate) liveness: Probe,
    pub(crate) readiness: Probe,
}

impl Default for Kubelet {
    fn default() -> Self {
        let probe = |path, period, failure_threshold| Probe {
            path,
            period,
            timeout: 1,
            failure_threshold,
            success_threshold: 1,
        };
        Self { startup: probe("/startupz", 1, 60), liveness: probe("/livez", 10, 3), readiness: probe("/readyz", 5, 1) }
    }
}

/// Results in a row.
#[derive(Default)]
struct Row {
    is_good: bool,
    length: u32,
}

impl Row {
    /// Returns the new state if a threshold is reached.
    fn add(&mut self, probe: &Probe, is_good: bool) -> Option<bool> {
        self.length = if self.is_good == is_good { self.length + 1 } else { 1 };
        self.is_good = is_good;
        let threshold = if is_good { probe.success_threshold } else { probe.failure_threshold };
        (self.length >= threshold).then_some(is_good)
    }
}

/// The status of a path.
pub(crate) async fn status(app: &Router, path: &str) -> u16 {
    let request = Request::get(path).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status().as_u16()
}

async fn succeeds(app: &Router, probe: &Probe) -> bool {
    let answer = timeout(Duration::from_secs(probe.timeout), status(app, probe.path)).await;
    answer.is_ok_and(|status| (200..400).contains(&status))
}

impl Kubelet {
    /// Probes for so many seconds, in the middle of each, and returns what it does.
    pub(crate) async fn watch(&self, app: &Router, seconds: u64) -> Vec<(u64, Act)> {
        let (mut acts, mut is_started, mut is_ready) = (Vec::new(), false, false);
        let (mut startup, mut liveness, mut readiness) = (Row::default(), Row::default(), Row::default());
        sleep(Duration::from_millis(500)).await;
        for second in 0..seconds {
            let is_due = |probe: &Probe| second % probe.period == 0;
            if !is_started && is_due(&self.startup) {
                let good = succeeds(app, &self.startup).await;
                match startup.add(&self.startup, good) {
                    Some(true) => {
                        is_started = true;
                        acts.push((second, Act::Started));
                    }
                    Some(false) => acts.push((second, Act::Restart)),
                    None => {}
                }
            } else if is_started {
                if is_due(&self.liveness) {
                    let good = succeeds(app, &self.liveness).await;
                    if liveness.add(&self.liveness, good) == Some(false) {
                        acts.push((second, Act::Restart));
                    }
                }
                if is_due(&self.readiness) {
                    let good = succeeds(app, &self.readiness).await;
                    if let Some(now) = readiness.add(&self.readiness, good).filter(|now| *now != is_ready) {
                        is_ready = now;
                        acts.push((second, if now { Act::Ready } else { Act::NotReady }));
                    }
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
        acts
    }
}
