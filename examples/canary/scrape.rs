//! Scraper of both arms and the dependency: `/metrics` of each, five times a second.

use crate::dependency;
use crate::load::Arm;
use crate::prometheus::Scrape;
use crate::ranking::{ORDERS, PAGE_VIEWS};
use crate::service::NAME;
use backstop::BoxError;
use backstop::telemetry::{BULKHEAD_CALLS, BULKHEAD_IN_FLIGHT_CALLS};
use backstop::telemetry::{CIRCUIT_BREAKER_CALLS, CIRCUIT_BREAKER_STATE, CIRCUIT_BREAKER_TRANSITIONS};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const INTERVAL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(1);

/// Result of one scrape of all targets.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Time of the scrape, from the start of the run.
    pub(crate) at: Duration,
    pub(crate) stable: Reading,
    pub(crate) canary: Reading,
    /// Calls of the canary that reached the dependency.
    pub(crate) reached: u64,
}

impl Look {
    pub(crate) fn reading(&self, arm: Arm) -> &Reading {
        match arm {
            Arm::Stable => &self.stable,
            Arm::Canary => &self.canary,
        }
    }
}

/// Metrics of an arm's breaker, bulkhead and KPI. Counts are totals since the arm started.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) state: String,
    /// Transitions to `open`, from any state and for any reason.
    pub(crate) openings: u64,
    /// Calls that were permitted and have ended.
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) not_permitted: u64,
    /// Calls in the bulkhead now.
    pub(crate) in_flight: u64,
    /// Calls that the bulkhead rejected.
    pub(crate) rejected: u64,
    pub(crate) page_views: u64,
    pub(crate) orders: u64,
}

impl Reading {
    fn of(scrape: &Scrape) -> Option<Self> {
        let count = |name, labels: &[(&str, &str)]| scrape.sum(name, &[&[("name", NAME)], labels].concat());
        let calls = |kind| count(CIRCUIT_BREAKER_CALLS.name, &[("kind", kind)]);
        Some(Self {
            state: scrape.one_hot(CIRCUIT_BREAKER_STATE.name, NAME, "state")?,
            openings: count(CIRCUIT_BREAKER_TRANSITIONS.name, &[("to", "open")])?,
            calls: calls("successful")? + calls("failed")? + calls("ignored")? + calls("abandoned")?,
            failed: calls("failed")?,
            not_permitted: calls("not_permitted")?,
            in_flight: count(BULKHEAD_IN_FLIGHT_CALLS.name, &[])?,
            rejected: count(BULKHEAD_CALLS.name, &[("kind", "rejected_full")])?,
            page_views: scrape.sum(PAGE_VIEWS, &[])?,
            orders: scrape.sum(ORDERS, &[])?,
        })
    }
}

/// URLs to scrape.
pub(crate) struct Targets {
    pub(crate) stable: String,
    pub(crate) canary: String,
    pub(crate) dependency: String,
}

/// All scrapes so far, and a channel with the newest. Dropping it stops the scraper.
pub(crate) struct Scraper {
    pub(crate) looks: watch::Receiver<Option<Look>>,
    history: Arc<Mutex<Vec<Look>>>,
    _task: JoinSet<()>,
}

impl Scraper {
    pub(crate) fn start(started: Instant, targets: Targets) -> Result<Self, BoxError> {
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let (sender, looks) = watch::channel(None);
        let history = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&history);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut ticks = interval(INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // An incomplete scrape is discarded: missing data is neither good nor bad.
                if let Ok(look) = look(&client, &targets, started).await {
                    kept.lock().expect("no panic while locked").push(look.clone());
                    sender.send_replace(Some(look));
                }
            }
        });
        Ok(Self { looks, history, _task: task })
    }

    /// The next scrape that begins after this call.
    pub(crate) async fn next(&self) -> Result<Look, BoxError> {
        let mut looks = self.looks.clone();
        looks.mark_unchanged();
        looks.changed().await?; // may have begun before the call
        looks.changed().await?;
        let look = looks.borrow().clone();
        look.ok_or_else(|| "the scraper has no data".into())
    }

    pub(crate) fn history(&self) -> Vec<Look> {
        self.history.lock().expect("no panic while locked").clone()
    }
}

async fn look(client: &reqwest::Client, targets: &Targets, started: Instant) -> Result<Look, BoxError> {
    let get = async |url: &str| -> Result<Scrape, BoxError> {
        Scrape::parse(&client.get(url).send().await?.error_for_status()?.text().await?)
    };
    let (stable, canary, ratings) =
        tokio::try_join!(get(&targets.stable), get(&targets.canary), get(&targets.dependency))?;
    Ok(Look {
        at: started.elapsed(),
        stable: Reading::of(&stable).ok_or("stable's metrics are incomplete")?,
        canary: Reading::of(&canary).ok_or("the canary's metrics are incomplete")?,
        reached: ratings.sum(dependency::CALLS, &[("key", "canary")]).ok_or("the dependency has no count of calls")?,
    })
}
