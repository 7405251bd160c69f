//! The rules would be worth nothing if they could not be broken.

use super::*;

fn one(file: &str, text: &str) -> Vec<Source> {
    vec![Source::parse(file, text)]
}

#[test]
fn a_pure_room_is_caught_at_everything_impure() {
    for impure in [
        "use crate::clock::Clock;",
        "use crate::clock::{Instant, Clock as Time};",
        "use crate::clock::*;",
        "use crate::clock;",
        "fn f(clock: &crate::clock::ManualClock) {}",
        "use std::time::Instant;",
        "fn now() -> std::time::SystemTime { std::time::SystemTime::now() }",
        "use crate::sync::Mutex;",
        "use std::sync::{Arc, RwLock};",
        "fn f(count: &core::sync::atomic::AtomicU64) {}",
        "use crate::sync::AtomicBool;",
        "fn f(lock: parking_lot::Mutex<()>) {}",
        "static COUNT: std::sync::OnceLock<u64> = std::sync::OnceLock::new();",
        "std::thread_local! { static A: u8 = 0; }",
        "async fn f() {}",
        "fn f() { let later = async { 1 }; }",
        "fn f() -> impl std::future::Future<Output = ()> { std::future::ready(()) }",
        "fn f() { tokio::spawn(g()); }",
        "fn f() { metrics::counter!(\"a\").increment(1); }",
        "use crate::telemetry::METRICS;",
        "fn f() { tracing::info!(\"a\"); }",
        "fn f() { let text = std::fs::read_to_string(\"a\"); }",
        "use std::{collections::HashMap, net::TcpStream};",
        "use std::io::Write;",
        "fn f() { println!(\"a\"); }",
        "fn f() { std::thread::sleep(g()); }",
        "fn f() -> u64 { fastrand::u64(..) }",
        "fn f() -> fastrand::Rng { fastrand::Rng::new() }",
        "fn f() -> u64 { rand::random() }",
        "use rand::rng;",
        "use rand::rngs::{ThreadRng, SysRng};",
        "use std::hash::RandomState;",
        "use super::shared::Shared;",
        "use crate::circuit_breaker::CircuitBreaker;",
        "fn f(cell: &std::cell::Cell<u8>) {}",
        "fn f() { unsafe { g() } }",
    ] {
        let broken = pure(&one("circuit_breaker/machine/mod.rs", impure), PURE_ROOMS, PURE_WORDS, &[]);
        let broken = broken.iter().any(|line| line.starts_with("circuit_breaker/machine/mod.rs"));
        assert!(broken, "not found: {impure}");
    }
}

#[test]
fn a_pure_room_is_left_alone_with_values() {
    let text = r#"
        //! Clock, Mutex, tokio::spawn and std::fs: words in a comment.
        use super::snapshot::{State, Transition};
        use super::window::Counts;
        use crate::clock::{Instant, nanos};
        use crate::outcome::Outcome;
        use std::sync::Arc;
        use std::time::Duration;
        /// Reads no Clock.
        fn f(now: Instant, random: &mut fastrand::Rng) -> &'static str { "println! async" }
        #[cfg(test)]
        mod tests { fn f() { std::fs::read("a").unwrap(); } }
    "#;
    let broken = pure(&one("circuit_breaker/machine/mod.rs", text), PURE_ROOMS, PURE_WORDS, &[]);
    assert!(!broken.iter().any(|line| line.starts_with("circuit_breaker/machine/mod.rs:")), "{broken:?}");
}

#[test]
fn a_pure_room_that_moved_is_missed() {
    let broken = pure(&one("circuit_breaker/engine.rs", ""), &["circuit_breaker/machine.rs"], &[], &[]);
    assert_eq!(broken, ["circuit_breaker/machine.rs: no such file"]);
}

