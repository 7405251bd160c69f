//! The callers: a steady number of pages a second, split by weight, each with a deadline, and a checkout now and then.
//!
//! The load is open: requests come when they come, however long the earlier ones take, as they do from people.

use crate::service;
use backstop::BoxError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Pages a second, both arms together.
pub(crate) const RATE: u32 = 100;
/// Of so many callers of pages, one checks out if the page showed something good first.
pub(crate) const CHECKOUT: u32 = 4;
/// Of so many of those, one knows what to buy, whatever the page shows.
const DECIDED: u32 = 3;
/// A product with so many stars is good.
const GOOD: u8 = 4;
/// A caller gives up after this long.
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

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Page,
    Checkout,
}

/// The part of the run in which a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first stage: all is well.
    Before,
    /// The second stage: more than the canary's quota bears.
    Overload,
    /// The second stage, with the canary's circuit open.
    Open,
    /// Rolled back: no traffic to the canary.
    Shifted,
    /// Fixed, a little traffic probes the canary.
    Probing,
    /// The second stage again, with the fix.
    After,
    /// The canary's next release ranks the wrong way round.
    WorstFirst,
    /// The switch has taken the ranking from the canary.
    Unranked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Full,
    Fallback,
    /// Another status, a broken connection or no answer before the deadline.
    Error,
}

/// One request and what became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was made, from the start of the run.
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
    /// Of both arms, up to the path.
    urls: [String; 2],
    /// The canary's share in percent, the phase, and when they were set: the last entry holds.
    stages: Mutex<Vec<Stage>>,
    samples: Mutex<Vec<Sample>>,
    in_flight: AtomicU64,
    /// Whether the last page of an arm, stable or canary, showed something good first.
    is_tempting: [AtomicBool; 2],
}

/// The traffic from a time on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    pub(crate) at: Duration,
    pub(crate) weight: u32,
    pub(crate) phase: Phase,
}

impl Load {
    /// Starts traffic, of which `weight` percent go to the canary.
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
        self.shared.stages.lock().expect("nobody panics here").push(Stage { at, weight, phase });
    }

    pub(crate) fn stage(&self) -> Stage {
        self.shared.stage()
    }

    pub(crate) fn stages(&self) -> Vec<Stage> {
        self.shared.stages.lock().expect("nobody panics here").clone()
    }

    /// What has been answered, or given up, since `since`.
    pub(crate) fn samples(&self, since: Duration) -> Vec<Sample> {
        let samples = self.shared.samples.lock().expect("nobody panics here");
        samples.iter().filter(|sample| sample.at + sample.took >= since).copied().collect()
    }

    /// Pages of a phase that an arm answered in full.
    pub(crate) fn answered_in_full(&self, arm: Arm, phase: Phase) -> usize {
        let is_page = |s: &&Sample| s.arm == arm && s.route == Route::Page && s.phase == phase;
        let is_full = |s: &&Sample| is_page(s) && s.answer == Answer::Full;
        self.shared.samples.lock().expect("nobody panics here").iter().filter(is_full).count()
    }

    /// Stops the traffic and waits for what is under way: at most the deadline.
    pub(crate) async fn stop(&self) -> Vec<Sample> {
        self.task.lock().expect("nobody panics here").abort_all();
        while self.shared.in_flight.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.samples(Duration::ZERO)
    }
}

impl Shared {
    fn stage(&self) -> Stage {
        *self.stages.lock().expect("nobody panics here").last().expect("there is a first stage")
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
            phase = self.stage().phase; // caught by the overload, it belongs there
        }
        let at = begun.saturating_duration_since(self.started);
        let sample = Sample { at, arm, route, phase, took: begun.elapsed(), answer, is_unranked };
        self.samples.lock().expect("nobody panics here").push(sample);
    }

    /// The answer, whether it is a page without its ranking, and its body.
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
    // What a busy machine kept us from sending is not made up for: the burst would overload stable, too.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut credit = 0;
    let mut pages = [0; 2];
    loop {
        ticks.tick().await;
        let Stage { weight, phase, .. } = shared.stage();
        // By turns rather than by chance: each arm's share is the weight, at every moment.
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
