//! What happens while the breaker runs somebody else's code: group E of the fault catalogue.
//!
//! Not here: E4 and E5, recorders, in `isolated/recorders.rs`; E7, no timers and no tasks, in `field_defects.rs`;
//! E8 is a lint that the build denies.

use crate::scene;

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{OpenTime, SlidingWindow, State};
use backstop::{CircuitBreaker, Outcome, Rejected};
use scene::{
    Do, Failure, OPEN_TIME, about_to_probe, breaker, call, events, fail, guarded, panics, path, quiet_panic, succeed,
    try_now,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, LazyLock, Mutex};
use std::thread;
use std::time::Duration;
use tower::{Layer, service_fn};

// ---- E1: callbacks that use the breaker

/// A listener that waits for another thread which needs the breaker: no lock may be held meanwhile.
#[test]
fn e1_no_lock_is_held_while_a_listener_runs() {
    let (breaker, time) = breaker(|builder| builder);
    let handle = breaker.clone();
    breaker
        .subscribe(move |_| {
            let other = handle.clone();
            let everything = move || {
                other.publish();
                other.reconfigure((*other.config()).clone());
                drop((other.try_acquire(), other.state(), other.subscribe(|_| {})));
            };
            thread::spawn(everything).join().unwrap();
        })
        .forever();
    about_to_probe(&breaker, &time);
    succeed(&breaker, 1);
    breaker.force_open("test");
    assert_eq!(breaker.state(), State::ForcedOpen);
}

#[test]
fn e1_a_listener_may_cancel_its_own_subscription_and_that_of_others() {
    let (breaker, _) = breaker(|builder| builder);
    let heard = Arc::new(AtomicU64::new(0));
    let subscriptions = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..2 {
        let (heard, cancel) = (Arc::clone(&heard), Arc::clone(&subscriptions));
        let subscription = breaker.subscribe(move |_| {
            heard.fetch_add(1, Ordering::Relaxed);
            let cancelled = std::mem::take(&mut *cancel.lock().unwrap());
            drop(cancelled);
        });
        subscriptions.lock().unwrap().push(subscription);
    }
    breaker.force_open("test");
    breaker.reset("test");
    assert_eq!(heard.load(Ordering::Relaxed), 2, "both heard the event that was being delivered, and no other");
}

#[test]
fn e1_other_callbacks_may_use_the_breaker_as_well() {
    static CIRCUIT: LazyLock<CircuitBreaker> = LazyLock::new(|| {
        let open_time = OpenTime::from_fn(|_, evidence| {
            assert_eq!(CIRCUIT.snapshot().failed, evidence.failed);
            CIRCUIT.retry_after().unwrap_or(OPEN_TIME)
        });
        breaker(|builder| builder.open_time(open_time)).0
    });
    let judge = |result: &Result<u8, Failure>| {
        CIRCUIT.totals();
        if result.is_ok() { Outcome::Success } else { Outcome::Failure }
    };
    let answer = |rejected: &Rejected| {
        assert_eq!(CIRCUIT.retry_after(), rejected.retry_after());
        CIRCUIT.reset("the answer to a rejection says so");
        0
    };
    let failing = service_fn(async |()| Err(Failure::Broken));
    let mut service = CIRCUIT.layer().classify(judge).respond_with(answer).layer(failing);
    let results = [(), (), ()].map(|()| try_now(&mut service, ()).unwrap());
    assert_eq!(results, [Err(Failure::Broken), Err(Failure::Broken), Ok(0)]);
    assert_eq!(CIRCUIT.state(), State::Closed);
}

// ---- E2: order

#[test]
fn e2_events_of_many_threads_arrive_in_the_order_in_which_the_state_changed() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 100; // fewer events than may wait for a listener
    type Set = fn(&CircuitBreaker);
    let sets: [Set; THREADS] = [
        |breaker| breaker.force_open("test"),
        |breaker| breaker.disable("test"),
        |breaker| breaker.probe("test"),
        |breaker| breaker.trip("test"),
    ];
    let (breaker, _) = breaker(|builder| builder);
    let told = events(&breaker);
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for set in sets {
            let (breaker, start) = (&breaker, &start);
            scope.spawn(move || {
                start.wait();
                for _ in 0..ROUNDS {
                    set(breaker);
                    breaker.reset("test");
                }
            });
        }
    });
    let (told, mut state) = (told.lock().unwrap(), State::Closed);
    for (event, number) in told.iter().zip(1..) {
        let details = event.details();
        assert_eq!((details.sequence, details.from), (number, state));
        state = details.to;
    }
    assert_eq!(state, breaker.state());
    assert!(told.len() > ROUNDS);
}

#[test]
fn e2_nothing_arrives_after_the_subscription_has_ended() {
    let (breaker, _) = breaker(|builder| builder);
    let heard = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&heard);
    let subscription = breaker.subscribe(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    breaker.force_open("test");
    drop(subscription);
    breaker.reset("test");
    assert_eq!((heard.load(Ordering::Relaxed), Arc::strong_count(&heard)), (1, 1), "and the listener is gone");
}

// ---- E3: listeners that panic or block

#[test]
fn e3_a_listener_that_panics_harms_no_call_and_no_other_listener_and_is_counted() {
    let (breaker, time) = breaker(|builder| builder);
    breaker.subscribe(|_| quiet_panic()).forever();
    let told = events(&breaker);
    about_to_probe(&breaker, &time);
    succeed(&breaker, 1);
    assert_eq!((path(&told).len(), breaker.totals().events_lost), (3, 3));
}

