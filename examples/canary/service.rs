//! The service that is rolled out: a page of products with their ratings, and a breaker before the ratings.
//!
//! Stable and canary are the same program; they differ in how they look ratings up.

use crate::dependency::API_KEY;
use crate::process::{self, Said};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use backstop::circuit_breaker::{Event, State as Circuit};
use backstop::{BoxError, CallError, CircuitBreaker, Registry};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::net::TcpListener;

/// The argument that makes a process of this binary an arm of the rollout.
pub(crate) const ROLE: &str = "shop";
/// The breaker's name, here and in the metrics.
pub(crate) const BREAKER: &str = "ratings";
/// Says that an answer is not fresh, and what is missing.
pub(crate) const FALLBACK: &str = "x-fallback";
/// Earlier than the default of 0.5: with ratings in the cache, an open circuit costs little, a slow page costs callers.
const FAILURE_RATE: f64 = 0.2;
/// The default of 60 s would make for a long demonstration.
pub(crate) const OPEN_TIME: Duration = Duration::from_secs(5);
/// Products on a page.
pub(crate) const PRODUCTS: usize = 12;

/// What an arm is made of.
struct Shop {
    breaker: CircuitBreaker,
    ratings: Ratings,
    cache: Cache,
    /// Whether ratings are asked for one by one: the canary's mistake.
    one_by_one: AtomicBool,
    first_failure: Once,
    registry: Registry,
    prometheus: PrometheusHandle,
}

pub(crate) async fn run(name: &str, lookup: &str, breaker: &str, ratings: &str) -> Result<(), BoxError> {
    let prometheus = PrometheusBuilder::new().install_recorder()?;
    let registry = Registry::new();
    // In shadow it watches, says what it would do, and rejects nothing.
    let initial_state = if breaker == "armed" { Circuit::Closed } else { Circuit::Shadow };
    let breaker = CircuitBreaker::builder(BREAKER)
        .failure_rate_threshold(FAILURE_RATE)
        .open_time(OPEN_TIME)
        .initial_state(initial_state)
        .build()?;
    breaker.subscribe(tell).forever();
    let shop = Arc::new(Shop {
        breaker: registry.add(breaker)?,
        ratings: Ratings::new(ratings, name)?,
        cache: Cache::default(),
        one_by_one: AtomicBool::new(lookup == "one_by_one"),
        first_failure: Once::new(),
        registry,
        prometheus,
    });
    let app = Router::new()
        .route("/page", get(page))
        .route("/metrics", get(metrics))
        .route("/lookup/{lookup}", put(set_lookup))
        .with_state(shop);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    process::tell(&Said::Listening(listener.local_addr()?));
    Ok(axum::serve(listener, app).await?)
}

async fn page(State(shop): State<Arc<Shop>>) -> Response {
    match shop.stars().await {
        Ok((stars, false)) => Json(stars).into_response(),
        Ok((stars, true)) => ([(FALLBACK, "ratings")], Json(stars)).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

impl Shop {
    /// The ratings of the page, and whether any came from the cache.
    async fn stars(&self) -> Result<(Vec<u8>, bool), reqwest::Error> {
        let mut page = Vec::with_capacity(PRODUCTS);
        let mut is_cached = false;
        let chunk = if self.one_by_one.load(Ordering::Relaxed) { 1 } else { PRODUCTS };
        for first in (0..PRODUCTS).step_by(chunk) {
            let products = first..first + chunk;
            let fallback = |error| {
                self.note_first_failure(&error);
                is_cached = true;
                Ok(self.cache.of(products.clone()))
            };
            page.extend(self.breaker.call_or(self.fresh(products.clone()), fallback).await?);
        }
        Ok((page, is_cached))
    }

    async fn fresh(&self, products: Range<usize>) -> Result<Vec<u8>, reqwest::Error> {
        let stars = self.ratings.of(products.clone()).await?;
        self.cache.keep(products, &stars);
        Ok(stars)
    }

    /// The breaker needs no telling; the timeline wants to know when trouble began.
    fn note_first_failure(&self, error: &CallError<reqwest::Error>) {
        if let CallError::Inner(error) = error {
            let why = error.status().map_or_else(|| error.to_string(), |status| status.to_string());
            self.first_failure.call_once(|| process::tell(&Said::FirstFailure(why)));
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

/// The last known ratings; 0 where none is known.
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

/// The fix, without a restart: a new process would begin with a closed circuit, and there would be no recovery to see.
async fn set_lookup(State(shop): State<Arc<Shop>>, axum::extract::Path(lookup): axum::extract::Path<String>) {
    shop.one_by_one.store(lookup == "one_by_one", Ordering::Relaxed);
}

fn tell(event: &Event) {
    let transition = event.details();
    let (reason, snapshot) = (transition.reason().to_string(), transition.snapshot());
    let (calls, failed) = (snapshot.calls(), snapshot.failed());
    process::tell(&match event {
        Event::WouldOpen(_) => Said::WouldOpen { reason, calls, failed },
        _ => Said::Circuit { to: transition.to().to_string(), reason, calls, failed },
    });
}
