//! Load generator: a steady rate of requests, whether the earlier ones are answered or not, as people send them.

use crate::shop::WITHOUT;
use backstop::BoxError;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Interval of the requests for each route: 200 requests a second together.
const INTERVAL: Duration = Duration::from_millis(10);
/// Time after which a caller gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Before,
    Slow,
    After,
}

impl Phase {
    pub(crate) const ALL: [Self; 3] = [Self::Before, Self::Slow, Self::After];

    const fn lasts(self) -> Duration {
        match self {
            Self::Before | Self::After => Duration::from_secs(1),
            Self::Slow => Duration::from_secs(2),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Products,
    Pay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Full,
    /// A page without recommendations, because the bulkhead rejected the call.
    Without,
    /// An error, or no answer before the deadline.
    None,
}

/// A request and its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The phase in which it was sent.
    pub(crate) phase: Phase,
    pub(crate) route: Route,
    pub(crate) took: Duration,
    pub(crate) answer: Answer,
}

/// Sends the first requests, which open connections and are not measured.
pub(crate) async fn warm_up(shop: SocketAddr) -> Result<(), BoxError> {
    for route in [Route::Products, Route::Pay].repeat(3) {
        let sample = request(client()?, shop, route, Phase::Before).await;
        if sample.answer != Answer::Full {
            return Err(format!("{route:?} is not answered before the load begins").into());
        }
    }
    Ok(())
}

/// Sends the requests of all phases; calls `begin` at the start of each.
pub(crate) async fn run(shop: SocketAddr, begin: impl Fn(Phase)) -> Result<Vec<Sample>, BoxError> {
    let client = client()?;
    let mut requests = JoinSet::new();
    let mut ticks = interval(INTERVAL);
    // Ticks missed on a busy machine are not made up for: that would be a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for phase in Phase::ALL {
        ticks.tick().await; // the last requests of the phase before have reached the dependency
        begin(phase);
        let until = Instant::now() + phase.lasts();
        while Instant::now() < until {
            for route in [Route::Products, Route::Pay] {
                requests.spawn(request(client.clone(), shop, route, phase));
            }
            ticks.tick().await;
        }
    }
    Ok(requests.join_all().await) // none takes longer than the deadline
}

fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().no_proxy().timeout(DEADLINE).build()
}

async fn request(client: reqwest::Client, shop: SocketAddr, route: Route, phase: Phase) -> Sample {
    let path = match route {
        Route::Products => "products",
        Route::Pay => "pay",
    };
    let begun = Instant::now();
    let answer = async {
        let response = client.get(format!("http://{shop}/{path}")).send().await?.error_for_status()?;
        let is_without = response.headers().contains_key(WITHOUT);
        response.bytes().await?;
        Ok::<_, reqwest::Error>(if is_without { Answer::Without } else { Answer::Full })
    };
    let answer = answer.await.unwrap_or(Answer::None);
    Sample { phase, route, took: begun.elapsed(), answer }
}
