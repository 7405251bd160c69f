//! Runs of checks: what hangs, blocks, panics or is dropped holds up nothing else.

use crate::checks::good;
use crate::common::eventually;
use crate::probes::{builder, panics};
use backstop::Health;
use backstop::clock::Clock;
use backstop::health::{Check, Reason, Role, Status};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::runtime::Builder;

fn first(health: &Health, role: Role) -> (Status, Option<Reason>, u32) {
    let check = health.report(role).checks.remove(0);
    (check.status, check.reason, check.failures)
}

/// Blocks threads until it is opened.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn pass(&self) {
        let closed = self.1.wait_while(self.0.lock().unwrap(), |is_open| !*is_open);
        drop(closed.unwrap());
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

/// Opens it whatever happens, so that a failing test ends.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_check_that_blocks_its_thread_fails_alone_and_is_not_started_twice() {
    let (gate, begun) = (Arc::new(Gate::default()), Arc::new(AtomicU64::new(0)));
    let opens = Opens(Arc::clone(&gate));
    let (closed, counted) = (Arc::clone(&gate), Arc::clone(&begun));
    let blocks = Check::new("blocks", move || {
        counted.fetch_add(1, Ordering::SeqCst);
        closed.pass();
        async { Ok::<_, String>(()) }
    });
    let short = |check: Check| check.period(Duration::from_millis(20)).timeout(Duration::from_millis(10));
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let other = Check::new("other", move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, String>(()) }
    });
    let health = Health::builder().readiness(short(blocks)).deep(short(other)).build().unwrap();
    let running = tokio::spawn(health.run());
    eventually("it fails again and again", || first(&health, Role::Readiness).2 >= 5).await;
    assert_eq!(first(&health, Role::Readiness).1, Some(Reason::StillRunning));
    let before = runs.load(Ordering::SeqCst);
    eventually("the other goes on", || runs.load(Ordering::SeqCst) > before + 5).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    drop(opens);
    eventually("it passes once it is let go", || first(&health, Role::Readiness).0 == Status::Passing).await;
    drop(health);
    running.await.unwrap();
}

/// Panics when it is dropped.
struct Loud(bool);

impl Drop for Loud {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "a panic in a drop");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_wherever_it_is_is_a_failure_of_that_check() {
    type Made = std::future::Ready<Result<(), String>>;
    let when_made = || -> Made { panic!("while the future is made") };
    let in_drop = || {
        let loud = Loud(true);
        async move {
            let result = Ok::<_, String>(());
            std::future::poll_fn(|_| std::task::Poll::Ready(())).await;
            drop(std::panic::AssertUnwindSafe(loud));
            result
        }
    };
    let health = builder()
        .readiness(Check::new("made", when_made))
        .readiness(Check::new("polled", panics))
        .readiness(Check::new("dropped", in_drop))
        .readiness(good("good"))
        .build()
        .unwrap();
    tokio::spawn(health.run());
    tokio::time::sleep(Duration::from_secs(11)).await;
    let report = health.report(Role::Readiness);
    for check in &report.checks[..3] {
        assert_eq!(
            (check.status, check.reason, check.failures),
            (Status::Failing, Some(Reason::Panicked), 3),
            "{check:?}"
        );
    }
    assert_eq!(report.checks[3].status, Status::Passing);
}

#[test]
fn it_is_made_and_read_without_a_runtime_and_says_so_when_it_is_run() {
    let (clock, time) = Clock::manual();
    let health = Health::builder().clock(clock).readiness(good("a").failure_threshold(1)).build().unwrap();
    let mut run = pin!(health.run());
    assert_eq!(first(&health, Role::Readiness), (Status::Pending, None, 0));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(run.as_mut().poll(&mut cx).is_pending());
    assert_eq!(first(&health, Role::Readiness), (Status::Failing, Some(Reason::NoRuntime), 1));
    time.advance(Duration::from_secs(3_600));
    assert_eq!(first(&health, Role::Readiness).1, Some(Reason::Stale));
}

#[test]
fn a_runtime_without_a_time_driver_is_enough() {
    let hangs = Check::new("hangs", std::future::pending::<Result<(), String>>).timeout(Duration::from_millis(1));
    let health = Health::builder().readiness(hangs.failure_threshold(1)).build().unwrap();
    let failed = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&failed);
    let _subscription = health.subscribe(move |_| told.store(true, Ordering::SeqCst));
    Builder::new_current_thread().build().unwrap().block_on(async {
        let running = tokio::spawn(health.run());
        while !failed.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        running.abort();
    });
    assert_eq!(first(&health, Role::Readiness).1, Some(Reason::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_last_handle() {
    let health = builder().deep(good("a")).build().unwrap();
    let running = tokio::spawn(health.run());
    let other = health.clone();
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(health);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(!running.is_finished());
    drop(other);
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_future_leaves_the_checks_to_the_first_and_takes_over_after_it() {
    let begun = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&begun);
    let hangs = Check::new("hangs", move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<Result<(), String>>()
    });
    let health = builder().deep(hangs.timeout(Duration::from_secs(50))).build().unwrap();
    let running = tokio::spawn(health.run());
    tokio::time::sleep(Duration::from_secs(1)).await;
    health.run().await; // at once
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    running.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::spawn(health.run());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(begun.load(Ordering::SeqCst), 2, "at its next time");
    assert_eq!(first(&health, Role::Deep).2, 0, "a run that was dropped with its future is no failure");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_nobody_renews_is_stale_and_a_startup_that_is_over_is_not() {
    let health = builder().startup(good("migrations")).readiness(good("cache")).build().unwrap();
    let running = tokio::spawn(health.run());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(health.is_ready());
    running.abort();
    tokio::time::sleep(Duration::from_secs(17)).await;
    let report = health.report(Role::Readiness);
    let shown: Vec<_> = report.checks.iter().map(|check| (check.name, check.status, check.reason)).collect();
    assert_eq!(shown, [("migrations", Status::Passing, None), ("cache", Status::Failing, Some(Reason::Stale))]);
    tokio::spawn(health.run());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(health.is_ready());
}
