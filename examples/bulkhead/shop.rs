//! Servers: two dependencies, and a shop whose requests share one pool.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use backstop::{BoxError, Bulkhead, CallError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Usual and slow response time of a dependency.
pub(crate) const USUAL: Duration = Duration::from_millis(20);
pub(crate) const SLOW: Duration = Duration::from_secs(2);
/// Connections of the shop's database pool.
const CONNECTIONS: usize = 24;
/// Marks a page that is shown without recommendations.
pub(crate) const WITHOUT: &str = "x-without";

/// A server with an adjustable response time.
pub(crate) struct Dependency {
    address: SocketAddr,
    millis: Arc<AtomicU64>,
}

impl Dependency {
    pub(crate) async fn start() -> Result<Self, BoxError> {
        let millis = Arc::new(AtomicU64::new(0));
        let answer = async |State(millis): State<Arc<AtomicU64>>| {
            tokio::time::sleep(Duration::from_millis(millis.load(Ordering::Relaxed))).await;
            "done"
        };
        let app = Router::new().route("/", get(answer)).with_state(Arc::clone(&millis));
        let dependency = Self { address: serve(app).await?, millis };
        dependency.set_time(USUAL);
        Ok(dependency)
    }

    /// Sets the response time.
    pub(crate) fn set_time(&self, time: Duration) {
        self.millis.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A bulkhead for each dependency.
pub(crate) struct Bulkheads {
    pub(crate) recommendations: Bulkhead,
    pub(crate) payments: Bulkhead,
}

struct Shop {
    /// Simulates the database pool: a request holds one permit while it is handled.
    connections: Semaphore,
    client: reqwest::Client,
    recommendations: String,
    payments: String,
    bulkheads: Option<Bulkheads>,
}

pub(crate) async fn start(
    recommendations: &Dependency,
    payments: &Dependency,
    bulkheads: Option<Bulkheads>,
) -> Result<SocketAddr, BoxError> {
    let shop = Shop {
        connections: Semaphore::new(CONNECTIONS),
        client: reqwest::Client::builder().no_proxy().build()?,
        recommendations: format!("http://{}/", recommendations.address),
        payments: format!("http://{}/", payments.address),
        bulkheads,
    };
    let app = Router::new().route("/products", get(products)).route("/pay", get(pay)).with_state(Arc::new(shop));
    serve(app).await
}

/// A page that is shown without recommendations if the bulkhead rejects the call.
async fn products(State(shop): State<Arc<Shop>>) -> Response {
    let _connection = shop.connections.acquire().await;
    let bulkhead = shop.bulkheads.as_ref().map(|all| &all.recommendations);
    match shop.ask(&shop.recommendations, bulkhead).await {
        Ok(text) => text.into_response(),
        Err(CallError::Rejected(_)) => [(WITHOUT, "recommendations")].into_response(),
        Err(CallError::Inner(_)) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn pay(State(shop): State<Arc<Shop>>) -> Response {
    let _connection = shop.connections.acquire().await;
    let bulkhead = shop.bulkheads.as_ref().map(|all| &all.payments);
    match shop.ask(&shop.payments, bulkhead).await {
        Ok(text) => text.into_response(),
        Err(CallError::Rejected(_)) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Err(CallError::Inner(_)) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

impl Shop {
    /// Calls a dependency. The whole call is one future, so the permit is held until the body has been read.
    async fn ask(&self, url: &str, bulkhead: Option<&Bulkhead>) -> Result<String, CallError<reqwest::Error>> {
        let call = async { self.client.get(url).send().await?.error_for_status()?.text().await };
        match bulkhead {
            Some(bulkhead) => bulkhead.call(call).await,
            None => call.await.map_err(CallError::Inner),
        }
    }
}

/// Serves on loopback until the program ends.
async fn serve(app: Router) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(address)
}
