//! Metrics by themselves: a global recorder that only renders, as an exporter with its own listener or a push gateway
//! does, hears of everything within about a second; nobody calls `publish`.

use backstop::bulkhead::BulkheadConfig;
use backstop::bulkhead::keyed::KeyedBulkhead;
use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
use backstop::telemetry::background_publishing;
use backstop::{Bulkhead, CircuitBreaker, Registry};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The process's recorder.
fn exporter() -> &'static PrometheusHandle {
    static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();
    EXPORTER.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

/// One test at a time: they switch the background thread on and off.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Renders until `line` is there; a busy machine gets more than the second that it takes.
fn assert_comes(line: &str) {
    let begun = Instant::now();
    loop {
        let text = exporter().render();
        if text.lines().any(|found| found == line) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{line} is not in\n{text}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn calls(mechanism: &str, name: &str, kind: &str, count: u64) -> String {
    format!("backstop_{mechanism}_calls_total{{name=\"{name}\",kind=\"{kind}\"}} {count}")
}

fn gauge(mechanism: &str, what: &str, name: &str, value: u64) -> String {
    format!("backstop_{mechanism}_{what}{{name=\"{name}\"}} {value}")
}

#[test]
fn calls_fewer_than_any_batch_are_told_after_traffic_ends() {
    let _alone = alone();
    exporter();
    let breaker = CircuitBreaker::new("nine hundred");
    (0..900).for_each(|_| breaker.try_acquire().unwrap().success());
    assert_comes(&calls("circuit_breaker", "nine hundred", "successful", 900));
    // Again, after the thread has been parked.
    (0..7).for_each(|_| breaker.try_acquire().unwrap().success());
    assert_comes(&calls("circuit_breaker", "nine hundred", "successful", 907));
    breaker.try_acquire().unwrap().failure();
    breaker.try_acquire().unwrap().ignore();
    assert_comes(&calls("circuit_breaker", "nine hundred", "failed", 1));
    assert_comes(&calls("circuit_breaker", "nine hundred", "ignored", 1));
}

#[test]
fn calls_in_flight_are_told_and_their_end_too() {
    let _alone = alone();
    exporter();
    let bulkhead = Bulkhead::builder("twenty-five").max_concurrent_calls(25).build().unwrap();
    let held: Vec<_> = (0..25).map(|_| bulkhead.try_acquire().unwrap()).collect();
    assert_comes(&gauge("bulkhead", "in_flight_calls", "twenty-five", 25));
    drop(held);
    assert_comes(&gauge("bulkhead", "in_flight_calls", "twenty-five", 0));
    assert_comes(&calls("bulkhead", "twenty-five", "permitted", 25));
}

#[test]
fn rejections_are_told() {
    let _alone = alone();
    exporter();
    let bulkhead = Bulkhead::builder("fifty").max_concurrent_calls(1).build().unwrap();
    let _held = bulkhead.try_acquire().unwrap();
    (0..50).for_each(|_| assert!(bulkhead.try_acquire().is_err()));
    assert_comes(&calls("bulkhead", "fifty", "rejected_full", 50));
    let breaker = CircuitBreaker::new("fifty");
    breaker.force_open("maintenance");
    (0..50).for_each(|_| assert!(breaker.try_acquire().is_err()));
    assert_comes(&calls("circuit_breaker", "fifty", "not_permitted", 50));
}

#[test]
fn calls_of_keys_are_told() {
    let _alone = alone();
    exporter();
    let hosts = KeyedCircuitBreaker::<u32>::builder("hosts").build().unwrap();
    (0..9).for_each(|_| hosts.key(&1).try_acquire().unwrap().success());
    assert_comes(&calls("circuit_breaker", "hosts", "successful", 9));
    let config = BulkheadConfig::builder().max_concurrent_calls(2).build().unwrap();
    let tenants = KeyedBulkhead::<u32>::builder("tenants").config(config).build().unwrap();
    let key = tenants.key(&1);
    let held = key.try_acquire().unwrap();
    assert_comes(&gauge("bulkhead", "in_flight_calls", "tenants", 1));
    drop(held);
    assert_comes(&gauge("bulkhead", "in_flight_calls", "tenants", 0));
}

#[test]
fn it_can_be_switched_off_and_calls_still_publish() {
    let _alone = alone();
    exporter();
    background_publishing(false);
    let breaker = CircuitBreaker::new("by calls");
    breaker.try_acquire().unwrap().success();
    let line = calls("circuit_breaker", "by calls", "successful", 1);
    std::thread::park_timeout(Duration::from_millis(1_200));
    assert!(!exporter().render().lines().any(|found| found == line), "there is no thread");
    breaker.try_acquire().unwrap().success();
    assert_comes(&calls("circuit_breaker", "by calls", "successful", 2));
    background_publishing(true);
    breaker.try_acquire().unwrap().success();
    assert_comes(&calls("circuit_breaker", "by calls", "successful", 3));
}

#[test]
fn publish_every_tells_what_is_left_without_the_thread_and_ends_with_the_registry() {
    let _alone = alone();
    exporter();
    background_publishing(false);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let registry = Registry::new();
    let breaker = registry.add(CircuitBreaker::new("by a task")).unwrap();
    let publishing = runtime.spawn(registry.publish_every(Duration::from_millis(20)));
    (0..9).for_each(|_| breaker.try_acquire().unwrap().success());
    assert_comes(&calls("circuit_breaker", "by a task", "successful", 9));
    drop(registry);
    runtime.block_on(publishing).unwrap();
    background_publishing(true);
}

#[test]
fn requests_and_their_durations_are_told_after_traffic_ends() {
    use tower::{Layer, Service, service_fn};
    let _alone = alone();
    exporter();
    let signals = backstop::Signals::new("checkout");
    let answer = |()| std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(String::new())));
    let mut service = signals.layer().layer(service_fn(answer));
    for _ in 0..70 {
        let mut request = std::pin::pin!(service.call(()));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(request.as_mut().poll(&mut cx).is_ready());
    }
    let labels = "service=\"checkout\",segment=\"default\"";
    assert_comes(&format!("backstop_requests_total{{{labels},outcome=\"success\"}} 70"));
    assert_comes(&format!("backstop_requests_total{{{labels},outcome=\"server_error\"}} 0"));
    assert_comes("backstop_request_duration_seconds_count{service=\"checkout\",outcome=\"success\"} 70");
    drop(service);
    drop(signals);
    assert_comes("backstop_in_flight_requests{service=\"checkout\"} 0");
}
