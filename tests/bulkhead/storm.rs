//! A bulkhead under everything at once: threads, cancellation, timeouts, panics, resizing, runtimes that go down.
//! Afterwards every permit is back, and every call is accounted for.

use crate::common;
use crate::scene;

use backstop::bulkhead::{QueueOrder, Shedding, Totals};
use backstop::{Bulkhead, CallError, Rejected};
use common::{eventually, soon};
use fastrand::Rng;
use futures_util::FutureExt;
use scene::quiet_panic;
use std::future::{Future, pending};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::task::yield_now;
use tower::{Service, ServiceExt};

/// What a call does once it is let through.
#[derive(Clone, Copy)]
enum Do {
    Answer,
    Fail,
    Yield(u8),
    Hang,
    Panic,
    PanicInCall,
}

impl Do {
    fn any(rng: &mut Rng) -> Self {
        match rng.u8(..16) {
            0..5 => Self::Answer,
            5..7 => Self::Fail,
            7..13 => Self::Yield(rng.u8(1..20)),
            13 => Self::Hang,
            14 => Self::Panic,
            _ => Self::PanicInCall,
        }
    }
}

/// Counts the calls that are with it.
#[derive(Default)]
struct Gauge {
    now: AtomicU64,
    most: AtomicU64,
}

struct Inside(Arc<Gauge>);

impl Inside {
    fn enter(gauge: &Arc<Gauge>) -> Self {
        let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
        gauge.most.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(gauge))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn work(inside: Inside, request: Do) -> io::Result<()> {
    let _inside = inside;
    match request {
        Do::Answer | Do::PanicInCall => Ok(()),
        Do::Fail => Err(io::Error::other("told to")),
        Do::Yield(times) => {
            for _ in 0..times {
                yield_now().await;
            }
            Ok(())
        }
        Do::Hang => pending().await,
        Do::Panic => quiet_panic(),
    }
}

/// The dependency: it insists on being asked whether it is ready, and now and then it is not.
struct Dependency {
    gauge: Arc<Gauge>,
    is_ready: bool,
    polls: u32,
}

impl Clone for Dependency {
    fn clone(&self) -> Self {
        Self { gauge: Arc::clone(&self.gauge), is_ready: false, polls: self.polls }
    }
}

/// A future with a name: a task that holds a boxed one is not found to be `Send`.
struct Work(Pin<Box<dyn Future<Output = io::Result<()>> + Send>>);

impl Future for Work {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll(cx)
    }
}

impl Service<Do> for Dependency {
    type Response = ();
    type Error = io::Error;
    type Future = Work;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.polls += 1;
        if self.polls.is_multiple_of(7) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Do) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without being asked whether it is ready");
        let inside = Inside::enter(&self.gauge);
        if matches!(request, Do::PanicInCall) {
            quiet_panic();
        }
        Work(Box::pin(work(inside, request)))
    }
}

