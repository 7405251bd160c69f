//! What an orchestrator does with the answers, by Kubernetes' rules.

use crate::kubelet::{Act, Kubelet, status};
use backstop::CircuitBreaker;
use backstop::circuit_breaker::CircuitBreakerConfig;
use backstop::clock::Clock;
use backstop::health::{Check, Health, HealthBuilder, Reason, Role, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) fn builder() -> HealthBuilder {
    Health::builder().clock(Clock::tokio())
}

/// A check that passes outside of these seconds.
fn down(name: &str, from: u64, to: u64) -> Check {
    let start = Instant::now();
    Check::new(name, move || async move {
        let is_down = (from..to).contains(&start.elapsed().as_secs());
        if is_down { Err("down") } else { Ok(()) }
    })
}

#[tokio::test(start_paused = true)]
async fn startup_gates_readiness_and_the_other_checks() {
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, String>(()) }
    };
    let health = builder()
        .startup(down("migrations", 0, 20))
        .readiness(Check::new("cache", count.clone()))
        .deep(Check::new("checkout", count))
        .build()
        .unwrap();
    let app = health.router();
    for path in ["/startupz", "/readyz"] {
        assert_eq!(status(&app, path).await, 503, "{path}");
    }
    assert_eq!(status(&app, "/livez").await, 200, "startup does not gate it");
    let kubelet = Kubelet::default();
    assert_eq!(kubelet.watch(&app, 19).await, [], "and no restart");
    assert_eq!((runs.load(Ordering::Relaxed), health.is_started()), (0, false));
    assert_eq!(kubelet.watch(&app, 10).await, [(1, Act::Started), (5, Act::Ready)]);
    assert!(runs.load(Ordering::Relaxed) >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_startup_that_never_ends_is_restarted_by_its_own_probe() {
    let health = builder().startup(down("migrations", 0, 1_000)).build().unwrap();
    assert_eq!(Kubelet::default().watch(&health.router(), 60).await, [(59, Act::Restart)]);
    assert_eq!(health.report(Role::Startup).status, Status::Failing, "after 30 s");
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_its_check_by_thresholds_and_restarts_nothing() {
    let health = builder().readiness(down("cache", 61, 121)).build().unwrap();
    health.start();
    let acts = Kubelet::default().watch(&health.router(), 300).await;
    // Looked at each 5 s: the third failure is at 75 s, the first pass at 125 s. The probe is half a second later.
    assert_eq!(acts, [(0, Act::Started), (5, Act::Ready), (75, Act::NotReady), (125, Act::Ready)]);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_outage_than_the_threshold_is_not_noticed() {
    let health = builder().readiness(down("cache", 61, 71)).build().unwrap();
    health.start();
    let acts = Kubelet::default().watch(&health.router(), 120).await;
    assert_eq!(acts, [(0, Act::Started), (5, Act::Ready)]);
}

#[tokio::test(start_paused = true)]
async fn a_deep_check_alerts_and_takes_no_traffic_away() {
    let health = builder().deep(down("checkout", 61, 1_000)).build().unwrap();
    let app = health.router();
    let acts = Kubelet::default().watch(&app, 300).await;
    assert_eq!(acts, [(0, Act::Started), (5, Act::Ready)]);
    assert_eq!(health.report(Role::Deep).status, Status::Failing);
    assert_eq!((status(&app, "/healthz/deep").await, status(&app, "/readyz").await), (503, 200));
}

/// The semantics to know at 3 am: ten instances and a database that all of them use.
#[tokio::test(start_paused = true)]
async fn what_all_instances_share_takes_all_of_them_out_if_it_is_declared_for_readiness() {
    let mut ready = [0, 0];
    let declare: [fn(HealthBuilder, Check) -> HealthBuilder; 2] = [HealthBuilder::readiness, HealthBuilder::deep];
    let database = down("database", 61, 1_000);
    for (ready, declare) in ready.iter_mut().zip(declare) {
        let all: Vec<_> = (0..10).map(|_| declare(builder(), database.clone()).build().unwrap()).collect();
        assert!(all.iter().all(Health::start));
        tokio::time::sleep(Duration::from_secs(180)).await;
        *ready = all.iter().filter(|health| health.is_ready()).count();
    }
    assert_eq!(ready, [0, 10]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_left_for_an_open_circuit_comes_back_without_traffic() {
    let config = CircuitBreakerConfig::builder().open_time(Duration::from_secs(30)).build().unwrap();
    let payments = CircuitBreaker::from_config_with_clock("payments", config, Clock::tokio()).unwrap();
    let declared = builder().readiness(Check::circuit_breaker(&payments)).build().unwrap();
    let (app, kubelet) = (declared.router(), Kubelet::default());
    assert_eq!(kubelet.watch(&app, 10).await, [(0, Act::Started), (5, Act::Ready)]);
    payments.trip("test");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let report = declared.report(Role::Readiness);
    let check = &report.checks[0];
    assert_eq!((report.status, check.name), (Status::Failing, "circuit_breaker:payments"));
    assert_eq!(check.reason, Some(Reason::Failed));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(declared.is_ready(), "its open time is over, and probes need traffic");
}

/// A run that panics when it is polled, without a line on it.
pub(crate) async fn panics() -> Result<(), String> {
    std::future::ready(()).await;
    std::panic::resume_unwind(Box::new("a check that panics"))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_checks_of_which_half_misbehave_keep_their_times() {
    let runs = Arc::new(AtomicU64::new(0));
    let mut builder = builder();
    for place in 0..25 {
        let counted = Arc::clone(&runs);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, String>(()) }
        };
        builder = builder
            .readiness(Check::new(format!("good {place}"), count.clone()))
            .readiness(Check::new(format!("also good {place}"), count))
            .deep(Check::new(format!("hangs {place}"), std::future::pending::<Result<(), String>>))
            .deep(Check::new(format!("panics {place}"), panics));
    }
    let health = builder.build().unwrap();
    let acts = Kubelet::default().watch(&health.router(), 600).await;
    assert_eq!(acts, [(0, Act::Started), (5, Act::Ready)]);
    assert_eq!(runs.load(Ordering::Relaxed), 50 * 120, "each 5 s");
    let deep = health.report(Role::Deep);
    assert_eq!(deep.checks.len(), 50);
    for check in deep.checks {
        let reason = if check.name.starts_with("hangs") { Reason::TimedOut } else { Reason::Panicked };
        assert_eq!((check.status, check.reason), (Status::Failing, Some(reason)), "{}", check.name);
        assert_eq!(check.failures, 10, "{}: one a minute", check.name);
    }
}
