//! The service that is rolled out: a page of products whose ratings are fetched through a bulkhead and a breaker, and
//! a checkout that needs no ratings. [`Signals`] count what its clients get.
//!
//! Stable and canaries are the same program; they differ in their faults.

use crate::dependency::API_KEY;
use crate::faults::Faults;
use crate::process::{self, Message};
use crate::ranking::Ranking;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use backstop::bulkhead;
use backstop::circuit_breaker::{Event, SlidingWindow, State as Circuit};
use backstop::signals::Signals;
use backstop::telemetry::{BUCKETS, REQUEST_BUCKETS, REQUEST_DURATION_SECONDS};
use backstop::{BoxError, Bulkhead, CircuitBreaker, Registry};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The argument that makes a process of this binary an arm of the rollout.
pub(crate) const ROLE: &str = "shop";
/// Name of the breaker and of the bulkhead, also in the metrics.
const NAME: &str = "ratings";
/// Header of an answer from the cache, with what is missing.
pub(crate) const FALLBACK: &str = "x-fallback";
/// Header of a page whose ranking the switch has turned off.
pub(crate) const UNRANKED: &str = "x-unranked";
/// Below the default of 0.5: with cached ratings an open circuit costs little, and a slow page costs callers.
const FAILURE_RATE: f64 = 0.2;
/// Shorter than the default of 60 s, to keep the demonstration short.
const OPEN_TIME: Duration = Duration::from_secs(4);
/// Requests of any kind that an arm handles at a time; more wait.
pub(crate) const WORKERS: usize = 144;
/// Limit of calls to ratings in flight. Stable usually has a few; at the limit, workers remain for other requests.
pub(crate) const IN_FLIGHT: u32 = 120;
/// Limit in the run without protection: never reached, as if there were no bulkhead.
const UNBOUNDED: u32 = 10_000;
/// Duration of a checkout, which needs no ratings.
const CHECKOUT: Duration = Duration::from_millis(5);
/// Products on a page.
pub(crate) const PRODUCTS: usize = 8;

/// State of an arm.
struct Shop {
    workers: Semaphore,
    bulkhead: Bulkhead,
    breaker: CircuitBreaker,
    ratings: Ratings,
    cache: Cache,
    ranking: Ranking,
    faults: Faults,
    registry: Registry,
    prometheus: PrometheusHandle,
}

pub(crate) async fn run(name: &str, guards: &str, ratings: &str, switches: &str) -> Result<(), BoxError> {
    let durations = Matcher::Full(REQUEST_DURATION_SECONDS.name.to_owned());
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Prefix("backstop_".to_owned()), BUCKETS)?
        .set_buckets_for_metric(durations, REQUEST_BUCKETS)?
        .install_recorder()?;
    let registry = Registry::new();
    // In shadow the breaker measures, reports when it would open, and rejects nothing.
    let (initial_state, in_flight) =
        if guards == "armed" { (Circuit::Closed, IN_FLIGHT) } else { (Circuit::Shadow, UNBOUNDED) };
    let bulkhead = Bulkhead::builder(NAME).max_concurrent_calls(in_flight).build()?;
    bulkhead.subscribe(report_full).forever();
    let breaker = CircuitBreaker::builder(NAME)
        .window(SlidingWindow::count(500)) // so that the bulkhead fills before the circuit opens
        .failure_rate_threshold(FAILURE_RATE)
        .open_time(OPEN_TIME)
        .initial_state(initial_state)
        .build()?;
    breaker.subscribe(report).forever();
    let signals = registry.add(Signals::builder("shop").segments(["page", "checkout"]).build()?)?;
    let shop = Arc::new(Shop {
        workers: Semaphore::new(WORKERS),
        bulkhead: registry.add(bulkhead)?,
        breaker: registry.add(breaker)?,
        ratings: Ratings::new(ratings, name)?,
        cache: Cache::default(),
        ranking: Ranking::new(name, switches)?,
        faults: Faults::default(),
        registry,
        prometheus,
    });
    let app = Router::new()
        .route("/page", get(page))
        .route("/checkout", get(checkout))
        .layer(signals.layer().segment(segment))
        .route("/metrics", get(metrics))
        .route("/faults/{name}/{value}", put(set_fault))
        .with_state(shop);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    process::report(&Message::Listening(listener.local_addr()?));
    Ok(axum::serve(listener, app).await?)
}

/// Segment of a request, for the signals.
fn segment(request: &Request) -> &str {
    if request.uri().path() == "/page" { "page" } else { "checkout" }
}

/// Needs a worker but no ratings.
async fn checkout(State(shop): State<Arc<Shop>>) -> &'static str {
    let _worker = shop.workers.acquire().await;
    tokio::time::sleep(CHECKOUT).await;
    "thank you"
}

async fn page(State(shop): State<Arc<Shop>>) -> Response {
    let _worker = shop.workers.acquire().await;
    if shop.faults.fails() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
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
        let chunk = if self.faults.is_one_by_one.load(Ordering::Relaxed) { 1 } else { PRODUCTS };
        for first in (0..PRODUCTS).step_by(chunk) {
            let products = first..first + chunk;
            // The bulkhead outside: a call that it rejects does not reach the breaker.
            let fresh = self.breaker.call(Box::pin(self.fresh(products.clone())));
            page.extend(self.bulkhead.call(fresh).await.unwrap_or_else(|_| {
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
    shop.prometheus.render()
}

async fn set_fault(State(shop): State<Arc<Shop>>, Path((name, value)): Path<(String, u32)>) -> StatusCode {
    let is_known = shop.ranking.set_fault(&name, value) || shop.faults.set(&name, value);
    if is_known { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

fn report(event: &Event) {
    let transition = event.details();
    let (reason, snapshot) = (transition.reason, transition.snapshot);
    let (calls, failed) = (snapshot.calls, snapshot.failed);
    let (to, text) = match (event, transition.to) {
        (Event::WouldOpen(_), _) => (None, format!("circuit in shadow: would OPEN ({reason})")),
        (_, to @ Circuit::Open) => {
            let text = format!("circuit OPEN ({reason}): {failed} of {calls} calls failed; callers get cached ratings");
            (Some(to), text)
        }
        (_, to) => (Some(to), format!("circuit {} ({reason})", to.to_string().to_uppercase().replace('_', "-"))),
    };
    process::report(&Message::Circuit { to: to.map(|to| to.to_string()), text });
}

fn report_full(event: &bulkhead::Event) {
    if let bulkhead::Event::Saturated { load, .. } = event {
        let text = format!("bulkhead FULL: {} calls to ratings in flight; more get cached ratings", load.in_flight);
        process::report(&Message::Full { text });
    }
}