#[test]
fn another_door_to_time_or_locks_is_caught() {
    for (file, text) in [
        ("registry.rs", "use std::time::Instant;"),
        ("registry.rs", "use std::time;"),
        ("registry.rs", "fn f() { let now = tokio::time::Instant::now(); }"),
        ("sync.rs", "fn f() { std::time::SystemTime::now(); }"),
        ("registry.rs", "use std::sync::{Arc, Mutex};"),
        ("registry.rs", "use std::sync;"),
        ("registry.rs", "use std::sync::*;"),
        ("registry.rs", "fn f(lock: &parking_lot::RwLock<()>) {}"),
        ("registry.rs", "use loom::sync::Arc;"),
        ("registry.rs", "use core::sync::atomic::AtomicBool;"),
        ("registry.rs", "thread_local! { static A: u8 = 0; }"),
    ] {
        assert_eq!(doors(&one(file, text), &[]).len(), 1, "{file}: {text}");
    }
    for (file, text) in [
        ("clock.rs", "use std::time::Instant;"),
        ("sync.rs", "use std::sync::atomic::AtomicBool; use parking_lot::Mutex;"),
        ("registry.rs", "use std::sync::{Arc, Weak}; use crate::sync::Mutex; use std::time::Duration;"),
    ] {
        assert_eq!(doors(&one(file, text), &[]), [""; 0], "{file}: {text}");
    }
}

#[test]
fn an_exception_excuses_what_it_names_and_no_more() {
    let exception = Exception { file: "config.rs", names: "std::sync::Mutex", reason: "a static" };
    let text = "use std::sync::{Mutex, RwLock};";
    assert_eq!(doors(&one("config.rs", text), &[exception]).len(), 1);
    assert_eq!(doors(&one("registry.rs", text), &[exception]).len(), 2);
    assert!(exception.is_used(&one("config.rs", text), 400));
    assert!(!exception.is_used(&one("config.rs", "use std::sync::RwLock;"), 400));
}

#[test]
fn a_mechanism_that_names_another_is_caught() {
    let text = "use crate::bulkhead::Bulkhead;";
    assert_eq!(apart(&one("circuit_breaker/shared.rs", text), MECHANISMS).len(), 1);
    assert_eq!(apart(&one("bulkhead/shared.rs", text), MECHANISMS), [""; 0]);
    assert_eq!(apart(&one("registry.rs", text), MECHANISMS), [""; 0]);
}

#[test]
fn an_arrow_that_runs_up_is_caught() {
    for (file, text) in [
        ("clock.rs", "use crate::reject::Rejected;"),
        ("reject/mod.rs", "fn f(breaker: crate::circuit_breaker::Permit) {}"),
        ("circuit_breaker/shared.rs", "use crate::protect::Protect;"),
        ("circuit_breaker/shared.rs", "use super::super::protect::Protect;"),
        ("protect/mod.rs", "use crate::CircuitBreaker;"),
        ("surprise.rs", ""),
    ] {
        assert_eq!(floors(&one(file, text), FLOORS).len(), 1, "{file}: {text}");
    }
    let fine = "use crate::circuit_breaker::CircuitBreaker; use crate::config::ConfigError;";
    assert_eq!(floors(&one("protect/mod.rs", fine), FLOORS), [""; 0]);
}

#[test]
fn two_rooms_of_a_floor_that_use_each_other_are_caught() {
    let mut sources = one("reject/mod.rs", "use crate::classify::Classify;");
    assert_eq!(floors(&sources, FLOORS), [""; 0]);
    sources.extend(one("classify/mod.rs", "use crate::reject::Rejected;"));
    assert_eq!(floors(&sources, FLOORS), ["classify and reject use each other"]);
}

#[test]
fn a_long_file_is_caught() {
    assert_eq!(sizes(&one("registry.rs", &"\n".repeat(401)), 400, &[]).len(), 1);
    assert_eq!(sizes(&one("registry.rs", &"\n".repeat(400)), 400, &[]), [""; 0]);
}
