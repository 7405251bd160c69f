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

/// Pages a second over all arms.
pub(crate) const RATE: u32 = 400;
/// Between two groups of pages.
const PERIOD: Duration = Duration::from_millis(10);
/// One in this many page views leads to a checkout if the page showed a good product first.
pub(crate) const CHECKOUT: u64 = 4;
/// One in this many of those checks out whatever the page shows.
const DECIDED: u64 = 3;
/// Stars from which a product is good.
const GOOD: u8 = 4;
/// Time after which a caller gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Stable,
    Canary,
    /// The second canary of an act that has two.
    Other,
}

impl Arm {
    pub(crate) const ALL: [Self; 3] = [Self::Stable, Self::Canary, Self::Other];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
            Self::Other => "canary 2",
        }
    }
}

/// Path of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Page,
    Checkout,
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
    /// Time at which it was sent, from the start of the act.
    pub(crate) at: Duration,
    pub(crate) arm: Arm,
    pub(crate) route: Route,
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
    urls: Vec<String>,
    /// Shares in percent so far; the last ones are current.
    shares: Mutex<Vec<Shares>>,
    samples: Mutex<Vec<Sample>>,
    in_flight: AtomicU64,
    /// Whether the last page of each arm showed a good product first.
    is_tempting: [AtomicBool; 3],
}

/// The canaries' shares in percent, from a time on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    pub(crate) at: Duration,
    pub(crate) canary: u32,
    pub(crate) other: u32,
}

impl Shares {
    const fn of(&self, arm: Arm) -> u32 {
        match arm {
            Arm::Stable => 100 - self.canary - self.other,
            Arm::Canary => self.canary,
            Arm::Other => self.other,
        }
    }
}

impl Load {
    /// Starts traffic to stable.
    pub(crate) fn start(started: Instant, urls: Vec<String>) -> Result<Self, BoxError> {
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build()?;
        let first = Mutex::new(vec![Shares { at: Duration::ZERO, canary: 0, other: 0 }]);
        let is_tempting = [true; 3].map(AtomicBool::new);
        let (samples, in_flight) = (Mutex::default(), AtomicU64::new(0));
        let shared = Arc::new(Shared { started, client, urls, shares: first, samples, in_flight, is_tempting });
        let mut task = JoinSet::new();
        task.spawn(generate(Arc::clone(&shared)));
        Ok(Self { shared, task: Mutex::new(task) })
    }

    /// Shifts traffic.
    pub(crate) fn set(&self, canary: u32, other: u32) {
        let at = self.shared.started.elapsed();
        self.shared.shares.lock().expect("no panic while locked").push(Shares { at, canary, other });
    }

    pub(crate) fn shares(&self) -> Vec<Shares> {
        self.shared.shares.lock().expect("no panic while locked").clone()
    }

    /// Requests that were answered, or given up, since `since`.
    pub(crate) fn samples(&self, since: Duration) -> Vec<Sample> {
        let samples = self.shared.samples.lock().expect("no panic while locked");
        samples.iter().filter(|sample| sample.at + sample.took >= since).copied().collect()
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
    async fn request(&self, arm: Arm, route: Route) {
        let begun = Instant::now();
        let path = if route == Route::Page { "page" } else { "checkout" };
        let answered = self.answer(&format!("{}{path}", self.urls[arm as usize])).await;
        let (answer, is_unranked, body) = answered.unwrap_or((Answer::Error, false, Vec::new()));
        if route == Route::Page && answer == Answer::Full {
            let first = serde_json::from_slice(&body).ok().and_then(|stars: Vec<u8>| stars.first().copied());
            self.is_tempting[arm as usize].store(first.is_some_and(|stars| stars >= GOOD), Ordering::Relaxed);
        }
        let at = begun.saturating_duration_since(self.started);
        let sample = Sample { at, arm, route, took: begun.elapsed(), answer, is_unranked };
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
    let mut ticks = interval(PERIOD);
    // Ticks missed on a busy machine are not made up for: the burst would overload stable, too.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut credits, mut pages) = ([0; 3], [0_u64; 3]);
    loop {
        ticks.tick().await;
        let current = *shared.shares.lock().expect("no panic while locked").last().expect("there is a first one");
        for _ in 0..u128::from(RATE) * PERIOD.as_millis() / 1000 {
            // In turns rather than at random: each arm's share is exact at any moment.
            for arm in Arm::ALL {
                credits[arm as usize] += current.of(arm).cast_signed();
            }
            let arm = Arm::ALL.into_iter().max_by_key(|arm| credits[*arm as usize]).unwrap_or(Arm::Stable);
            credits[arm as usize] -= 100;
            send(&shared, arm, Route::Page);
            let page = &mut pages[arm as usize];
            *page += 1;
            let is_tempting = shared.is_tempting[arm as usize].load(Ordering::Relaxed);
            if page.is_multiple_of(CHECKOUT) && (is_tempting || page.is_multiple_of(CHECKOUT * DECIDED)) {
                send(&shared, arm, Route::Checkout);
            }
        }
    }
}

fn send(shared: &Arc<Shared>, arm: Arm, route: Route) {
    let shared = Arc::clone(shared);
    shared.in_flight.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(async move {
        shared.request(arm, route).await;
        shared.in_flight.fetch_sub(1, Ordering::Release); // pairs with the load in `stop`
    });
}
