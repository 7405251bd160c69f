//! The HTTP API of Prometheus, and of servers that answer like it.

mod answer;
mod client;
mod expression;
mod looked;

pub use looked::Prometheus;
