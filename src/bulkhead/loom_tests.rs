//! Models of two or three threads, one property each. `circuit_breaker/loom_tests` says how they are run.

use super::acquire::Place;
use super::admission::{Entry, Wait, enter, poll_answer};
use super::event::Event;
use super::handle::Bulkhead;
use super::permit::Permit;
use crate::clock::Clock;
use crate::sync::Arc;
use loom::thread;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

const LONG: Wait = Wait::Within(Duration::from_secs(60));

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.max_branches = 100_000;
    builder.check(run);
}

fn bulkhead(limit: u32) -> Bulkhead {
    let (clock, _) = Clock::manual();
    Bulkhead::builder("loom").clock(clock).max_concurrent_calls(limit).build().expect("valid settings")
}

/// Notes that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Calls in flight now, counted by the calls themselves; outside of loom, so that it orders nothing.
#[derive(Default)]
struct Inside(AtomicU32);

impl Inside {
    fn visit(&self, limit: u32, permit: Permit) {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) < limit, "more in flight than the limit");
        thread::yield_now();
        self.0.fetch_sub(1, Ordering::SeqCst);
        drop(permit);
    }
}

#[test]
fn loom_never_more_in_flight_than_the_limit_and_every_permit_comes_back() {
    model(|| {
        let (bulkhead, inside) = (bulkhead(1), Arc::new(Inside::default()));
        let threads = [(), ()].map(|()| {
            let (bulkhead, inside) = (bulkhead.clone(), Arc::clone(&inside));
            thread::spawn(move || bulkhead.try_acquire().is_ok_and(|permit| inside.visit(1, permit) == ()))
        });
        let admitted = threads.map(|thread| thread.join().unwrap()).into_iter().filter(|&admitted| admitted).count();
        let (totals, snapshot) = (bulkhead.totals(), bulkhead.snapshot());
        assert!(admitted >= 1, "with nobody in it, a call is let in");
        assert_eq!((totals.permitted + totals.rejected_full, snapshot.in_flight), (2, 0));
    });
}

#[test]
fn loom_no_call_that_comes_after_a_shrink_goes_by_the_old_limit() {
    model(|| {
        let bulkhead = bulkhead(2);
        let held = bulkhead.try_acquire().unwrap();
        let shrinking = bulkhead.clone();
        let shrink = thread::spawn(move || {
            shrinking.resize(1, "").unwrap();
            let before = shrinking.snapshot().in_flight;
            thread::yield_now();
            assert!(shrinking.snapshot().in_flight <= before, "it grew after the limit shrank");
        });
        let late = bulkhead.try_acquire();
        shrink.join().unwrap();
        drop((held, late));
        assert_eq!(bulkhead.snapshot().in_flight, 0);
    });
}

#[test]
fn loom_a_permit_that_comes_back_while_a_call_begins_to_wait_is_not_lost() {
    model(|| {
        let bulkhead = bulkhead(1);
        let held = bulkhead.try_acquire().unwrap();
        let release = thread::spawn(move || drop(held));
        let woken = std::sync::Arc::new(Woken::default());
        let entry = enter(&bulkhead, LONG, || true);
        if let Entry::Queued(id) = entry {
            let pending = poll_answer(&bulkhead, id, &Waker::from(woken.clone())).is_err();
            release.join().unwrap();
            if pending {
                assert!(woken.0.load(Ordering::SeqCst), "nobody woke it");
                assert!(poll_answer(&bulkhead, id, Waker::noop()).unwrap().result.is_ok());
            }
        } else {
            release.join().unwrap();
        }
        assert_eq!(bulkhead.snapshot().in_flight, 1);
    });
}

