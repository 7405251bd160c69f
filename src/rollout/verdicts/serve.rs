//! A server for the routes, which outlives clients that are slow, idle or many.

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower_service::Service as _;

/// Connections at once; the next one is closed.
const CONNECTIONS_MAX: usize = 512;
/// Time until the head of a request, also of the next one on a connection.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time of a connection: one whose client reads nothing ends, and the usual one connects again.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
/// The longest head of a request, in bytes.
const HEAD_MAX: usize = 16 * 1024;
/// Pause after the system gives no connection: usually no file descriptor is left.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves routes on a listener until the future is dropped: at most 512 connections, 10 seconds for the head of a
/// request, 16 KiB of it, 5 minutes for a connection.
///
/// # Cancel safety
///
/// Dropping it closes the listener and every connection.
pub async fn serve(listener: TcpListener, router: Router) {
    let mut running = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        while running.try_join_next().is_some() {}
        if running.len() >= CONNECTIONS_MAX {
            continue;
        }
        let router = router.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let mut router = router.clone();
            async move { router.call(request.map(Body::new)).await }
        });
        running.spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_MAX);
            // The client sees how it ends.
            let _ = tokio::time::timeout(CONNECTION_TIME, server.serve_connection(TokioIo::new(stream), service)).await;
        });
    }
}
