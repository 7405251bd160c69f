//! What stands in the log: a trip is a warning that tells what and why, other changes are information, a call is
//! nothing.

#[path = "../support/lines.rs"]
mod lines;

use backstop::CircuitBreaker;
use backstop::circuit_breaker::State;
use backstop::clock::{Clock, ManualClock};
use lines::{Lines, with_log};
use std::time::Duration;

fn breaker() -> (CircuitBreaker, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder("payments").clock(clock).minimum_calls(4).half_open_max_calls(1);
    (builder.open_time(Duration::from_secs(5)).build().unwrap(), time)
}

/// That there is one line, and that it has all of these.
fn assert_line(lines: &Lines, parts: &[&str]) {
    let lines = lines.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in parts {
        assert!(lines[0].contains(part), "no {part} in: {}", lines[0]);
    }
}

#[test]
fn a_trip_is_a_warning_and_a_recovery_is_information() {
    with_log(|lines| {
        let (breaker, time) = breaker();
        (0..3).for_each(|_| breaker.try_acquire().unwrap().failure());
        assert_eq!(lines.take(), [""; 0]);
        breaker.try_acquire().unwrap().failure();
        let trip = ["WARN", "backstop::circuit_breaker", "name=\"payments\"", "from=closed", "to=open"];
        assert_line(lines, &[&trip[..], &["reason=failure_rate", "calls=4", "failed=4"]].concat());
        assert!(breaker.try_acquire().is_err());
        assert_eq!(lines.take(), [""; 0], "a rejection is nothing");
        time.advance(Duration::from_secs(6));
        let probe = breaker.try_acquire().unwrap();
        assert_line(lines, &["INFO", "from=open", "to=half_open", "reason=open_time_elapsed"]);
        probe.success();
        assert_line(lines, &["INFO", "from=half_open", "to=closed", "reason=probes_succeeded"]);
    });
}

#[test]
fn a_call_is_nothing() {
    with_log(|lines| {
        let (breaker, _time) = breaker();
        for _ in 0..5_000 {
            breaker.try_acquire().unwrap().success();
        }
        breaker.try_acquire().unwrap().failure();
        breaker.try_acquire().unwrap().ignore();
        drop(breaker.try_acquire().unwrap());
        breaker.publish();
        assert_eq!(lines.take(), [""; 0]);
    });
}

#[test]
fn a_change_by_hand_tells_the_note() {
    with_log(|lines| {
        let (breaker, _time) = breaker();
        breaker.force_open("release 42 misbehaves");
        assert_line(lines, &["WARN", "to=forced_open", "reason=manual", "release 42 misbehaves"]);
        breaker.reset("release 41 is back");
        assert_line(lines, &["INFO", "from=forced_open", "to=closed", "release 41 is back"]);
        breaker.reset("it is closed");
        assert_eq!(lines.take(), [""; 0], "nothing changed");
    });
}

#[test]
fn what_a_shadow_would_have_done_is_a_warning() {
    with_log(|lines| {
        let (clock, _time) = Clock::manual();
        let builder = CircuitBreaker::builder("shadow").clock(clock).minimum_calls(4);
        let breaker = builder.initial_state(State::Shadow).build().unwrap();
        (0..8).for_each(|_| breaker.try_acquire().unwrap().failure());
        assert_line(lines, &["WARN", "would have opened", "name=\"shadow\"", "reason=failure_rate"]);
    });
}

#[test]
fn the_key_of_a_group_that_opens_is_told_as_a_function_shortens_it() {
    use backstop::circuit_breaker::CircuitBreakerConfig;
    use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
    with_log(|lines| {
        let config = || CircuitBreakerConfig::builder().consecutive_failures_threshold(1).build().unwrap();
        let hosts = KeyedCircuitBreaker::<String>::builder("hosts").config(config()).build().unwrap();
        hosts.key("eu-1.example").try_acquire().unwrap().failure();
        assert_line(lines, &["WARN", "name=\"hosts\"", "key=\"eu-1.example\"", "to=open"]);
        let builder = KeyedCircuitBreaker::<String>::builder("short").config(config());
        let short = builder.key_label(|host| host.split('.').next().unwrap_or_default().to_owned()).build().unwrap();
        short.key("eu-1.example").try_acquire().unwrap().failure();
        assert_line(lines, &["WARN", "name=\"short\"", "key=\"eu-1\""]);
    });
}

#[test]
fn two_live_handles_of_a_name_are_told_once() {
    let exporter = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&exporter, || {
        with_log(|lines| {
            let _first = CircuitBreaker::new("overlapping");
            assert_eq!(lines.take(), [""; 0]);
            let _second = CircuitBreaker::new("overlapping");
            assert_line(lines, &["WARN", "backstop::telemetry", "name=\"overlapping\"", "newest"]);
            let _third = CircuitBreaker::new("overlapping");
            assert_eq!(lines.take(), [""; 0], "once");
        });
    });
}

/// A note or a name that comes from elsewhere stays on its line.
#[test]
fn a_note_cannot_forge_a_line() {
    with_log(|lines| {
        let (breaker, _time) = breaker();
        breaker.force_open("one\nINFO backstop: all is well\u{1b}[2J");
        assert_line(lines, &["WARN", "to=forced_open"]);
    });
}

#[test]
fn a_saturated_bulkhead_is_a_warning_and_its_recovery_is_information() {
    use backstop::Bulkhead;
    with_log(|lines| {
        let (clock, time) = Clock::manual();
        let bulkhead = Bulkhead::builder("reports").clock(clock).max_concurrent_calls(1).build().unwrap();
        let held = bulkhead.try_acquire().unwrap();
        assert!(bulkhead.try_acquire().is_err());
        assert!(bulkhead.try_acquire().is_err());
        assert_line(lines, &["WARN", "rejects calls", "name=\"reports\"", "in_flight=1", "limit=1"]);
        drop(held);
        bulkhead.publish();
        time.advance(Duration::from_secs(1));
        bulkhead.publish();
        assert_line(lines, &["INFO", "bulkhead recovered", "name=\"reports\"", "rejected=2"]);
        bulkhead.resize(2, "more room").unwrap();
        assert_line(lines, &["INFO", "resized", "from=1", "limit=2", "more room"]);
        bulkhead.reset_in_flight("leaked permits");
        assert_line(lines, &["WARN", "revoked every permit", "revoked=0", "leaked permits"]);
    });
}