#[test]
fn loom_a_caller_that_leaves_while_it_is_given_a_permit_hands_it_on() {
    model(|| {
        let bulkhead = bulkhead(1);
        let held = bulkhead.try_acquire().unwrap();
        let queued = || match enter(&bulkhead, LONG, || true) {
            Entry::Queued(id) => Place::new(bulkhead.clone(), id),
            other => panic!("it is full: {other:?}"),
        };
        let (first, second) = (queued(), queued());
        let leave = thread::spawn(move || drop(first));
        drop(held);
        leave.join().unwrap();
        assert_eq!((bulkhead.snapshot().in_flight, bulkhead.snapshot().queue_depth), (1, 0), "the second has it");
        drop(second);
        let totals = bulkhead.totals();
        assert_eq!(bulkhead.snapshot().in_flight, 0);
        assert_eq!(totals.permitted + totals.left_queue, 3);
        assert_eq!(totals.abandoned, totals.permitted - 1, "only the held one finished");
    });
}

#[test]
fn loom_a_call_that_waits_is_served_whatever_another_does() {
    model(|| {
        let bulkhead = bulkhead(1);
        let held = bulkhead.try_acquire().unwrap();
        let waiting = bulkhead.clone();
        let wait = thread::spawn(move || {
            match enter(&waiting, LONG, || true) {
                Entry::Permit(ticket) => drop(Permit::new(waiting, ticket)),
                Entry::Queued(id) => drop(Place::new(waiting, id)), // leaves, or gives back what it was given
                Entry::Rejected(rejected) => panic!("there is room in the queue: {rejected}"),
            }
        });
        let entry = enter(&bulkhead, LONG, || true);
        drop(held);
        wait.join().unwrap();
        if let Entry::Queued(id) = entry {
            assert!(poll_answer(&bulkhead, id, Waker::noop()).unwrap().result.is_ok());
        }
        assert_eq!((bulkhead.snapshot().in_flight, bulkhead.snapshot().queue_depth), (1, 0));
    });
}

#[test]
fn loom_a_permit_taken_away_and_given_back_at_once_is_counted_back_once() {
    model(|| {
        let bulkhead = bulkhead(2);
        let held = bulkhead.try_acquire().unwrap();
        let release = thread::spawn(move || drop(held));
        bulkhead.reset_in_flight("model");
        let after = bulkhead.try_acquire().unwrap();
        release.join().unwrap();
        assert_eq!(bulkhead.snapshot().in_flight, 1);
        drop(after);
        let totals = bulkhead.totals();
        assert_eq!((bulkhead.snapshot().in_flight, totals.permitted), (0, 2));
        assert_eq!(totals.abandoned, totals.revoked);
    });
}

#[test]
fn loom_two_first_rejections_are_one_event() {
    model(|| {
        let bulkhead = bulkhead(1);
        let events = Arc::new(AtomicU32::new(0));
        let heard = Arc::clone(&events);
        bulkhead
            .subscribe(move |event| {
                assert!(matches!(event, Event::Saturated { .. }));
                heard.fetch_add(1, Ordering::SeqCst);
            })
            .forever();
        let _held = bulkhead.try_acquire().unwrap();
        let other = bulkhead.clone();
        let rejected = thread::spawn(move || assert!(other.try_acquire().is_err()));
        assert!(bulkhead.try_acquire().is_err());
        rejected.join().unwrap();
        assert_eq!((events.load(Ordering::SeqCst), bulkhead.totals().rejected_full), (1, 2));
    });
}

// ---- permits in reserve: with a limit of 4 on a line that all threads share, with 8 on two lines

#[test]
fn loom_reserves_are_recalled_before_a_call_is_rejected_and_none_is_given_twice() {
    model(|| {
        let bulkhead = bulkhead(4);
        let first = bulkhead.try_acquire().unwrap();
        let other = bulkhead.clone();
        let take_two = thread::spawn(move || [other.try_acquire().ok(), other.try_acquire().ok()]);
        let taken = [bulkhead.try_acquire().ok(), bulkhead.try_acquire().ok()];
        let held: Vec<_> = taken.into_iter().chain(take_two.join().unwrap()).flatten().collect();
        assert_eq!((held.len(), bulkhead.snapshot().in_flight), (3, 4), "one of five is rejected");
        assert_eq!((bulkhead.totals().permitted, bulkhead.totals().rejected_full), (4, 1));
        drop((first, held));
        assert_eq!(bulkhead.snapshot().in_flight, 0);
    });
}

