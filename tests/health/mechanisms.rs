//! Checks of mechanisms.

use crate::probes::builder;
use backstop::health::{Check, Reason, Role, Status};
use backstop::kill_switch::{KillSwitches, OnUnknown, Scope};
use backstop::{Bulkhead, Health};
use std::time::Duration;

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The state of each readiness check.
fn shown(health: &Health) -> Vec<(Status, Option<Reason>)> {
    health.report(Role::Readiness).checks.iter().map(|check| (check.status, check.reason)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_is_full_and_its_queue_long_for_ten_seconds() {
    let orders = Bulkhead::builder("orders").max_concurrent_calls(2).max_wait(Duration::from_secs(600)).max_queue(5);
    let orders = orders.clock(backstop::clock::Clock::tokio()).build().unwrap();
    let queue = Check::queue(&orders, 0);
    let health = builder().readiness(Check::bulkhead(&orders)).readiness(queue).build().unwrap();
    health.start();
    let permits = [orders.try_acquire().unwrap(), orders.try_acquire().unwrap()];
    let waits = tokio::spawn(async move { orders.acquire().await.map(drop) });
    seconds(8).await;
    let full = |status| [(status, Some(Reason::Failed)); 2];
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
    let (switches, control) = KillSwitches::manual();
    let checkout = switches.switch("checkout", OnUnknown::Allow).unwrap();
    let _other = switches.switch("other", OnUnknown::Allow).unwrap();
    let health = builder().readiness(Check::kill_switch(&checkout)).build().unwrap();
    health.start();
    control.engage("other");
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Passing, None)], "nothing is fatal that was not declared");
    control.engage_for("checkout", Scope::new().tenant("acme"));
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Passing, None)]);
    control.engage("checkout");
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Failing, Some(Reason::Failed))]);
    control.release("checkout");
    seconds(2).await;
    assert_eq!(shown(&health), [(Status::Passing, None)]);
}

#[tokio::test(start_paused = true)]
async fn warnings_of_the_switches_alert_with_their_text_in_the_log_alone() {
    let switches = KillSwitches::builder("shop").build().unwrap();
    let _undefined = switches.switch("recs", OnUnknown::Allow).unwrap();
    let check = Check::kill_switches(&switches).failure_threshold(1);
    let health = builder().deep(check).build().unwrap();
    let (sender, heard) = std::sync::mpsc::channel();
    let _subscription = health.subscribe(move |event| drop(sender.send(event.clone())));
    health.start();
    seconds(1).await;
    let event = heard.recv().unwrap();
    assert_eq!((event.check, event.reason), ("kill_switches:shop", Some(Reason::Failed)));
    assert!(event.error.is_some_and(|error| error.contains("kill switch recs ")));
    assert!(health.is_ready());
}
