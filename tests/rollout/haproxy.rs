//! A real `HAProxy`: weights are what requests count, and a controller that is killed again and again.

use crate::actuators::{ONE, haproxy, last_request, of, set};
use crate::scene::{Ticks, plan_text};
use crate::servers::{Haproxy, Program, Version, share_of};
use backstop::rollout::actuator::Cancel;
use backstop::rollout::journal::Journal;
use backstop::rollout::stages::Reading;
use backstop::rollout::state_dir::StateDir;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn haproxy_weights_are_what_ten_thousand_requests_count() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let servers = [
        ("c1", &*new.address),
        ("c2", &*new.address),
        ("s1", &*old.address),
        ("s2", &*old.address),
        ("s3", &*old.address),
    ];
    let haproxy_real = Haproxy::new(folder.path(), "balance roundrobin", &servers);
    let several = "canary = [\"c1\", \"c2\"], stable = [\"s1\", \"s2\", \"s3\"]";
    let mut actuator = of(&haproxy(&haproxy_real.socket, several), folder.path());
    for weight in [5, 20, 50, 100, 0] {
        set(&mut *actuator, weight).unwrap();
        let found = share_of(&haproxy_real.address, 10_000, "new");
        assert!((found - f64::from(weight)).abs() <= 0.5, "{weight} %: {found}");
        assert_eq!(actuator.read(weight, &Cancel::default()), Reading::Same);
        assert!(matches!(actuator.read(weight.abs_diff(1), &Cancel::default()), Reading::Differs { .. }));
    }
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn a_static_algorithm_is_an_error_that_names_the_setting_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let real = Haproxy::new(folder.path(), "balance source", &[("c1", &new.address), ("s1", &old.address)]);
    let mut actuator = of(&haproxy(&real.socket, ONE), folder.path());
    let error = actuator.set(5, false, &Cancel::default()).unwrap_err();
    assert!(error.is_final() && error.to_string().contains("set `balance roundrobin`"), "{error}");
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn a_setting_by_which_weights_are_no_shares_is_named_and_gives_the_canary_no_traffic() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let (backup, spare) = (format!("{} backup", old.address), format!("{} disabled", old.address));
    let hidden = format!("{} backup", new.address);
    for (settings, servers, says) in [
        ("balance first", [("c1", &*new.address), ("s1", &*old.address), ("s2", &*spare)], "`first`"),
        ("balance roundrobin", [("c1", &*new.address), ("s1", &*backup), ("s2", &*spare)], "web/s1 is a backup server"),
        ("balance roundrobin", [("c1", &*hidden), ("s1", &*old.address), ("s2", &*spare)], "web/c1 is a backup server"),
        ("balance roundrobin", [("c1", &*new.address), ("s1", &*old.address), ("s2", &*old.address)], "(s2)"),
        ("balance roundrobin", [("c1", &*new.address), ("s1", &*old.address), ("s2", &*backup)], ""),
    ] {
        let real = Haproxy::new(folder.path(), settings, &servers);
        let mut actuator = of(&haproxy(&real.socket, ONE), folder.path());
        set(&mut *actuator, 0).unwrap();
        assert!(share_of(&real.address, 100, "new") <= 0.0, "{servers:?}");
        let moved = actuator.set(5, false, &Cancel::default()).map_err(|error| (error.is_final(), error.to_string()));
        let counted = share_of(&real.address, 1_000, "new");
        if says.is_empty() {
            assert!(moved.is_ok() && (counted - 5.0).abs() <= 0.5, "{servers:?}: {moved:?}, {counted}");
        } else {
            let (is_final, error) = moved.unwrap_err();
            assert!(is_final && error.contains(says), "{error}");
            assert!(counted <= 0.0, "{error}");
            assert!(matches!(actuator.read(5, &Cancel::default()), Reading::Differs { why } if why.contains(says)));
        }
        actuator.set(0, true, &Cancel::default()).unwrap();
        assert!(share_of(&real.address, 100, "new") <= 0.0, "{servers:?}");
        std::fs::remove_file(&real.socket).unwrap();
    }
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn a_server_in_maintenance_is_named_and_left_to_the_person_who_set_it() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let real = Haproxy::new(folder.path(), "balance roundrobin", &[("c1", &new.address), ("s1", &old.address)]);
    let mut actuator = of(&haproxy(&real.socket, ONE), folder.path());
    real.ask("set server web/c1 state maint").unwrap();
    let error = set(&mut *actuator, 20).unwrap_err();
    assert!(error.contains("web/c1 is in maintenance"), "{error}");
    assert_eq!(actuator.read(20, &Cancel::default()), Reading::Differs { why: "web/c1 is in maintenance".to_owned() });
    set(&mut *actuator, 0).unwrap();
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn break_glass_takes_sticky_clients_from_the_canary_too() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let sticky = "balance roundrobin\n  cookie SERVER insert indirect nocache\n  option redispatch";
    for cut in ["drain", "maint"] {
        let real = Haproxy::new(folder.path(), sticky, &[("c1", &new.address), ("s1", &old.address)]);
        let cut = format!("{ONE}, cut = \"{cut}\"");
        let mut actuator = of(&haproxy(&real.socket, &cut), folder.path());
        set(&mut *actuator, 50).unwrap();
        actuator.set(0, true, &Cancel::default()).unwrap();
        let before = new.count();
        assert!(share_of(&real.address, 200, "new") == 0.0 && new.count() == before);
        std::fs::remove_file(&real.socket).unwrap();
    }
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn a_reload_that_forgets_weights_is_found_and_set_again() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let mut real = Haproxy::new(folder.path(), "balance roundrobin", &[("c1", &new.address), ("s1", &old.address)]);
    let mut actuator = of(&haproxy(&real.socket, ONE), folder.path());
    set(&mut *actuator, 5).unwrap();
    real.restart();
    let Reading::Differs { why } = actuator.read(5, &Cancel::default()) else { panic!("not found") };
    assert!(why.contains("the canary has 50.0 % instead of 5 % (c1=50 s1=50)"), "{why}");
    set(&mut *actuator, 5).unwrap();
    assert_eq!(actuator.read(5, &Cancel::default()), Reading::Same);
}

