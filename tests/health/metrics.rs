//! What a controller reads of the checks.

#![expect(clippy::float_cmp, reason = "what is compared are whole numbers, and those are exact")]

use crate::checks::good;
use crate::exposition::Exporter;
use crate::probes::builder;
use crate::runs::run_once;
use backstop::Health;
use backstop::clock::Clock;
use backstop::health::{Check, Role};
use std::time::Duration;

const STATUS: &str = "backstop_health_status";

fn values(exporter: &Exporter) -> Vec<(String, f64)> {
    let scrape = exporter.scrape();
    let of = scrape.series.iter().filter(|(series, _)| series.name == STATUS);
    of.map(|(series, value)| (series.labels["check"].clone(), *value)).collect()
}

#[test]
fn every_series_is_there_at_zero_follows_its_check_and_ends_at_zero() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let failing = Check::new("stock", || async { Err::<(), _>("none") });
            let health = builder().startup(good("prices")).readiness(good("cache")).deep(failing).build().unwrap();
            let mut expected =
                [("cache", 0.0), ("deep", 0.0), ("prices", 0.0), ("readiness", 0.0), ("startup", 0.0), ("stock", 0.0)];
            let told = |expected: &[(&str, f64)]| {
                let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
                assert_eq!(values(&exporter), expected);
            };
            told(&expected);
            health.start();
            tokio::time::sleep(Duration::from_secs(1)).await;
            for (place, value) in [(0, 1.0), (2, 1.0), (3, 1.0), (4, 1.0)] {
                expected[place].1 = value;
            }
            told(&expected);
            tokio::time::sleep(Duration::from_secs(60)).await;
            (expected[1].1, expected[5].1) = (2.0, 2.0);
            told(&expected);
            assert!(health.is_ready());
            drop(health);
            told(&expected.map(|(name, _)| (name, 0.0)));
        });
    });
    assert!(exporter.text().contains(&format!("# TYPE {STATUS} gauge\n")));
}

#[test]
fn a_check_that_nobody_runs_shows_as_failing_once_it_is_looked_at() {
    let (exporter, (clock, time)) = (Exporter::new(), Clock::manual());
    let health = exporter.run(|| Health::builder().clock(clock).readiness(good("cache")).build().unwrap());
    run_once(&health);
    let shown = || {
        exporter.run(|| assert!(!health.report(Role::Readiness).checks.is_empty()));
        ["cache", "readiness"].map(|check| exporter.scrape().value(STATUS, &[("check", check)]))
    };
    time.advance(Duration::from_secs(16));
    assert_eq!(shown(), [1.0, 1.0]);
    time.advance(Duration::from_secs(1));
    assert_eq!(shown(), [2.0, 2.0]);
}
