//! A server of its own.

use super::handle::Admin;
use super::routes;
use crate::server::{self, Limits};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, ToSocketAddrs};

/// Connections at once.
const CONNECTIONS_MAX: usize = 256;
/// The longest head of a request, in bytes.
const HEAD_MAX: usize = 64 * 1024;

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
        let head_time = self.shared.timeout;
        let limits = Limits {
            connections: CONNECTIONS_MAX,
            head_time,
            head: HEAD_MAX,
            // Headers, body, store, and the way back of the answer.
            connection_time: head_time.saturating_mul(4),
            // Operators are few: a new connection for each request costs less than idle ones do.
            keeps_alive: false,
        };
        match server::serve(listener, router, limits).await {}
    }

    fn check(&self, address: SocketAddr) -> Result<(), ServeError> {
        let is_private = address.ip().to_canonical().is_loopback() || self.has_live_token();
        if is_private { Ok(()) } else { Err(ServeError::Public { address }) }
    }
}
