//! A bulkhead for each key: apart from each other, bounded, and small.

use allocation_counter::measure;
use backstop::bulkhead::keyed::{KeyHandle, KeyedBulkhead};
use backstop::bulkhead::{BulkheadConfig, Event, Permit};
use backstop::clock::{Clock, ManualClock};
use backstop::{ConfigError, Rejected};
use futures_util::FutureExt;
use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::{Layer, Service, service_fn};

fn config(limit: u32) -> BulkheadConfig {
    BulkheadConfig::builder().max_concurrent_calls(limit).build().unwrap()
}

fn group(limit: u32, max_keys: usize) -> (KeyedBulkhead<String>, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = KeyedBulkhead::builder("tenants").config(config(limit)).max_keys(max_keys).clock(clock);
    (builder.build().unwrap(), time)
}

#[test]
fn one_keys_calls_take_no_permits_of_another() {
    let (tenants, _) = group(2, 10);
    let held: Vec<_> = (0..2).map(|_| tenants.key("slow").try_acquire().unwrap()).collect();
    let rejected = tenants.key("slow").try_acquire().unwrap_err();
    assert_eq!((rejected.name(), tenants.saturated()), ("tenants", vec![Some("slow".to_owned())]));
    assert!(tenants.key("quick").try_acquire().is_ok());
    drop(held);
    assert!(tenants.key("slow").try_acquire().is_ok());
    assert_eq!((tenants.len(), tenants.totals().permitted, tenants.totals().rejected_full), (2, 4, 1));
}

#[test]
fn a_key_that_is_idle_makes_room_and_one_in_use_does_not() {
    let (tenants, _) = group(1, 4);
    let held: Vec<Permit<KeyHandle<String>>> = ["a", "b"].map(|key| tenants.key(key).try_acquire().unwrap()).into();
    for key in 0..100 {
        drop(tenants.key(&key.to_string()).try_acquire().unwrap());
    }
    assert!(tenants.len() <= 4 && tenants.evicted() > 90);
    assert!(["a", "b"].iter().all(|key| tenants.get(*key).is_some_and(|key| key.snapshot().in_flight == 1)));
    assert_eq!(tenants.snapshot().in_flight, 2);
    drop(held);
    assert_eq!((tenants.snapshot().in_flight, tenants.totals().permitted), (0, 102), "counts survive their keys");
}

#[test]
fn keys_that_find_no_room_share_one_bulkhead() {
    let (tenants, _) = group(1, 2);
    let _held: Vec<_> = ["a", "b"].map(|key| tenants.key(key).try_acquire().unwrap()).into();
    let overflow = tenants.key("c");
    assert_eq!(overflow.key(), None);
    let _shared = overflow.try_acquire().unwrap();
    assert!(tenants.key("d").try_acquire().is_err(), "d shares with c");
    assert_eq!((tenants.len(), tenants.overflowed()), (2, 2));
    assert_eq!(tenants.saturated(), [None]);
}

#[test]
fn events_tell_their_key_and_saturation_ends() {
    let (tenants, time) = group(1, 10);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    tenants.subscribe(move |keyed| log.lock().unwrap().push((keyed.key.clone(), keyed.event.clone()))).forever();
    let held = tenants.key("a").try_acquire().unwrap();
    assert!(tenants.key("a").try_acquire().is_err());
    drop(held);
    time.advance(Duration::from_secs(1));
    assert!(tenants.saturated().is_empty());
    let heard = heard.lock().unwrap();
    assert!(heard.iter().all(|(key, _)| key.as_deref() == Some("a")));
    assert!(matches!(heard[0].1, Event::Saturated { .. }), "{heard:?}");
    assert!(matches!(heard[1].1, Event::Recovered { rejected: 1, .. }), "{heard:?}");
}

#[test]
fn new_settings_reach_keys_that_are_idle_in_use_and_not_yet_there() {
    let (tenants, _) = group(1, 10);
    tenants.key("idle");
    let _held = tenants.key("used").try_acquire().unwrap();
    assert!(tenants.key("used").try_acquire().is_err());
    tenants.reconfigure(config(2)).unwrap();
    for (key, available) in [("idle", 2), ("used", 1), ("new", 2)] {
        assert_eq!(tenants.key(key).snapshot().available(), available, "{key}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    let partitioned = BulkheadConfig::builder().partition("live", 0.5).build().unwrap();
    let build = || KeyedBulkhead::<u8>::builder("").max_keys(0).config(partitioned.clone()).build();
    let fields =
        |error: ConfigError| error.problems().iter().map(|problem| problem.field().to_owned()).collect::<Vec<_>>();
    assert_eq!(fields(build().unwrap_err()), ["name", "max_keys", "config.partitions"]);
    let (tenants, _) = group(1, 10);
    assert!(tenants.reconfigure(partitioned).is_err());
}

#[test]
fn a_layer_finds_the_key_in_the_request() {
    let (tenants, _) = group(1, 10);
    let hangs = service_fn(|_: &'static str| std::future::pending::<Result<u8, Infallible>>());
    let mut service =
        tenants.layer(|request: &&'static str| (*request).to_owned()).respond_with(|_: &Rejected| 1).layer(hangs);
    let first = service.call("a");
    assert_eq!(service.call("a").now_or_never(), Some(Ok(1)), "a is full");
    assert!(service.call("b").now_or_never().is_none(), "b is not");
    drop(first);
    assert!(service.call("a").now_or_never().is_none());
    assert_eq!((tenants.snapshot().in_flight, tenants.totals().abandoned), (0, 3));
}

#[test]
fn calls_without_tower_go_through_a_keys_bulkhead_too() {
    let (tenants, _) = group(1, 10);
    let call = tenants.key("a").call(ready(Ok::<_, Infallible>(7))).now_or_never().unwrap();
    assert_eq!(call.unwrap(), 7);
    assert_eq!(tenants.key("a").call_blocking(|| Ok::<_, Infallible>(8)).unwrap(), 8);
    let permit = tenants.key("a").acquire_blocking(Duration::ZERO).unwrap();
    assert!(tenants.key("a").acquire_blocking(Duration::ZERO).is_err());
    permit.end(backstop::Outcome::Success);
}

#[test]
fn a_key_that_has_refused_nothing_takes_at_most_160_bytes() {
    const KEYS: u64 = 10_000;
    let config = config(4);
    let keys = KeyedBulkhead::<u64>::builder("memory").config(config).max_keys(20_000).build().unwrap();
    let bytes = measure(|| (0..KEYS).for_each(|key| drop(keys.key(&key).try_acquire().unwrap()))).bytes_current;
    let each = bytes / i64::try_from(KEYS).unwrap();
    println!("{each} bytes a key");
    assert!(each <= 160, "{each} bytes a key");
}
