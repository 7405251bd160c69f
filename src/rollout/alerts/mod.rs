//! Alerts: a thread and a bounded queue for each receiver, pages before the rest, and no secret in any text.

mod inbox;
mod payload;
mod receivers;
mod sending;

pub(crate) use payload::unset;
pub(crate) use receivers::{Alerts, Deliveries};
pub use sending::refuse;
