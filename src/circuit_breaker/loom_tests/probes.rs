//! As many probes as there are places, whatever comes and however they end.

use super::{about_to_probe, admitted, breaker, join, listen, model, spawn};
use crate::circuit_breaker::config::PanicPolicy;
use crate::circuit_breaker::permit::Permit;
use crate::circuit_breaker::state::State;
use crate::circuit_breaker::window::kind::SlidingWindow;
use crate::outcome::Settle;
use loom::thread;
use std::time::Duration;

#[test]
fn no_more_probes_than_places_when_the_open_time_ends() {
    model(2, || {
        let (breaker, _time) = about_to_probe(2);
        let told = listen(&breaker);
        let threads = [(); 2].map(|()| spawn(&breaker, |breaker| breaker.try_acquire().ok()));
        let mut probes = vec![breaker.try_acquire().ok()];
        probes.extend(join(threads));
        assert_eq!(probes.iter().flatten().count(), 2);
        assert_eq!(told.lock().unwrap().len(), 1, "one transition, whoever came first");
    });
}

#[test]
fn a_probe_without_a_result_gives_its_place_back_once() {
    let ends: [fn(Permit); 3] = [drop, Permit::ignore, |mut permit| permit.panicked()];
    for end in ends {
        model(5, move || {
            let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| builder.on_panic(PanicPolicy::Ignore));
            breaker.probe("model");
            let probe = admitted(&breaker);
            let gives_back = thread::spawn(move || end(probe));
            let asks = spawn(&breaker, |breaker| breaker.try_acquire().ok());
            gives_back.join().unwrap();
            let taken = asks.join().unwrap();
            let more: Vec<_> = (0..2).filter_map(|_| breaker.try_acquire().ok()).collect();
            assert_eq!(usize::from(taken.is_some()) + more.len(), 1);
        });
    }
}

#[test]
fn a_probe_of_an_earlier_round_frees_no_place_of_this_one() {
    model(5, || {
        let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| builder);
        breaker.probe("model");
        let stale = admitted(&breaker);
        let gives_back = thread::spawn(move || drop(stale));
        let begins = spawn(&breaker, |breaker| {
            breaker.probe("model");
            breaker.try_acquire()
        });
        gives_back.join().unwrap();
        let probe = begins.join().unwrap();
        assert!(probe.is_ok());
        assert!(breaker.try_acquire().is_err(), "the round has one place, and it is taken");
    });
}

#[test]
fn one_decision_ends_a_round() {
    model(5, || {
        let (breaker, _time) = about_to_probe(2);
        let told = listen(&breaker);
        let probes = [admitted(&breaker), admitted(&breaker)];
        let threads = probes.map(|probe| thread::spawn(move || probe.failure()));
        join(threads);
        let states: Vec<_> = told.lock().unwrap().iter().map(|event| event.details().to).collect();
        assert_eq!(states, [State::HalfOpen, State::Open]);
    });
}

#[test]
fn the_time_in_half_open_ends_once() {
    model(2, || {
        let (breaker, time) = about_to_probe(1);
        let hung = admitted(&breaker);
        let told = listen(&breaker);
        time.advance(Duration::from_secs(60)); // the default
        let threads = [
            spawn(&breaker, |breaker| assert_ne!(breaker.state(), State::HalfOpen)),
            spawn(&breaker, |breaker| drop(breaker.try_acquire())),
            thread::spawn(move || hung.success()),
        ];
        join(threads);
        let states: Vec<_> = told.lock().unwrap().iter().map(|event| event.details().to).collect();
        assert_eq!(states, [State::Open]);
        assert_eq!(breaker.totals().stale, 1);
    });
}