#[test]
fn loom_a_reserve_that_is_taken_while_it_is_recalled_counts_once() {
    model(|| {
        let bulkhead = bulkhead(4);
        drop(bulkhead.try_acquire().unwrap()); // two in reserve
        let other = bulkhead.clone();
        let recall = thread::spawn(move || other.snapshot().in_flight);
        let taken = bulkhead.try_acquire().unwrap();
        drop(taken);
        let held = bulkhead.try_acquire().unwrap();
        assert!(recall.join().unwrap() <= 1);
        assert_eq!((bulkhead.snapshot().in_flight, bulkhead.totals().permitted), (1, 3));
        drop(held);
        assert_eq!(bulkhead.snapshot().in_flight, 0);
    });
}

#[test]
fn loom_a_permit_that_another_thread_returns_is_not_lost() {
    model(|| {
        let bulkhead = bulkhead(8);
        let [first, second] = [bulkhead.try_acquire().unwrap(), bulkhead.try_acquire().unwrap()];
        let other = bulkhead.clone();
        let release = thread::spawn(move || {
            drop(first);
            other.try_acquire().unwrap()
        });
        drop(second);
        let third = bulkhead.try_acquire().unwrap();
        let held = release.join().unwrap();
        let rest: Vec<_> = (0..6).map(|_| bulkhead.try_acquire().expect("two are in flight")).collect();
        assert!(bulkhead.try_acquire().is_err());
        drop((third, held, rest));
        assert_eq!((bulkhead.snapshot().in_flight, bulkhead.totals().permitted), (0, 10));
    });
}

#[test]
fn loom_a_permit_that_comes_back_to_a_line_while_a_call_begins_to_wait_is_not_lost() {
    model(|| {
        let bulkhead = bulkhead(4);
        let first = bulkhead.try_acquire().unwrap();
        let release = thread::spawn(move || drop(first));
        let held = [(), (), ()].map(|()| bulkhead.try_acquire().expect("at most four are in flight"));
        let woken = std::sync::Arc::new(Woken::default());
        let entry = enter(&bulkhead, LONG, || true);
        if let Entry::Queued(id) = entry {
            let pending = poll_answer(&bulkhead, id, &Waker::from(woken.clone())).is_err();
            release.join().unwrap();
            if pending {
                assert!(woken.0.load(Ordering::SeqCst), "nobody woke it");
                assert!(poll_answer(&bulkhead, id, Waker::noop()).unwrap().result.is_ok());
            }
        } else {
            release.join().unwrap();
        }
        drop(held);
        assert_eq!(bulkhead.snapshot().in_flight, 1);
    });
}

#[test]
fn loom_a_permit_in_reserve_is_not_taken_after_the_limit_shrank() {
    model(|| {
        let bulkhead = bulkhead(8);
        let held = bulkhead.try_acquire().unwrap();
        let shrinking = bulkhead.clone();
        let shrink = thread::spawn(move || {
            shrinking.resize(1, "").unwrap();
            let before = shrinking.snapshot().in_flight;
            thread::yield_now();
            assert!(shrinking.snapshot().in_flight <= before, "it grew after the limit shrank");
        });
        let late = bulkhead.try_acquire();
        shrink.join().unwrap();
        drop((held, late));
        assert_eq!(bulkhead.snapshot().in_flight, 0);
    });
}

#[test]
fn loom_a_permit_that_is_revoked_while_it_returns_to_a_line_returns_once() {
    model(|| {
        let bulkhead = bulkhead(4);
        let held = bulkhead.try_acquire().unwrap();
        let release = thread::spawn(move || drop(held));
        bulkhead.reset_in_flight("model");
        let after = bulkhead.try_acquire().unwrap();
        release.join().unwrap();
        assert_eq!(bulkhead.snapshot().in_flight, 1);
        drop(after);
        assert_eq!((bulkhead.snapshot().in_flight, bulkhead.totals().permitted), (0, 2));
    });
}
