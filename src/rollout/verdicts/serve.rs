//! A server for the routes.

use crate::server::{self, Limits};
use axum::Router;
use std::time::Duration;
use tokio::net::TcpListener;

const LIMITS: Limits = Limits {
    connections: 512,
    head_time: Duration::from_secs(10),
    head: 16 * 1024,
    connection_time: Duration::from_secs(300),
    keeps_alive: true,
};

/// Serves routes on a listener until the future is dropped: at most 512 connections, of which the next one takes the place of
/// the oldest that is idle, 10 seconds for the head of a request, 16 KiB of it, 5 minutes for a connection.
///
/// # Cancel safety
///
/// Dropping it closes the listener and every connection.
pub async fn serve(listener: TcpListener, router: Router) {
    match server::serve(listener, router, LIMITS).await {}
}
