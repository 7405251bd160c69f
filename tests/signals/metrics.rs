//! What a controller reads of signals: every series from the start, and figures that are right.

#![expect(clippy::float_cmp, reason = "what is compared are whole numbers, and those are exact")]

use crate::counted;
use crate::exposition::Exporter;

use backstop::Signals;
use backstop::clock::Clock;
use backstop::telemetry::{BUCKETS, METRICS, REQUEST_BUCKETS};
use futures_util::FutureExt;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;
use tower::{Layer, Service, service_fn};

const REQUESTS: &str = "backstop_requests_total";
const DURATION: &str = "backstop_request_duration_seconds";

fn exporter() -> Exporter {
    let builder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Prefix("backstop_".into()), BUCKETS).unwrap();
    let durations = Matcher::Full(DURATION.into());
    Exporter::of(builder.set_buckets_for_metric(durations, REQUEST_BUCKETS).unwrap())
}

#[test]
fn every_series_is_there_at_zero_before_the_first_request() {
    let exporter = exporter();
    let signals = exporter.run(|| Signals::builder("fresh").segments(["web", "mobile"]).build().unwrap());
    let scrape = exporter.scrape();
    for segment in ["web", "mobile", "other"] {
        for outcome in [
            "success",
            "client_error",
            "server_error",
            "rejected_circuit_breaker",
            "rejected_bulkhead",
            "rejected_kill_switch",
            "ignored",
        ] {
            let labels = [("service", "fresh"), ("segment", segment), ("outcome", outcome)];
            assert_eq!(scrape.value(REQUESTS, &labels), 0.0);
        }
        let labels = [("service", "fresh"), ("segment", segment)];
        assert_eq!(scrape.value("backstop_active_seconds_total", &labels), 0.0);
        assert_eq!(scrape.value("backstop_error_seconds_total", &labels), 0.0);
    }
    for outcome in ["success", "failure"] {
        assert_eq!(scrape.value(&format!("{DURATION}_count"), &[("service", "fresh"), ("outcome", outcome)]), 0.0);
    }
    assert_eq!(scrape.value("backstop_in_flight_requests", &[("service", "fresh")]), 0.0);
    for name in [REQUESTS, DURATION, "backstop_active_seconds_total", "backstop_error_seconds_total"] {
        let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
        assert!(scrape.text.contains(&format!("# HELP {name} {}\n", metric.help)), "{name}");
    }
    drop(signals);
}

#[test]
fn durations_are_in_the_buckets_of_their_exporter_and_none_is_recorded_twice() {
    let (clock, time) = Clock::manual();
    let exporter = exporter();
    exporter.run(|| {
        let signals = Signals::builder("timed").clock(clock).build().unwrap();
        let passes = time.clone();
        let answer = move |(millis, status): (u64, u16)| {
            passes.advance(Duration::from_millis(millis));
            ready(Ok::<_, Infallible>(http::Response::builder().status(status).body(String::new()).unwrap()))
        };
        let mut service = signals.layer().layer(service_fn(answer));
        let mut ask = |millis, status| service.call((millis, status)).now_or_never().unwrap().unwrap();
        for millis in [1, 2, 2, 30, 700, 70_000] {
            ask(millis, 200);
            signals.publish();
        }
        ask(3, 500);
        ask(3, 404);
        signals.publish();
        let scrape = exporter.scrape();
        let below = |outcome, le| scrape.value(&format!("{DURATION}_bucket"), &[("outcome", outcome), ("le", le)]);
        for (le, count) in [
            ("0.001", 1.0),
            ("0.0016", 1.0),
            ("0.002", 3.0),
            ("0.0315", 4.0),
            ("0.63", 4.0),
            ("0.8", 5.0),
            ("60", 5.0),
            ("+Inf", 6.0),
        ] {
            assert_eq!(below("success", le), count, "{le}");
        }
        assert_eq!((below("failure", "0.0025"), below("failure", "0.00315")), (0.0, 2.0));
        let sum = scrape.value(&format!("{DURATION}_sum"), &[("outcome", "success")]);
        assert!((sum / 70.735 - 1.0).abs() < 0.12, "{sum}");
        let outcome = |outcome| scrape.value(REQUESTS, &[("outcome", outcome)]);
        assert_eq!((outcome("success"), outcome("client_error"), outcome("server_error")), (6.0, 1.0, 1.0));
        assert_eq!(scrape.value("backstop_error_seconds_total", &[]), 1.0);
        assert_eq!(counted(&signals)[0], 6);
    });
}

#[test]
fn requests_in_flight_are_a_gauge_that_ends_with_the_last_handle() {
    let exporter = exporter();
    exporter.run(|| {
        let signals = Signals::new("flying");
        let mut service = signals
            .layer()
            .layer(service_fn(|()| std::future::pending::<Result<http::Response<String>, Infallible>>()));
        let request = service.call(());
        signals.publish();
        let in_flight = || exporter.scrape().value("backstop_in_flight_requests", &[("service", "flying")]);
        assert_eq!(in_flight(), 1.0);
        drop((signals, service));
        assert_eq!(in_flight(), 0.0);
        drop(request);
    });
}

#[test]
fn by_its_own_the_traffic_publishes_its_counts_within_a_second() {
    let (clock, time) = Clock::manual();
    let exporter = exporter();
    exporter.run(|| {
        let signals = Signals::builder("busy").clock(clock).build().unwrap();
        let answer = |()| ready(Ok::<_, Infallible>(http::Response::new(String::new())));
        let mut service = signals.layer().layer(service_fn(answer));
        for _ in 0..2_000 {
            time.advance(Duration::from_millis(1));
            service.call(()).now_or_never().unwrap().unwrap();
        }
        let counted = exporter.scrape().value(REQUESTS, &[("outcome", "success")]);
        assert!(counted > 900.0, "{counted}");
    });
}