/// What a panic carries may itself panic when it is dropped.
#[test]
fn e3_a_panic_that_panics_again_as_it_is_dropped_stops_there_as_well() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            quiet_panic()
        }
    }
    let (breaker, time) = breaker(|builder| builder);
    breaker.subscribe(|_| std::panic::resume_unwind(Box::new(Bomb))).forever();
    let told = events(&breaker);
    about_to_probe(&breaker, &time);
    succeed(&breaker, 1);
    assert_eq!((path(&told).len(), breaker.totals().events_lost), (3, 3));
}

/// A breaker with a listener that blocks on its first event, until something is sent; and the thread it blocks.
fn blocked(breaker: &CircuitBreaker) -> (impl FnOnce() + use<>, thread::JoinHandle<()>) {
    let (release, wait) = channel();
    let (blocks, is_blocked) = channel();
    let wait: Mutex<Receiver<()>> = Mutex::new(wait);
    breaker
        .subscribe(move |_| {
            if blocks.send(()).is_ok() {
                let _ = wait.lock().unwrap().recv();
            }
        })
        .forever();
    let handle = breaker.clone();
    let thread = thread::spawn(move || handle.force_open("the first event"));
    is_blocked.recv().unwrap();
    drop(is_blocked); // the events after it do not block
    (move || drop(release), thread)
}

#[test]
fn e3_a_listener_that_blocks_holds_up_its_own_thread_and_nobody_else() {
    let (breaker, _) = breaker(|builder| builder);
    let told = events(&breaker);
    let (release, thread) = blocked(&breaker);
    breaker.reset("test");
    succeed(&breaker, 10);
    fail(&breaker, 1);
    assert!(breaker.try_acquire().is_err());
    assert_eq!((breaker.state(), breaker.totals().successful), (State::Open, 10));
    release();
    thread.join().unwrap();
    let states: Vec<State> = path(&told).into_iter().map(|(_, to, _)| to).collect();
    assert_eq!(states, [State::ForcedOpen, State::Closed, State::Open], "all in order in the end");
}

#[test]
fn e3_what_waits_for_a_blocked_listener_is_bounded_and_what_is_dropped_is_counted() {
    const CHANGES: u64 = 5_000;
    let (breaker, _) = breaker(|builder| builder);
    let told = events(&breaker);
    let (release, thread) = blocked(&breaker);
    for _ in 0..CHANGES / 2 {
        breaker.reset("test");
        breaker.force_open("test");
    }
    release();
    thread.join().unwrap();
    let told = told.lock().unwrap();
    let lost = breaker.totals().events_lost;
    assert!((1..=2_000).contains(&told.len()), "{} were kept", told.len());
    assert_eq!(told.len() as u64 + lost, CHANGES + 1, "the numbers show the gap");
    assert_eq!(told.last().unwrap().details().sequence, CHANGES + 1, "the newest are kept");
}

// ---- E6: nothing is poisoned

#[test]
fn e6_after_a_panic_in_every_callback_the_breaker_works_as_before() {
    let open_time = OpenTime::from_fn(|_, _| quiet_panic());
    let (breaker, time) = breaker(|builder| builder.open_time(open_time));
    breaker.subscribe(|_| quiet_panic()).forever();
    let panicking = |_: &Result<(), Failure>| -> Outcome { quiet_panic() };
    let answer = breaker.layer().classify(panicking).respond_with(|_| quiet_panic());
    let mut answers = answer.layer(scene::Dependency::default());
    let fallback = breaker.layer().classify(panicking).fallback(|_: Do, _| -> Result<(), Failure> { quiet_panic() });
    let mut falls_back = fallback.layer(scene::Dependency::default());
    let recover = breaker.layer().classify(panicking).recover(|_: Result<(), Failure>| quiet_panic());
    let mut recovers = recover.layer(scene::Dependency::default());

    assert!(try_now(&mut answers, Do::Answer).unwrap().is_ok());
    assert!(panics(|| try_now(&mut recovers, Do::Answer)));
    assert_eq!((breaker.state(), breaker.totals().failed), (State::Open, 2), "one failure each");
    assert!(panics(|| try_now(&mut answers, Do::Answer)));
    assert!(panics(|| try_now(&mut falls_back, Do::Answer)));
    assert_eq!(breaker.totals().not_permitted, 2);

    time.advance(Duration::from_secs(60));
    let mut service = guarded(&breaker);
    assert!(try_now(&mut service, Do::Answer).unwrap().is_ok());
    assert_eq!((breaker.state(), breaker.totals().successful), (State::Closed, 1));
}

// ---- E9: more than one of everything

#[test]
fn e9_two_circuits_of_one_name_share_nothing() {
    let [(first, _), (second, _)] = [breaker(|builder| builder), breaker(|builder| builder)];
    fail(&first, 2);
    assert_eq!((first.state(), second.state(), first.name()), (State::Open, State::Closed, second.name()));
    assert!(!first.is_same(&second) && first.is_same(&first.clone()));
}

#[test]
fn e9_one_circuit_serves_two_runtimes_and_threads_without_any() {
    static CIRCUIT: LazyLock<CircuitBreaker> =
        LazyLock::new(|| breaker(|builder| builder.window(SlidingWindow::count(100))).0);
    let in_a_runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut service = guarded(&CIRCUIT);
        for _ in 0..100 {
            runtime.block_on(call(&mut service, Do::Answer)).unwrap();
        }
    };
    let without = || (0..100).for_each(|_| CIRCUIT.try_acquire().map_or_else(drop, Permit::success));
    thread::scope(|scope| {
        scope.spawn(in_a_runtime);
        scope.spawn(in_a_runtime);
        scope.spawn(without);
    });
    assert_eq!(CIRCUIT.totals().successful, 300);
}
