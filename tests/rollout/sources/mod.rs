//! Sources of ticks, over loopback.

mod lines;
mod prometheus;
mod real_prometheus;
mod scrape;
