//! Load generator: a steady rate of pages, split by weight, each with a deadline, and some checkouts.
//!
//! The load is open: requests are sent on schedule, however long the earlier ones take, as people do.

use crate::service;
use backstop::BoxError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Pages a second over both arms.
pub(crate) const RATE: u32 = 100;
/// One in this many page views leads to a checkout if the page showed a good product first.
pub(crate) const CHECKOUT: u32 = 4;
/// One in this many of those checks out whatever the page shows.
const DECIDED: u32 = 3;
/// Stars from which a product is good.
const GOOD: u8 = 4;
/// Time after which a caller gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Stable,
    Canary,
}

impl Arm {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
        }
    }
}

/// Path of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Page,
    Checkout,
}

/// The part of the run in which a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first stage: no problem yet.
    Before,
    /// The second stage: beyond the canary's quota.
    Overload,
    /// The second stage, with the canary's circuit open.
    Open,
    /// Rolled back: no traffic to the canary.
    Shifted,
    /// Fixed: a little traffic probes the canary.
    Probing,
    /// The second stage again, with the fix.
    After,
    /// The canary's next release ranks in reverse.
    WorstFirst,
    /// The switch has turned the canary's ranking off.
    Unranked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Full,
    Fallback,
    /// Another status, a broken connection or no answer before the deadline.
    Error,
}

/// One request and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Time at which it was sent, from the start of the run.
    pub(crate) at: Duration,
    pub(crate) arm: Arm,
    pub(crate) route: Route,
    pub(crate) phase: Phase,
    pub(crate) took: Duration,
    pub(crate) answer: Answer,
    /// A page without its ranking.
    pub(crate) is_unranked: bool,
}

/// The traffic and its controls. Dropping it stops the traffic.
pub(crate) struct Load {
    shared: Arc<Shared>,
    task: Mutex<JoinSet<()>>,
}

struct Shared {
    started: Instant,
    client: reqwest::Client,
    /// Base URLs of the arms.
    urls: [String; 2],
    /// Stages so far; the last one is current.
    stages: Mutex<Vec<Stage>>,
    samples: Mutex<Vec<Sample>>,
    in_flight: AtomicU64,
    /// Whether the last page of each arm, stable and canary, showed a good product first.
    is_tempting: [AtomicBool; 2],
}

/// The canary's share in percent, and the phase, from a time on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    pub(crate) at: Duration,
    pub(crate) weight: u32,
    pub(crate) phase: Phase,
}

impl Load {
    /// Starts traffic with `weight` percent for the canary.
    pub(crate) fn start(started: Instant, stable: String, canary: String, weight: u32) -> Result<Self, BoxError> {
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build()?;
        let stage = Stage { at: started.elapsed(), weight, phase: Phase::Before };
        let shared = Arc::new(Shared {
            started,
            client,
            urls: [stable, canary],
            stages: Mutex::new(vec![stage]),
            samples: Mutex::default(),
            in_flight: AtomicU64::new(0),
            is_tempting: [AtomicBool::new(true), AtomicBool::new(true)],
        });
        let mut task = JoinSet::new();
        task.spawn(generate(Arc::clone(&shared)));
        Ok(Self { shared, task: Mutex::new(task) })
    }

    /// Shifts traffic.
    pub(crate) fn set(&self, weight: u32, phase: Phase) {
        let at = self.shared.started.elapsed();
        self.shared.stages.lock().expect("no panic while locked").push(Stage { at, weight, phase });
    }

    pub(crate) fn stage(&self) -> Stage {
        self.shared.stage()
    }

    pub(crate) fn stages(&self) -> Vec<Stage> {
        self.shared.stages.lock().expect("no panic while locked").clone()
    }

    /// Requests that were answered, or given up, since `since`.
    pub(crate) fn samples(&self, since: Duration) -> Vec<Sample> {
        let samples = self.shared.samples.lock().expect("no panic while locked");
        samples.iter().filter(|sample| sample.at + sample.took >= since).copied().collect()
    }

    /// Number of pages of a phase that an arm answered in full.
    pub(crate) fn answered_in_full(&self, arm: Arm, phase: Phase) -> usize {
        let is_page = |s: &&Sample| s.arm == arm && s.route == Route::Page && s.phase == phase;
        let is_full = |s: &&Sample| is_page(s) && s.answer == Answer::Full;
        self.shared.samples.lock().expect("no panic while locked").iter().filter(is_full).count()
    }

    /// Stops the traffic and waits for the requests in flight, at most until their deadline.
    pub(crate) async fn stop(&self) -> Vec<Sample> {
        self.task.lock().expect("no panic while locked").abort_all();
        while self.shared.in_flight.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.samples(Duration::ZERO)
    }
}

impl Shared {
    fn stage(&self) -> Stage {
        *self.stages.lock().expect("no panic while locked").last().expect("there is a first stage")
    }

    async fn request(&self, arm: Arm, route: Route, mut phase: Phase) {
        let begun = Instant::now();
        let path = if route == Route::Page { "page" } else { "checkout" };
        let answered = self.answer(&format!("{}{path}", self.urls[arm as usize])).await;
        let (answer, is_unranked, body) = answered.unwrap_or((Answer::Error, false, Vec::new()));
        if route == Route::Page && answer == Answer::Full {
            let first = serde_json::from_slice(&body).ok().and_then(|stars: Vec<u8>| stars.first().copied());
            self.is_tempting[arm as usize].store(first.is_some_and(|stars| stars >= GOOD), Ordering::Relaxed);
        }
        if phase == Phase::Before {
            phase = self.stage().phase; // ended during the overload: counts there
        }
        let at = begun.saturating_duration_since(self.started);
        let sample = Sample { at, arm, route, phase, took: begun.elapsed(), answer, is_unranked };
        self.samples.lock().expect("no panic while locked").push(sample);
    }

    /// Returns the answer, whether it is a page without its ranking, and its body.
    async fn answer(&self, url: &str) -> Result<(Answer, bool, Vec<u8>), reqwest::Error> {
        let response = self.client.get(url).send().await?.error_for_status()?;
        let is_fallback = response.headers().contains_key(service::FALLBACK);
        let is_unranked = response.headers().contains_key(service::UNRANKED);
        let body = response.bytes().await?.to_vec();
        Ok((if is_fallback { Answer::Fallback } else { Answer::Full }, is_unranked, body))
    }
}

async fn generate(shared: Arc<Shared>) {
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    // Ticks missed on a busy machine are not made up for: the burst would overload stable, too.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut credit = 0;
    let mut pages = [0; 2];
    loop {
        ticks.tick().await;
        let Stage { weight, phase, .. } = shared.stage();
        // In turns rather than at random: each arm's share is exact at any moment.
        credit += weight;
        let arm = if credit >= 100 { Arm::Canary } else { Arm::Stable };
        credit %= 100;
        send(&shared, arm, Route::Page, phase);
        pages[arm as usize] += 1;
        let page = pages[arm as usize];
        let is_tempting = shared.is_tempting[arm as usize].load(Ordering::Relaxed);
        if page % CHECKOUT == 0 && (is_tempting || page % (CHECKOUT * DECIDED) == 0) {
            send(&shared, arm, Route::Checkout, phase);
        }
    }
}

fn send(shared: &Arc<Shared>, arm: Arm, route: Route, phase: Phase) {
    let shared = Arc::clone(shared);
    shared.in_flight.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(async move {
        shared.request(arm, route, phase).await;
        shared.in_flight.fetch_sub(1, Ordering::Release); // pairs with the load in `stop`
    });
}
