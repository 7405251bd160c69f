//! Metrics as a scraper sees them.

#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/exposition.rs"]
mod exposition;
#[path = "../support/promtool.rs"]
mod promtool;

mod bulkhead;
mod metrics;
mod public_api;
