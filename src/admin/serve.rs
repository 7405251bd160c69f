//! A server of its own, which outlives clients that are slow, idle or many.

use super::handle::Admin;
use super::routes;
use crate::sync::{Arc, AtomicBool, Ordering};
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::task::{AbortHandle, JoinSet};
use tower_service::Service as _;

/// Connections at once. The next one takes the place of the oldest that does nothing.
const CONNECTIONS_MAX: usize = 256;
/// The longest head of a request, in bytes.
const HEAD_MAX: usize = 64 * 1024;
/// Pause after the system gives no connection: usually no file descriptor is left.
const PAUSE: Duration = Duration::from_millis(100);

/// Errors of serving an admin page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Others could reach it, and no token is configured.
    #[error(
        "{address} can be reached from other machines, but no token is valid: give the admin page an access list, or \
         a loopback address such as 127.0.0.1:9901"
    )]
    Public {
        /// The address.
        address: SocketAddr,
    },
    /// The system said no.
    #[error("the admin page cannot listen on its address: {0}")]
    Io(#[from] io::Error),
}

impl Admin {
    /// Listens at an address and serves until the future is dropped.
    ///
    /// # Errors
    ///
    /// [`ServeError::Public`] for an address that is not loopback as long as no token is live; what the system says.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the listener and every connection; a change that has reached the store is made all the same.
    pub async fn bind(&self, address: impl ToSocketAddrs) -> Result<(), ServeError> {
        let addresses: Vec<_> = tokio::net::lookup_host(address).await?.collect();
        for address in &addresses {
            self.check(*address)?;
        }
        self.serve(TcpListener::bind(addresses.as_slice()).await?).await
    }

    /// Serves on a listener until the future is dropped. It does not speak TLS: across a network, put something in
    /// front of it that does, or the tokens can be read on their way.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    ///
    /// As [`bind`](Self::bind).
    pub async fn serve(&self, listener: TcpListener) -> Result<(), ServeError> {
        let address = listener.local_addr()?;
        self.check(address)?;
        let router = routes::router(&self.shared, address.ip().to_canonical().is_loopback());
        let timeout = self.shared.timeout;
        let (mut running, mut known) = (JoinSet::new(), VecDeque::new());
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            while running.try_join_next().is_some() {}
            known.retain(|connection: &Known| !connection.abort.is_finished());
            if known.len() >= CONNECTIONS_MAX {
                let idle = known.iter().position(|known| !known.is_busy.load(Ordering::Relaxed));
                match idle.and_then(|place| known.remove(place)) {
                    Some(idle) => idle.abort.abort(),
                    None => continue, // the new one is closed
                }
            }
            let is_busy = Arc::new(AtomicBool::new(false));
            let abort = running.spawn(connection(stream, router.clone(), timeout, Arc::clone(&is_busy)));
            known.push_back(Known { abort, is_busy });
        }
    }

    fn check(&self, address: SocketAddr) -> Result<(), ServeError> {
        let is_private = address.ip().to_canonical().is_loopback() || self.has_live_token();
        if is_private { Ok(()) } else { Err(ServeError::Public { address }) }
    }
}

/// A connection that was accepted.
struct Known {
    abort: AbortHandle,
    /// Whether a request is being answered.
    is_busy: Arc<AtomicBool>,
}

/// One request and its answer. Operators are few: a new connection for each costs less than idle ones do.
async fn connection(stream: TcpStream, router: Router, timeout: Duration, is_busy: Arc<AtomicBool>) {
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
    server.timer(TokioTimer::new()).header_read_timeout(timeout).max_buf_size(HEAD_MAX).keep_alive(false);
    let serve = server.serve_connection(TokioIo::new(stream), service);
    // Headers, body, store, and the way back of the answer.
    let _ = tokio::time::timeout(timeout.saturating_mul(4), serve).await;
}
