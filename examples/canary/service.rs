//! The service that is rolled out: a page of products whose ratings are fetched through a bulkhead and a breaker, and
//! a checkout that needs no ratings.
//!
//! Stable and canary are the same program; they differ in how they fetch ratings and, in the last act, in the ranking.

use crate::dependency::API_KEY;
use crate::process::{self, Message};
use crate::ranking::Ranking;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use backstop::bulkhead;
use backstop::circuit_breaker::{Event, SlidingWindow, State as Circuit};
use backstop::{BoxError, Bulkhead, CallError, CircuitBreaker, Registry};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The argument that makes a process of this binary an arm of the rollout.
pub(crate) const ROLE: &str = "shop";
/// Name of the breaker and of the bulkhead, also in the metrics.
pub(crate) const NAME: &str = "ratings";
/// Header of an answer from the cache, with what is missing.
pub(crate) const FALLBACK: &str = "x-fallback";
/// Header of a page whose ranking the switch has turned off.
pub(crate) const UNRANKED: &str = "x-unranked";
/// Below the default of 0.5: with cached ratings an open circuit costs little, and a slow page costs callers.
const FAILURE_RATE: f64 = 0.2;
/// Shorter than the default of 60 s, to keep the demonstration short.
pub(crate) const OPEN_TIME: Duration = Duration::from_secs(5);
/// Requests of any kind that an arm handles at a time; more wait.
pub(crate) const WORKERS: usize = 36;
/// Limit of calls to ratings in flight. Stable usually has one or two; at the limit, workers remain for other requests.
pub(crate) const IN_FLIGHT: u32 = 30;
/// Limit in the control run: never reached, as if there were no bulkhead.
const UNBOUNDED: u32 = 10_000;
/// Duration of a checkout, which needs no ratings.
pub(crate) const CHECKOUT: Duration = Duration::from_millis(5);
/// Products on a page.
pub(crate) const PRODUCTS: usize = 12;

/// State of an arm.
struct Shop {
    workers: Semaphore,
    bulkhead: Bulkhead,
    breaker: CircuitBreaker,
    ratings: Ratings,
    cache: Cache,
    ranking: Ranking,
    /// Whether ratings are fetched one by one: the canary's bug.
    one_by_one: AtomicBool,
    first_failure: Once,
    registry: Registry,
    prometheus: PrometheusHandle,
}

pub(crate) async fn run(name: &str, lookup: &str, guards: &str, ratings: &str, switches: &str) -> Result<(), BoxError> {
    let prometheus = PrometheusBuilder::new().install_recorder()?;
    let registry = Registry::new();
    // In shadow the breaker measures, reports when it would open, and rejects nothing.
    let (initial_state, in_flight) =
        if guards == "armed" { (Circuit::Closed, IN_FLIGHT) } else { (Circuit::Shadow, UNBOUNDED) };
    let bulkhead = Bulkhead::builder(NAME).max_concurrent_calls(in_flight).build()?;
    bulkhead.subscribe(report_full).forever();
    let breaker = CircuitBreaker::builder(NAME)
        .window(SlidingWindow::count(200)) // twice the default, so that the bulkhead fills before the circuit opens
        .failure_rate_threshold(FAILURE_RATE)
        .open_time(OPEN_TIME)
        .initial_state(initial_state)
        .build()?;
    breaker.subscribe(report).forever();
    let shop = Arc::new(Shop {
        workers: Semaphore::new(WORKERS),
        bulkhead: registry.add(bulkhead)?,
        breaker: registry.add(breaker)?,
        ratings: Ratings::new(ratings, name)?,
        cache: Cache::default(),
        ranking: Ranking::new(name, switches)?,
        one_by_one: AtomicBool::new(lookup == "one_by_one"),
        first_failure: Once::new(),
        registry,
        prometheus,
    });
    let app = Router::new()
        .route("/page", get(page))
        .route("/checkout", get(checkout))
        .route("/metrics", get(metrics))
        .route("/lookup/{lookup}", put(set_lookup))
        .route("/ranking/{order}", put(set_ranking))
        .with_state(shop);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    process::report(&Message::Listening(listener.local_addr()?));
    Ok(axum::serve(listener, app).await?)
}

/// Needs a worker but no ratings.
async fn checkout(State(shop): State<Arc<Shop>>) -> &'static str {
    let _worker = shop.workers.acquire().await;
    tokio::time::sleep(CHECKOUT).await;
    shop.ranking.count_order();
    "thank you"
}