fn start(folder: &Path, ticks: &Ticks) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.current_dir(folder).arg("rollout");
    ticks.start(command, &["--state", "state", "--by", "mira"])
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn a_controller_that_is_killed_at_random_ends_every_rollout_as_if_it_had_not_been() {
    let kills: u32 = std::env::var("BACKSTOP_ROLLOUT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(50);
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let real = Haproxy::new(folder.path(), "balance roundrobin", &[("c1", &new.address), ("s1", &old.address)]);
    let ticks = Ticks::default();
    ticks.flow.store(true, Ordering::Relaxed);
    let seed = std::process::id();
    let (mut random, mut killed, mut number) = (seed | 1, 0, 0);
    println!("seed {seed}");
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random
    };
    while killed < kills {
        number += 1;
        let is_bad = number % 2 == 0;
        ticks.is_bad.store(is_bad, Ordering::Relaxed);
        let _ = std::fs::remove_file(folder.path().join("log"));
        let plan = plan_text(&real.socket, "").replace("1.2.4", &format!("1.2.{}", number + 3));
        std::fs::write(folder.path().join("plan.toml"), plan).unwrap();
        let code = loop {
            let mut running = start(folder.path(), &ticks);
            let patience = Duration::from_millis(u64::from(next() % 300) + 5);
            let begun = Instant::now();
            let ended = loop {
                if let Some(status) = running.0.try_wait().unwrap() {
                    break status.code();
                }
                if killed < kills && begun.elapsed() >= patience {
                    running.0.kill().unwrap();
                    break None;
                }
                assert!(begun.elapsed() < Duration::from_secs(60), "rollout {number} ends");
                std::thread::sleep(Duration::from_millis(1));
            };
            if let Some(code) = ended {
                break code;
            }
            running.0.wait().unwrap();
            killed += 1;
        };
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let done: Vec<_> = log.lines().filter(|line| *line != "evidence").collect();
        let share = share_of(&real.address, 200, "new");
        if is_bad && code == 21 {
            assert_eq!((share, done.len()), (0.0, 0), "found before it had traffic");
            continue;
        }
        let expected = if is_bad { (20, 0.0, vec!["switched", "down"]) } else { (0, 100.0, vec!["promoted"]) };
        assert_eq!((code, share, done), expected, "rollout {number} after {killed} kills");
    }
    let dir = StateDir::new(&folder.path().join("state"), "checkout").unwrap();
    for folder in dir.rollouts() {
        Journal::read(&folder.join("journal.jsonl")).unwrap();
    }
    println!("{killed} kills in {number} rollouts");
}

/// Decision to the last request of the canary, with clients that send all the time.
#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn the_last_request_of_the_canary_follows_the_decision_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let real = Haproxy::new(folder.path(), "balance roundrobin", &[("c1", &new.address), ("s1", &old.address)]);
    let mut actuator = of(&haproxy(&real.socket, ONE), folder.path());
    let maximum = last_request("haproxy", &mut *actuator, &real.address, &new);
    assert!(maximum < Duration::from_secs(5));
}
