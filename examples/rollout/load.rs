//! Load through the load balancer. It is open: requests are sent on schedule, however long the earlier ones take.

use crate::service::RELEASE;
use backstop::BoxError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

/// Requests a second.
pub(crate) const RATE: u64 = 400;
/// Milliseconds between two groups of requests.
const PERIOD: u64 = 10;
/// Time after which a client gives up.
const DEADLINE: Duration = Duration::from_secs(5);

/// A request and its answer, as the client sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) sent: f64,
    pub(crate) answered: f64,
    /// Answered by the canary; a request without an answer counts as stable's.
    pub(crate) is_canary: bool,
    pub(crate) is_ok: bool,
}

/// The traffic.
pub(crate) struct Load {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Load {
    pub(crate) fn start(url: String, canary: &'static str) -> Result<Self, BoxError> {
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build()?;
        let samples: Arc<Mutex<Vec<_>>> = Arc::default();
        let (stop, mut stopped) = oneshot::channel();
        let kept = Arc::clone(&samples);
        let task = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(PERIOD));
            // Ticks missed on a busy machine are not made up for: the burst would be no steady load.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut requests = JoinSet::new();
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                ticks.tick().await;
                for _ in 0..RATE * PERIOD / 1000 {
                    requests.spawn(request(client.clone(), url.clone(), canary, Arc::clone(&kept)));
                }
                while requests.try_join_next().is_some() {}
            }
            requests.join_all().await;
        });
        Ok(Self { samples, stop, task })
    }

    /// Requests that were answered or given up since this time.
    pub(crate) fn since(&self, at: f64) -> Vec<Sample> {
        let samples = self.samples.lock().expect("no panic while locked");
        samples.iter().filter(|sample| sample.answered >= at).copied().collect()
    }

    /// Stops the traffic and waits for the requests in flight, at most until their deadline.
    pub(crate) async fn stop(self) -> Result<Vec<Sample>, BoxError> {
        drop(self.stop);
        self.task.await?;
        Ok(std::mem::take(&mut *self.samples.lock().expect("no panic while locked")))
    }
}

async fn request(client: reqwest::Client, url: String, canary: &str, samples: Arc<Mutex<Vec<Sample>>>) {
    let sent = now();
    let answer = client.get(url).send().await.ok();
    let release = answer.as_ref().and_then(|answer| answer.headers().get(RELEASE));
    let is_canary = release.is_some_and(|release| release == canary);
    let is_ok = answer.as_ref().is_some_and(|answer| answer.status().is_success());
    samples.lock().expect("no panic while locked").push(Sample { sent, answered: now(), is_canary, is_ok });
}

/// Time of day in seconds, which the journal, the load and the judge have in common.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
