//! What a request pays for a kill switch: nothing on the heap while it is let through.

use allocation_counter::measure;
use backstop::kill_switch::{KillSwitch, KillSwitches, OnUnknown, Scope, Target};
use backstop::{BoxError, Rejected};
use futures_util::FutureExt;
use std::convert::Infallible;
use std::future::{Ready, ready};
use tower::{Layer, Service, service_fn};

const CALLS: u64 = 1_000;

fn echo(number: u64) -> Ready<Result<u64, Infallible>> {
    ready(Ok(number))
}

/// Allocations of many calls, after one that does not count.
fn allocations(mut call: impl FnMut()) -> u64 {
    call();
    measure(|| (0..CALLS).for_each(|_| call())).count_total
}

fn call<S: Service<u64>>(service: &mut S) -> Result<S::Response, S::Error> {
    service.call(1).now_or_never().expect("it answers at once")
}

fn globex() -> Target<'static> {
    Target::new().route("/recommendations").tenant("globex").region("eu").audience("beta").key("user-17")
}

#[test]
fn a_released_switch_allocates_nothing() {
    let (switches, hand) = KillSwitches::manual();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    hand.release("recs");
    let layer = recs.layer().target(|_: &u64| panic!("a released switch asks nothing of a request"));
    let mut answers = layer.clone().respond_with(|_: &Rejected| 0).layer(service_fn(echo));
    assert_eq!(allocations(|| assert_eq!(call(&mut answers), Ok(1))), 0, "a layer");
    let mut fails = layer.as_error().layer(service_fn(echo));
    assert_eq!(allocations(|| assert!(call(&mut fails).is_ok())), 0, "a layer with an error of its own");
    assert_eq!(allocations(|| assert!(recs.check(&globex()).is_ok())), 0, "a handle");
}

#[test]
fn sixteen_switches_that_are_engaged_for_others_allocate_nothing() {
    let (switches, hand) = KillSwitches::manual();
    let scopes = [
        Scope::new().tenant("acme"),
        Scope::new().route("/search"),
        Scope::new().region("us").percent(50.0),
        Scope::new().percent(0.0001),
    ];
    let many: Vec<KillSwitch> = (0..16)
        .map(|number| {
            let id = format!("switch-{number}");
            hand.engage_for(&id, scopes[number % scopes.len()].clone());
            switches.switch(&id, OnUnknown::Allow).unwrap()
        })
        .collect();
    assert!(many.iter().all(KillSwitch::is_engaged));
    let check = || assert!(many.iter().all(|switch| switch.check(&globex()).is_ok()));
    assert_eq!(allocations(check), 0);
}

#[test]
fn an_engaged_switch_allocates_nothing_but_the_error_that_it_boxes() {
    let (switches, hand) = KillSwitches::manual();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    hand.engage("recs");
    assert_eq!(allocations(|| assert!(recs.check(&globex()).is_err())), 0, "a handle");
    let mut answers = recs.layer().respond_with(|_: &Rejected| 0).layer(service_fn(echo));
    assert_eq!(allocations(|| assert_eq!(call(&mut answers), Ok(0))), 0, "a layer that responds");
    let mut fails = recs.layer().as_error().layer(service_fn(|number| {
        let answer: Ready<Result<u64, BoxError>> = ready(Ok(number));
        answer
    }));
    assert_eq!(allocations(|| assert!(call(&mut fails).is_err())), CALLS, "a layer that fails");
}