/// How the callers' side saw it.
#[derive(Default)]
struct Tally {
    offered: AtomicU64,
    finished: AtomicU64,
    rejected: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Tally {
    fn note<E>(&self, result: &Result<(), CallError<E>>) {
        match result {
            Err(CallError::Rejected(_)) => count(&self.rejected),
            _ => count(&self.finished),
        }
    }
}

/// Waits for a call, or goes away from it: after some polls, after a time, or with the panic that is in it.
async fn wait_for<F: Future>(rng: &mut Rng, request: Do, call: F) -> Option<F::Output> {
    let call = AssertUnwindSafe(call).catch_unwind();
    let polls = match (request, rng.u8(..5)) {
        (Do::Hang, _) | (_, 0) => rng.u32(1..6),
        (_, 1) => return tokio::time::timeout(Duration::from_millis(1), call).await.ok()?.ok(),
        _ => return call.await.ok(),
    };
    let mut call = pin!(call);
    for _ in 0..polls {
        if let Some(result) = call.as_mut().now_or_never() {
            return result.ok();
        }
        yield_now().await;
    }
    None
}

fn assert_balanced(bulkhead: &Bulkhead, tally: &Tally) {
    let (snapshot, totals) = (bulkhead.snapshot(), bulkhead.totals());
    assert_eq!((snapshot.in_flight, snapshot.queue_depth, snapshot.available()), (0, 0, snapshot.limit));
    let Totals { permitted, rejected_full, timed_out, shed, left_queue, abandoned, .. } = totals;
    assert_eq!(read(&tally.offered), permitted + rejected_full + timed_out + shed + left_queue, "{totals:?}");
    assert_eq!(permitted, read(&tally.finished) + abandoned, "{totals:?}");
    assert!(read(&tally.rejected) <= rejected_full + timed_out + shed, "who had gone was not told: {totals:?}");
}

/// The calls of one task, half of them through the layer.
async fn caller(seed: u64, calls: u32, bulkhead: Bulkhead, gauge: Arc<Gauge>, tally: Arc<Tally>, queue_max: u32) {
    let mut rng = Rng::with_seed(seed);
    let partitions: Vec<_> = bulkhead.config().partitions().map(|(name, _)| name).collect();
    let mut handles: Vec<_> = partitions.into_iter().filter_map(|name| bulkhead.partition(name)).collect();
    handles.push(bulkhead);
    let dependency = Dependency { gauge: Arc::clone(&gauge), is_ready: false, polls: 0 };
    let services: Vec<_> = handles.iter().map(|handle| handle.wrap(dependency.clone())).collect();
    for _ in 0..calls {
        let (which, request) = (rng.usize(..handles.len()), Do::any(&mut rng));
        if rng.bool() {
            let mut service = services[which].clone();
            let Ok(ready) = soon("readiness", service.ready()).await else { panic!("it never fails") };
            count(&tally.offered);
            let Ok(call) = catch_unwind(AssertUnwindSafe(|| ready.call(request))) else { continue };
            if rng.u8(..20) == 0 {
                continue; // never polled
            }
            if let Some(result) = wait_for(&mut rng, request, call).await {
                let is_rejected = result.as_ref().is_err_and(|error| Rejected::find(&**error).is_some());
                count(if is_rejected { &tally.rejected } else { &tally.finished });
            }
        } else {
            count(&tally.offered);
            let gauge = Arc::clone(&gauge);
            let call = handles[which].call(async move { work(Inside::enter(&gauge), request).await });
            if let Some(result) = wait_for(&mut rng, request, call).await {
                tally.note(&result);
            }
        }
        if rng.u8(..8) == 0 {
            assert!(handles[which].snapshot().queue_depth <= queue_max);
        }
    }
}

/// Calls from a thread without a runtime.
fn blocking_caller(seed: u64, calls: u32, bulkhead: &Bulkhead, gauge: &Arc<Gauge>, tally: &Tally) {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..calls {
        count(&tally.offered);
        if rng.bool() {
            let is_panic = rng.u8(..8) == 0;
            let work = || {
                let _inside = Inside::enter(gauge);
                if is_panic { quiet_panic() } else { Ok::<_, io::Error>(()) }
            };
            if let Ok(result) = catch_unwind(AssertUnwindSafe(|| bulkhead.call_blocking(work))) {
                tally.note(&result);
            }
        } else if let Ok(permit) = bulkhead.acquire_blocking(Duration::from_micros(rng.u64(..500))) {
            let inside = Inside::enter(gauge);
            thread::yield_now();
            drop(inside);
            drop(permit);
            count(&tally.finished);
        } else {
            count(&tally.rejected);
        }
    }
}

const TASKS: u64 = 12;
const CALLS: u32 = 3_000;

/// Plays a storm. `limits` are those that it is resized to; the first is the one that it begins with.
fn storm(bulkhead: &Bulkhead, limits: &[u32], seed: u64) -> Arc<Gauge> {
    let (gauge, tally) = (Arc::new(Gauge::default()), Arc::new(Tally::default()));
    let queue_max = bulkhead.config().max_queue();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    thread::scope(|scope| {
        for thread in 0..2 {
            let (gauge, tally) = (&gauge, &tally);
            scope.spawn(move || blocking_caller(seed + 100 + thread, CALLS, bulkhead, gauge, tally));
        }
        runtime.block_on(async {
            let task = |task| {
                let (bulkhead, gauge, tally) = (bulkhead.clone(), Arc::clone(&gauge), Arc::clone(&tally));
                tokio::spawn(caller(seed + task, CALLS, bulkhead, gauge, tally, queue_max))
            };
            let mut tasks: Vec<_> = (0..TASKS).map(task).collect();
            let mut rng = Rng::with_seed(seed + 99);
            while tasks.iter().any(|task| !task.is_finished()) {
                bulkhead.resize(*rng.choice(limits).unwrap(), "storm").unwrap();
                tokio::time::sleep(Duration::from_micros(200)).await; // the pace of resizing, nothing waits for it
            }
            for task in tasks.drain(..) {
                task.await.expect("a task that panics has found something");
            }
        });
    });
    drop(runtime);
    assert_balanced(bulkhead, &tally);
    assert_eq!(gauge.now.load(Ordering::SeqCst), 0);
    let most = gauge.most.load(Ordering::SeqCst);
    let largest = u64::from(*limits.iter().max().unwrap());
    assert!(most <= largest, "{most} at once with a limit of {largest}");
    println!("{most} at once, {:?}", bulkhead.totals());
    gauge
}

#[test]
fn everything_adds_up_after_a_storm_without_a_queue() {
    let bulkhead = Bulkhead::builder("storm").max_concurrent_calls(3).build().unwrap();
    let gauge = storm(&bulkhead, &[3], 1);
    assert_eq!(gauge.most.load(Ordering::SeqCst), 3, "the storm is one only if it fills the bulkhead");
    storm(&bulkhead_with_limits(4), &[4, 1, 9], 200);
}

fn bulkhead_with_limits(limit: u32) -> Bulkhead {
    Bulkhead::builder("storm").max_concurrent_calls(limit).build().unwrap()
}

#[test]
fn everything_adds_up_after_a_storm_with_a_queue() {
    for order in [QueueOrder::Fifo, QueueOrder::Lifo] {
        let bulkhead = Bulkhead::builder("storm")
            .max_concurrent_calls(3)
            .max_wait(Duration::from_millis(3))
            .max_queue(6)
            .queue_order(order)
            .build()
            .unwrap();
        storm(&bulkhead, &[3, 1, 5], 300);
        let totals = bulkhead.totals();
        assert!(totals.rejected_full > 0 && totals.left_queue > 0, "{totals:?}");
    }
}

#[test]
fn everything_adds_up_after_a_storm_over_partitions_with_shedding() {
    let bulkhead = Bulkhead::builder("storm")
        .max_concurrent_calls(4)
        .max_wait(Duration::from_millis(10))
        .max_queue(8)
        .shedding(Shedding::new().target(Duration::from_micros(500)).interval(Duration::from_millis(2)))
        .partition("a", 0.5)
        .partition("b", 0.25)
        .max_hold(Duration::from_secs(3_600))
        .build()
        .unwrap();
    storm(&bulkhead, &[4, 2, 6], 400);
    for name in ["a", "b"] {
        let (in_flight, _) = bulkhead.partition(name).unwrap().partition_permits().unwrap();
        assert_eq!(in_flight, 0);
    }
}

#[test]
fn a_runtime_that_shuts_down_with_calls_in_flight_and_in_line_takes_no_permit_with_it() {
    let bulkhead = Bulkhead::builder("shutdown")
        .max_concurrent_calls(10)
        .max_wait(Duration::from_secs(3_600))
        .max_queue(1_000)
        .build()
        .unwrap();
    for round in 1..=3 {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
        for _ in 0..100 {
            let bulkhead = bulkhead.clone();
            runtime.spawn(async move { bulkhead.call(pending::<io::Result<()>>()).await });
        }
        let all_are_there = || (bulkhead.snapshot().in_flight, bulkhead.snapshot().queue_depth) == (10, 90);
        runtime.block_on(eventually("ten are in flight, the others wait", all_are_there));
        drop(runtime);
        let (snapshot, totals) = (bulkhead.snapshot(), bulkhead.totals());
        assert_eq!((snapshot.in_flight, snapshot.queue_depth, snapshot.available()), (0, 0, 10));
        assert_eq!(totals.permitted + totals.left_queue, 100 * round);
        assert_eq!(totals.abandoned, totals.permitted, "those that were handed a permit while it went down as well");
    }
    assert!(bulkhead.try_acquire().is_ok());
}
