//! Shadow mode: what an armed circuit would have done is told, incident by incident.

use crate::scene;

use backstop::circuit_breaker::{Event, Reason, RetryAfterPolicy, State};
use backstop::outcome::{Classification, Outcome};
use scene::{breaker, events, fail, succeed};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn reasons(events: &std::sync::Mutex<Vec<Event>>) -> Vec<Reason> {
    let events = events.lock().unwrap();
    let told = events.iter().filter(|event| matches!(event, Event::WouldOpen(_)));
    told.map(|event| event.details().reason).collect()
}

#[test]
fn three_incidents_an_hour_apart_are_three_events() {
    let (breaker, time) = breaker(|builder| builder.initial_state(State::Shadow));
    let events = events(&breaker);
    for incident in 1..=3 {
        fail(&breaker, 20);
        assert_eq!(reasons(&events).len(), incident);
        succeed(&breaker, 20);
        time.advance(HOUR);
    }
}

#[test]
fn an_incident_that_goes_on_is_one_event() {
    let (breaker, time) = breaker(|builder| builder.initial_state(State::Shadow));
    let events = events(&breaker);
    for _ in 0..600 {
        fail(&breaker, 5);
        time.advance(Duration::from_secs(6));
    }
    assert_eq!(reasons(&events), [Reason::FailureRate]);
}

#[test]
fn a_dependency_that_asks_to_be_left_alone_is_told_too() {
    let (breaker, time) =
        breaker(|builder| builder.initial_state(State::Shadow).retry_after(RetryAfterPolicy::OpensAtOnce));
    let events = events(&breaker);
    let overloaded = || {
        let classification = Classification::new(Outcome::Failure).with_retry_after(Duration::from_secs(30));
        breaker.try_acquire().expect("a shadow rejects nothing").end(classification);
    };
    for incident in 1..=3 {
        overloaded();
        overloaded();
        let told = reasons(&events).into_iter().filter(|reason| *reason == Reason::RetryAfter).count();
        assert_eq!(told, incident);
        succeed(&breaker, 20);
        time.advance(HOUR);
    }
    let before = breaker.totals().would_reject;
    overloaded();
    time.advance(Duration::from_secs(29));
    succeed(&breaker, 1);
    time.advance(Duration::from_secs(1));
    succeed(&breaker, 1);
    assert_eq!(breaker.totals().would_reject - before, 1, "for the time that was asked");
}
