//! Mechanisms by name: declared ones fail their check, and unknown names are told at once.

use crate::probes::builder;
use backstop::bulkhead::keyed::KeyedBulkhead;
use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
use backstop::health::{Check, Reason, Role, Status};
use backstop::kill_switch::{KillSwitches, OnUnknown, Scope};
use backstop::{Bulkhead, CircuitBreaker, Health, Registry};
use std::time::Duration;

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The state of each readiness check.
fn shown(health: &Health) -> Vec<(Status, Option<Reason>)> {
    health.report(Role::Readiness).checks.iter().map(|check| (check.status, check.reason)).collect()
}

#[test]
fn a_name_that_the_registry_lacks_and_a_group_are_errors_of_the_build() {
    let registry = Registry::new();
    registry.add(CircuitBreaker::new("payments")).unwrap();
    registry.add(KeyedCircuitBreaker::<u32>::builder("hosts").build().unwrap()).unwrap();
    registry.add(KeyedBulkhead::<u32>::builder("tenants").build().unwrap()).unwrap();
    let error = Health::builder()
        .registry(&registry)
        .readiness(Check::circuit_breaker("payments"))
        .readiness(Check::circuit_breaker("paymnets"))
        .readiness(Check::circuit_breaker("hosts"))
        .readiness(Check::bulkhead("tenants"))
        .readiness(Check::queue("payments", 0))
        .readiness(Check::kill_switch("checkout"))
        .deep(Check::kill_switches("shop"))
        .build()
        .unwrap_err();
    let told: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    let group = "in the registry; a group of keys has no single state";
    assert_eq!(
        told,
        [
            format!("circuit_breaker: \"paymnets\" is not allowed, must be the name of a circuit breaker {group}"),
            format!("circuit_breaker: \"hosts\" is not allowed, must be the name of a circuit breaker {group}"),
            format!("bulkhead: \"tenants\" is not allowed, must be the name of a bulkhead {group}"),
            "queue:payments.depth: 0 is not allowed, must be 1 or more".to_owned(),
            format!("queue: \"payments\" is not allowed, must be the name of a bulkhead {group}"),
            "kill_switch: \"checkout\" is not allowed, must be the name of a switch of kill switches in the registry"
                .to_owned(),
            "kill_switches: \"shop\" is not allowed, must be the name of a set of kill switches in the registry"
                .to_owned(),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_is_removed_fails_by_name_and_its_successor_is_found() {
    let registry = Registry::new();
    registry.add(CircuitBreaker::new("payments")).unwrap();
    let check = Check::circuit_breaker("payments");
    let health = builder().registry(&registry).readiness(check).build().unwrap();
    tokio::spawn(health.run());
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Passing, None)]);
    registry.remove("payments");
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Failing, Some(Reason::NotRegistered))]);
    registry.add(CircuitBreaker::new("payments")).unwrap().force_open("test");
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Failing, Some(Reason::CircuitOpen))]);
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_is_full_and_its_queue_long_for_ten_seconds() {
    let registry = Registry::new();
    let orders = Bulkhead::builder("orders").max_concurrent_calls(2).max_wait(Duration::from_secs(600)).max_queue(5);
    let orders = registry.add(orders.clock(backstop::clock::Clock::tokio()).build().unwrap()).unwrap();
    let health = builder()
        .registry(&registry)
        .readiness(Check::bulkhead("orders"))
        .readiness(Check::queue("orders", 1))
        .build()
        .unwrap();
    tokio::spawn(health.run());
    let permits = [orders.try_acquire().unwrap(), orders.try_acquire().unwrap()];
    let waits = tokio::spawn(async move { orders.acquire().await.map(drop) });
    seconds(8).await;
    let full = |status| [(status, Some(Reason::BulkheadFull)), (status, Some(Reason::QueueTooLong))];
    assert_eq!(shown(&health), full(Status::Pending));
    seconds(4).await;
    assert_eq!(shown(&health), full(Status::Failing));
    drop(permits);
    assert!(waits.await.unwrap().is_ok());
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Passing, None), (Status::Passing, None)]);
}

#[tokio::test(start_paused = true)]
async fn a_switch_counts_where_it_is_engaged_for_all() {
    let registry = Registry::new();
    let (switches, control) = KillSwitches::manual();
    let switches = registry.add(switches).unwrap();
    let _checkout = switches.switch("checkout", OnUnknown::Allow).unwrap();
    let _other = switches.switch("other", OnUnknown::Allow).unwrap();
    let health = builder()
        .registry(&registry)
        .readiness(Check::kill_switch("checkout"))
        .deep(Check::kill_switches(switches.name()))
        .build()
        .unwrap();
    tokio::spawn(health.run());
    control.engage("other");
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Passing, None)], "nothing is fatal that was not declared");
    control.engage_for("checkout", Scope::new().tenant("acme"));
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Passing, None)]);
    control.engage("checkout");
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Failing, Some(Reason::SwitchEngaged))]);
    control.release("checkout");
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Passing, None)]);
}

#[tokio::test(start_paused = true)]
async fn warnings_of_the_switches_alert_with_their_text_in_the_log_alone() {
    let registry = Registry::new();
    let switches = registry.add(KillSwitches::builder("shop").build().unwrap()).unwrap();
    let _undefined = switches.switch("recs", OnUnknown::Allow).unwrap();
    let check = Check::kill_switches("shop").failure_threshold(1);
    let health = builder().registry(&registry).deep(check).build().unwrap();
    let (sender, heard) = std::sync::mpsc::channel();
    let _subscription = health.subscribe(move |event| drop(sender.send(event.clone())));
    tokio::spawn(health.run());
    seconds(1).await;
    let event = heard.recv().unwrap();
    assert_eq!(event.reason, Some(Reason::Warnings));
    assert!(event.error.is_some_and(|error| error.contains("recs is unknown")));
    assert!(health.is_ready());
}
