//! Declaring checks: every problem at once, names, and what a report shows.

use crate::probes::builder;
use backstop::Health;
use backstop::health::{Check, Event, Reason, Role, Status};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A check that passes.
pub(crate) fn good(name: &str) -> Check {
    Check::new(name, || async { Ok::<_, String>(()) })
}

#[test]
fn without_a_check_an_instance_is_live_started_and_ready() {
    let health = Health::builder().build().unwrap();
    assert!(health.is_started() && health.is_ready());
    assert_eq!(health.report(Role::Deep).status, Status::Passing);
}

#[test]
fn every_problem_is_told_at_once() {
    let error = Health::builder()
        .startup(good("a").period(Duration::from_millis(9)))
        .readiness(good("b").timeout(Duration::ZERO))
        .readiness(good("c").failure_threshold(0).success_threshold(1_001))
        .deep(good("a"))
        .deep(good("readiness"))
        .deep(good(""))
        .build()
        .unwrap_err();
    let told: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    let unique = "must be a name that no other check has, and not startup, readiness or deep";
    assert_eq!(
        told,
        [
            "a.period: 9ms is not allowed, must be from 10ms to 86400s",
            "b.timeout: 0ns is not allowed, must be from 1ms to 86400s",
            "c.failure_threshold: 0 is not allowed, must be from 1 to 1000",
            "c.success_threshold: 1001 is not allowed, must be from 1 to 1000",
            &format!("name: \"a\" is not allowed, {unique}"),
            &format!("name: \"readiness\" is not allowed, {unique}"),
            "name: \"\" is not allowed, must be 1 to 128 bytes, not blank and without control characters",
        ]
    );
}

#[test]
fn the_number_of_checks_is_bounded() {
    let with = |count: u32| (0..count).fold(Health::builder(), |builder, place| builder.deep(good(&place.to_string())));
    assert!(with(1_000).build().is_ok());
    assert_eq!(with(1_001).build().unwrap_err().problems()[0].field(), "checks");
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_listeners_and_never_to_a_probe() {
    let failing = || async { Err::<(), _>("postgres://shop:hunter2@db refused") };
    let health = builder().readiness(Check::new("database", failing)).build().unwrap();
    let heard = Arc::new(Mutex::new(Vec::<Event>::new()));
    let (log, again) = (Arc::clone(&heard), health.clone());
    let subscription = health.subscribe(move |event| {
        assert!(!again.is_ready(), "it may use the checks");
        log.lock().unwrap().push(event.clone());
    });
    assert!(health.start());
    tokio::time::sleep(Duration::from_secs(11)).await;
    {
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 1, "at the threshold, once");
        let Event { check, role, from, to, reason, .. } = heard[0];
        assert_eq!((check, role, from, to), ("database", Role::Readiness, Status::Pending, Status::Failing));
        assert_eq!(
            (reason, heard[0].error.as_deref()),
            (Some(Reason::Failed), Some("postgres://shop:hunter2@db refused"))
        );
    }
    let json = serde_json::to_value(health.report(Role::Readiness)).unwrap();
    assert_eq!(
        json,
        serde_json::json!({ "status": "failing", "checks": [{
            "name": "database", "role": "readiness", "status": "failing", "reason": "failed",
            "failures": 3, "age_ms": 1000, "took_ms": 0,
        }] })
    );
    drop((subscription, health));
}

#[tokio::test(start_paused = true)]
async fn a_failure_below_the_threshold_is_shown_beside_the_status() {
    let mut results = [true, false].into_iter();
    let results = Arc::new(Mutex::new(move || results.next().unwrap_or(true)));
    let flaky = Check::new("flaky", move || {
        let is_good = results.lock().unwrap()();
        async move { is_good.then_some(()).ok_or("once") }
    });
    let health = builder().readiness(flaky).build().unwrap();
    health.start();
    let mut shown = Vec::new();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let check = health.report(Role::Readiness).checks.remove(0);
        shown.push((check.status, check.reason, check.failures));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let passing = (Status::Passing, None, 0);
    assert_eq!(shown, [passing, (Status::Passing, Some(Reason::Failed), 1), passing]);
}
