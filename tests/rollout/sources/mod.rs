//! Sources of ticks, over loopback.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

mod access;
mod lines;
mod prometheus;
mod real_prometheus;
mod scrape;
