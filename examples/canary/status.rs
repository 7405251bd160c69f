//! The status line, redrawn five times a second.

use crate::load::{Arm, Load, Route};
use crate::report::{Summary, time};
use crate::scrape::Look;
use crate::story::Story;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) async fn keep_updated(story: Arc<Story>, load: Arc<Load>, looks: watch::Receiver<Option<Look>>) {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = story.now();
        let samples = load.samples(now.saturating_sub(Duration::from_secs(1)));
        let look = looks.borrow().clone();
        let arm = |arm: Arm| {
            let summary = Summary::of(samples.iter().filter(|sample| sample.arm == arm && sample.route == Route::Page));
            let median = summary.percentile(50).map_or_else(|| "-".into(), time);
            let state = look.as_ref().map_or("?", |look| &look.reading(arm).state);
            format!("{:<6} {:>3}/s {median:>8} {state:<9}", arm.as_str(), summary.requests)
        };
        let text = format!("{:>7.1} s  {} | {}", now.as_secs_f64(), arm(Arm::Stable), arm(Arm::Canary));
        story.console.status(text.trim_end());
    }
}
