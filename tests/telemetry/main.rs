//! Metrics as a scraper sees them.

#[path = "../support/exposition.rs"]
mod exposition;
#[path = "../support/promtool.rs"]
mod promtool;

mod bulkhead;
mod metrics;
mod public_api;
mod publishing;
mod queries;
