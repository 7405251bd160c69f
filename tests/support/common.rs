//! Real servers and clients on loopback, and waits that end with the event they wait for.

use axum::Router;
use backstop::CircuitBreaker;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// A client of hyper-util that sends no bodies.
pub(crate) type HyperClient = Client<HttpConnector, Empty<Bytes>>;

pub(crate) fn hyper_client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Serves an axum application until the runtime ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

pub(crate) fn get(address: SocketAddr, path: &str) -> http::Request<Empty<Bytes>> {
    request("GET", address, path)
}

pub(crate) fn request(method: &str, address: SocketAddr, path: &str) -> http::Request<Empty<Bytes>> {
    let uri = format!("http://{address}{path}");
    http::Request::builder().method(method).uri(uri).body(Empty::new()).expect("the tests' own URIs are valid")
}

/// Waits until something has come true. What happens in another task or behind a socket has no moment of its
/// own to wait for; half a minute is for machines that are busy with something else.
pub(crate) async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_true() {
        assert!(Instant::now() < deadline, "did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits for a future, but not for ever.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let Ok(output) = tokio::time::timeout(Duration::from_secs(30), future).await else { panic!("hangs: {what}") };
    output
}

/// What a breaker has counted: successful, failed, ignored, abandoned, not permitted.
pub(crate) fn counted(breaker: &CircuitBreaker) -> [u64; 5] {
    let totals = breaker.totals();
    [totals.successful, totals.failed, totals.ignored, totals.abandoned, totals.not_permitted]
}
