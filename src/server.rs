//! A server for the crate's own routes, which outlives clients that are slow, idle or many.

use crate::sync::{Arc, AtomicBool, Ordering};
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tower_service::Service as _;

/// Pause after the system gives no connection: usually no file descriptor is left.
const PAUSE: Duration = Duration::from_millis(100);

/// Limits on connections and requests of clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once. The next one takes the place of the oldest that does nothing, and is closed if there is none.
    pub(crate) connections: usize,
    /// Time until the head of a request, also of the next one on a connection, and its longest, in bytes.
    pub(crate) head_time: Duration,
    pub(crate) head: usize,
    /// Time of a connection: one whose client reads nothing ends, and the usual one connects again.
    pub(crate) connection_time: Duration,
    /// Whether a connection has more than one request.
    pub(crate) keeps_alive: bool,
}

/// Serves routes on a listener until the future is dropped, which closes the listener and every connection.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits) -> Infallible {
    let (mut running, mut known) = (JoinSet::new(), VecDeque::new());
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        while running.try_join_next().is_some() {}
        known.retain(|connection: &Known| !connection.abort.is_finished());
        if known.len() >= limits.connections {
            let idle = known.iter().position(|known| !known.is_busy.load(Ordering::Relaxed));
            match idle.and_then(|place| known.remove(place)) {
                Some(idle) => idle.abort.abort(),
                None => continue, // the new one is closed
            }
        }
        let is_busy = Arc::new(AtomicBool::new(false));
        let abort = running.spawn(connection(stream, router.clone(), limits, Arc::clone(&is_busy)));
        known.push_back(Known { abort, is_busy });
    }
}

/// A connection that was accepted.
struct Known {
    abort: AbortHandle,
    /// Whether a request is being answered.
    is_busy: Arc<AtomicBool>,
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, is_busy: Arc<AtomicBool>) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (mut router, is_busy) = (router.clone(), Arc::clone(&is_busy));
        async move {
            is_busy.store(true, Ordering::Relaxed);
            let response = router.call(request.map(Body::new)).await;
            is_busy.store(false, Ordering::Relaxed);
            response
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.head_time).max_buf_size(limits.head);
    server.keep_alive(limits.keeps_alive);
    // The client sees how it ends.
    let _ = tokio::time::timeout(limits.connection_time, server.serve_connection(TokioIo::new(stream), service)).await;
}
