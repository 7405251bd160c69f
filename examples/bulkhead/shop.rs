//! The servers: two dependencies, and a shop whose requests share one pool.

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

/// How long a dependency takes when all is well, and when it is slow.
pub(crate) const USUAL: Duration = Duration::from_millis(20);
pub(crate) const SLOW: Duration = Duration::from_secs(2);
/// Connections of the shop's database pool.
const CONNECTIONS: usize = 24;
/// Marks a page that is shown without recommendations.
pub(crate) const WITHOUT: &str = "x-without";

/// A server that answers after a while.
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
        dependency.takes(USUAL);
        Ok(dependency)
    }

    /// From now on, a call takes this long.
    pub(crate) fn takes(&self, time: Duration) {
        self.millis.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// One for each dependency.
pub(crate) struct Bulkheads {
    pub(crate) recommendations: Bulkhead,
    pub(crate) payments: Bulkhead,
}

struct Shop {
    /// Stands for the database pool: who handles a request holds one.
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

/// A page that is shown without recommendations rather than not at all.
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
    /// The permit is held until the body has been read: the whole call is one future.
    async fn ask(&self, url: &str, bulkhead: Option<&Bulkhead>) -> Result<String, CallError<reqwest::Error>> {
        let call = async { self.client.get(url).send().await?.error_for_status()?.text().await };
        match bulkhead {
            Some(bulkhead) => bulkhead.call(call).await,
            None => call.await.map_err(CallError::Inner),
        }
    }
}

/// Serves on loopback for as long as the program runs.
async fn serve(app: Router) -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(address)
}