async fn page(State(shop): State<Arc<Shop>>) -> Response {
    let _worker = shop.workers.acquire().await;
    let (stars, is_cached) = shop.stars().await;
    let (shown, is_ranked) = shop.ranking.show(stars).await;
    let mut response = Json(shown).into_response();
    let headers = response.headers_mut();
    if is_cached {
        headers.insert(FALLBACK, HeaderValue::from_static("ratings"));
    }
    if !is_ranked {
        headers.insert(UNRANKED, HeaderValue::from_static("catalogue"));
    }
    response
}

impl Shop {
    /// Returns the ratings of the page, and whether any came from the cache.
    async fn stars(&self) -> (Vec<u8>, bool) {
        let mut page = Vec::with_capacity(PRODUCTS);
        let mut is_cached = false;
        let chunk = if self.one_by_one.load(Ordering::Relaxed) { 1 } else { PRODUCTS };
        for first in (0..PRODUCTS).step_by(chunk) {
            let products = first..first + chunk;
            // The bulkhead outside: a call that it rejects does not reach the breaker.
            let fresh = self.breaker.call(Box::pin(self.fresh(products.clone())));
            page.extend(self.bulkhead.call(fresh).await.unwrap_or_else(|error| {
                self.note_first_failure(&error);
                is_cached = true;
                self.cache.of(products)
            }));
        }
        (page, is_cached)
    }

    async fn fresh(&self, products: Range<usize>) -> Result<Vec<u8>, reqwest::Error> {
        let stars = self.ratings.of(products.clone()).await?;
        self.cache.keep(products, &stars);
        Ok(stars)
    }

    /// Reports the first failure, for the timeline.
    fn note_first_failure(&self, error: &CallError<CallError<reqwest::Error>>) {
        if let CallError::Inner(CallError::Inner(error)) = error {
            let why = error.status().map_or_else(|| error.to_string(), |status| status.to_string());
            self.first_failure.call_once(|| process::report(&Message::FirstFailure(why)));
        }
    }
}

/// A client of the ratings service.
struct Ratings {
    client: reqwest::Client,
    url: String,
    key: String,
}

impl Ratings {
    fn new(address: &str, key: &str) -> Result<Self, BoxError> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { client, url: format!("http://{address}/ratings"), key: key.to_owned() })
    }

    async fn of(&self, products: Range<usize>) -> Result<Vec<u8>, reqwest::Error> {
        let ids: Vec<_> = products.map(|id| id.to_string()).collect();
        let request = self.client.get(format!("{}?ids={}", self.url, ids.join(","))).header(API_KEY, &self.key);
        request.send().await?.error_for_status()?.json().await
    }
}

/// The last known ratings; 0 if unknown.
#[derive(Default)]
struct Cache([AtomicU8; PRODUCTS]);

impl Cache {
    fn of(&self, products: Range<usize>) -> Vec<u8> {
        self.0[products].iter().map(|stars| stars.load(Ordering::Relaxed)).collect()
    }

    fn keep(&self, products: Range<usize>, stars: &[u8]) {
        for (known, stars) in self.0[products].iter().zip(stars) {
            known.store(*stars, Ordering::Relaxed);
        }
    }
}

async fn metrics(State(shop): State<Arc<Shop>>) -> String {
    shop.registry.publish();
    shop.prometheus.render() + &shop.ranking.metrics()
}

/// Deploys the fix without a restart: a new process would begin with a closed circuit, without a recovery to show.
async fn set_lookup(State(shop): State<Arc<Shop>>, Path(lookup): Path<String>) {
    shop.one_by_one.store(lookup == "one_by_one", Ordering::Relaxed);
}

/// Deploys the next release, without a restart for the same reason.
async fn set_ranking(State(shop): State<Arc<Shop>>, Path(order): Path<String>) {
    shop.ranking.set_worst_first(order == "worst_first");
}

fn report(event: &Event) {
    let transition = event.details();
    let (reason, snapshot) = (transition.reason.to_string(), transition.snapshot);
    let (calls, failed) = (snapshot.calls, snapshot.failed);
    process::report(&match event {
        Event::WouldOpen(_) => Message::WouldOpen { reason, calls, failed },
        _ => Message::Circuit { to: transition.to.to_string(), reason, calls, failed },
    });
}

fn report_full(event: &bulkhead::Event) {
    if let bulkhead::Event::Saturated { load, .. } = event {
        process::report(&Message::Full { in_flight: load.in_flight });
    }
}
