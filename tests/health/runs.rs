//! Runs of checks: what hangs, blocks, panics or is dropped holds up nothing else.

use crate::checks::good;
use crate::common::eventually;
use crate::kubelet::status;
use crate::probes::{builder, panics};
use backstop::Health;
use backstop::clock::Clock;
use backstop::health::{Check, Reason, Role, Status};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
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
    health.start();
    eventually("it fails again and again", || first(&health, Role::Readiness).2 >= 5).await;
    assert_eq!(first(&health, Role::Readiness).1, Some(Reason::StillRunning));
    let before = runs.load(Ordering::SeqCst);
    eventually("the other goes on", || runs.load(Ordering::SeqCst) > before + 5).await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    drop(opens);
    eventually("it passes once it is let go", || first(&health, Role::Readiness).0 == Status::Passing).await;
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
    health.start();
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
    let health = Health::builder().readiness(good("a")).build().unwrap();
    assert!(!health.start());
    assert_eq!(first(&health, Role::Readiness), (Status::Pending, None, 0));
}

#[test]
fn a_runtime_without_a_time_driver_is_enough() {
    let hangs = Check::new("hangs", std::future::pending::<Result<(), String>>).timeout(Duration::from_millis(1));
    let health = Health::builder().readiness(hangs.failure_threshold(1)).build().unwrap();
    let failed = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&failed);
    let _subscription = health.subscribe(move |_| told.store(true, Ordering::SeqCst));
    Builder::new_current_thread().build().unwrap().block_on(async {
        health.start();
        while !failed.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(first(&health, Role::Readiness).1, Some(Reason::TimedOut));
}

/// A check that counts its runs, and hangs in each.
fn hangs(name: &str) -> (Check, Arc<AtomicU64>) {
    let begun = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&begun);
    let check = Check::new(name, move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let counted = Arc::clone(&counted);
        async move {
            std::future::pending::<()>().await;
            drop(counted);
            Ok::<_, String>(())
        }
    });
    (check, begun)
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_last_handle() {
    let (check, begun) = hangs("hangs");
    let health = builder().deep(check).build().unwrap();
    health.start();
    let other = health.clone();
    drop(health);
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(begun.load(Ordering::SeqCst), 2, "another handle is left");
    drop(other);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&begun), 1, "the run and the check are dropped");
}

#[tokio::test(start_paused = true)]
async fn a_second_start_leaves_the_checks_to_the_first() {
    let (check, begun) = hangs("hangs");
    let health = builder().deep(check.timeout(Duration::from_secs(50))).build().unwrap();
    for _ in 0..10 {
        assert!(health.start());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_beyond_the_period_delays_the_next_run_and_fails_once_a_run() {
    let (check, begun) = hangs("hangs");
    let check = check.period(Duration::from_secs(10)).timeout(Duration::from_secs(15));
    let health = builder().deep(check).build().unwrap();
    health.start();
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(first(&health, Role::Deep), (Status::Pending, Some(Reason::TimedOut), 1));
    tokio::time::sleep(Duration::from_secs(31)).await;
    let begun = begun.load(Ordering::SeqCst);
    assert!((2..=4).contains(&begun), "{begun} runs");
    let failures = u64::from(first(&health, Role::Deep).2);
    assert!((begun - 1..=begun).contains(&failures), "{failures} failures");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_before_its_answer_leaves_the_checks_running() {
    let health = builder().readiness(good("cache")).build().unwrap();
    let app = health.router();
    let mut probe = Box::pin(status(&app, "/readyz"));
    let _answer = probe.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(probe);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(health.is_ready());
}

/// An error whose text asks the checks.
#[derive(Debug)]
struct Asks(Arc<OnceLock<Health>>);

impl std::fmt::Display for Asks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} checks", self.0.get().unwrap().report(Role::Readiness).checks.len())
    }
}

impl std::error::Error for Asks {}

#[tokio::test(start_paused = true)]
async fn a_check_and_its_error_may_ask_the_checks() {
    let known = Arc::new(OnceLock::<Health>::new());
    let asked = Arc::clone(&known);
    let asks = Check::new("asks", move || {
        let asked = Arc::clone(&asked);
        async move {
            assert!(!asked.get().unwrap().is_ready());
            Err::<(), _>(Asks(asked))
        }
    });
    let health = builder().readiness(asks.failure_threshold(1)).build().unwrap();
    known.set(health.clone()).unwrap();
    let (sender, heard) = std::sync::mpsc::channel();
    let _subscription = health.subscribe(move |event| drop(sender.send(event.error.clone())));
    health.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(heard.recv().unwrap().as_deref(), Some("1 checks"));
}

/// Runs the checks until they are ready, on a runtime that ends then.
pub(crate) fn run_once(health: &Health) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert!(health.start());
        eventually("ready", || health.is_ready()).await;
    });
}

#[test]
fn a_result_that_nobody_renews_is_stale_and_a_startup_that_is_over_is_not() {
    let (clock, time) = Clock::manual();
    let builder = Health::builder().clock(clock);
    let health = builder.startup(good("migrations")).readiness(good("cache")).build().unwrap();
    run_once(&health);
    time.advance(Duration::from_secs(17));
    let report = health.report(Role::Readiness);
    let shown: Vec<_> = report.checks.iter().map(|check| (check.name, check.status, check.reason)).collect();
    assert_eq!(shown, [("migrations", Status::Passing, None), ("cache", Status::Failing, Some(Reason::Stale))]);
    run_once(&health);
    assert!(health.is_ready());
}

#[test]
fn runs_dropped_with_their_runtime_are_no_failure_and_go_on_with_the_next_one() {
    let (check, begun) = hangs("hangs");
    let check = check.failure_threshold(1).timeout(Duration::from_secs(600));
    let health = Health::builder().readiness(check).build().unwrap();
    for run in 1..=2 {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            assert!(health.start());
            eventually("it has begun", || begun.load(Ordering::SeqCst) == run).await;
        });
        drop(runtime);
        assert_eq!(first(&health, Role::Readiness), (Status::Pending, None, 0));
    }
}

#[test]
fn a_run_that_blocks_a_runtime_which_has_ended_is_still_the_only_one() {
    let (gate, begun) = (Arc::new(Gate::default()), Arc::new(AtomicU64::new(0)));
    let first_runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let opens = Opens(Arc::clone(&gate)); // before the drop of the runtime, which waits
    let (closed, counted) = (Arc::clone(&gate), Arc::clone(&begun));
    let blocks = Check::new("blocks", move || {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            closed.pass();
        }
        async { Ok::<_, String>(()) }
    });
    let blocks = blocks.period(Duration::from_millis(20)).timeout(Duration::from_millis(10));
    let health = Health::builder().readiness(blocks).build().unwrap();
    first_runtime.block_on(async {
        health.start();
        eventually("it blocks", || begun.load(Ordering::SeqCst) == 1).await;
    });
    first_runtime.shutdown_background();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        eventually("the second one runs it", || {
            health.start();
            first(&health, Role::Readiness).2 >= 5
        })
        .await;
        assert_eq!(first(&health, Role::Readiness).1, Some(Reason::StillRunning));
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        drop(opens);
        eventually("it passes once it is let go", || health.is_ready()).await;
    });
}
