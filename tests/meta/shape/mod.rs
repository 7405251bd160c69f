//! The shape of the crate, as CONTRIBUTING.md draws it: pure rooms, one door to time, one to locks, mechanisms
//! apart, arrows that never run up, files that tell one thing.

mod broken;
mod graph;
mod rules;
mod source;

use graph::{Arrow, Graph};
use rules::{Exception, apart, doors, floors, pure, sizes};
use source::Source;

/// Files and folders that are functions of their arguments.
const PURE_ROOMS: &[&str] = &[
    "bulkhead/config/",
    "bulkhead/in_flight.rs",
    "bulkhead/limit/",
    "bulkhead/machine/",
    "bulkhead/partitions.rs",
    "bulkhead/queue.rs",
    "bulkhead/saturation.rs",
    "bulkhead/shedding.rs",
    "circuit_breaker/machine/",
    "circuit_breaker/rules.rs",
    "circuit_breaker/ramp.rs",
    "circuit_breaker/probes.rs",
    "circuit_breaker/in_flight.rs",
    "circuit_breaker/open_time.rs",
    "circuit_breaker/throttle.rs",
    "circuit_breaker/snapshot.rs",
    "circuit_breaker/state.rs",
    "circuit_breaker/event.rs",
    "circuit_breaker/window/",
    "circuit_breaker/config/",
    "health/event.rs",
    "health/machine.rs",
    "health/report.rs",
    "health/state.rs",
    "kill_switch/access/file.rs",
    "kill_switch/access/grant.rs",
    "kill_switch/access/list.rs",
    "kill_switch/access/token.rs",
    "kill_switch/audit/chain.rs",
    "kill_switch/audit/describe.rs",
    "kill_switch/audit/record.rs",
    "kill_switch/audit/tail.rs",
    "kill_switch/drill/stats.rs",
    "kill_switch/model/",
    "kill_switch/rules/",
    "kill_switch/runtime/compiled_scope.rs",
    "kill_switch/target.rs",
    "rollback/",
    "rollout/actuator/backend.rs",
    "rollout/judging/halved.rs",
    "rollout/judging/names.rs",
    "rollout/judging/presence.rs",
    "rollout/judging/restarted.rs",
    "rollout/judging/ticks.rs",
    "rollout/judging/timeline.rs",
    "rollout/redact.rs",
    "rollout/report/deliveries.rs",
    "rollout/report/document.rs",
    "rollout/report/draw/",
    "rollout/report/evidence.rs",
    "rollout/report/history.rs",
    "rollout/report/markdown.rs",
    "rollout/report/page.rs",
    "rollout/report/trigger.rs",
    "rollout/report/values.rs",
    "rollout/report/words.rs",
    "rollout/soak.rs",
    "rollout/source/counters.rs",
    "rollout/source/page.rs",
    "rollout/source/prometheus/answer.rs",
    "rollout/source/prometheus/expression.rs",
    "rollout/source/sums.rs",
    "rollout/source/text.rs",
    "rollout/stages/",
    "rollout/verdicts/decide.rs",
    "rollout/verdicts/query.rs",
    "rollout/verify.rs",
    "rollout/watched.rs",
    "signals/baseline.rs",
    "signals/config/",
    "signals/outcome_class.rs",
];

/// What a pure room may use of the crate besides pure rooms: values, and what reads and checks them.
const PURE_WORDS: &[&str] = &[
    "crate::clock::Instant",
    "crate::clock::nanos",
    "crate::clock::Timestamp",
    "crate::config",
    "crate::named_enum",
    "crate::outcome::Outcome",
    "crate::outcome::Cause",
    "crate::outcome::Classification",
    "crate::reject::Mechanism",
    "crate::reject::RejectReason",
    "crate::upload::Upload",
    "crate::telemetry::ACTIVE_SECONDS",
    "crate::telemetry::BULKHEAD_IN_FLIGHT_CALLS",
    "crate::telemetry::BULKHEAD_MAX_CONCURRENT_CALLS",
    "crate::telemetry::CIRCUIT_BREAKER_STATE",
    "crate::telemetry::ERROR_SECONDS",
    "crate::telemetry::HEALTH_STATUS",
    "crate::telemetry::IN_FLIGHT_REQUESTS",
    "crate::telemetry::KILL_SWITCH_ENGAGED",
    "crate::telemetry::REQUESTS",
    "crate::telemetry::REQUEST_DURATION_SECONDS",
];

/// Folders of `src` that must not know of each other.
const MECHANISMS: &[&str] = &["bulkhead", "circuit_breaker", "fault", "kill_switch", "signals"];

/// From the ground up: a room uses its own floor and those below.
const FLOORS: &[&[&str]] = &[
    &[
        "clock",
        "config",
        "events",
        "fs",
        "keyed_table",
        "named_enum",
        "outcome",
        "panic",
        "parked",
        "rollback",
        "sealed",
        "server",
        "shared_ref",
        "sync",
        "thread_id",
        "thread_lines",
        "timer",
        "upload",
    ],
    &["classify", "guarded", "registry", "reject", "telemetry"],
    MECHANISMS,
    &["health", "live_config", "protect"],
    &["rollout"],
    &["admin"],
    &["lib", "guide"],
    &["bin"],
];

/// The most lines that a file may have, its tests among them.
const LINES_MAX: usize = 400;

/// What breaks a rule for a reason. One that nothing needs any more is an error, too.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        file: "bulkhead/config/builder.rs",
        names: "crate::clock::Clock",
        reason: "it hands the clock of the user on to the handle and never reads it",
    },
    Exception {
        file: "bulkhead/config/builder.rs",
        names: "crate::bulkhead::handle::Bulkhead",
        reason: "`build` makes the handle: the one door from the settings to a bulkhead",
    },
    Exception {
        file: "bulkhead/reserves.rs",
        names: "std::sync::OnceLock",
        reason: "set once, under the compartment's lock: nothing waits for it",
    },
    Exception {
        file: "circuit_breaker/config/builder.rs",
        names: "crate::clock::Clock",
        reason: "it hands the clock of the user on to the handle and never reads it",
    },
    Exception {
        file: "circuit_breaker/config/builder.rs",
        names: "crate::circuit_breaker::handle::CircuitBreaker",
        reason: "`build` makes the handle: the one door from the settings to a breaker",
    },
    Exception {
        file: "clock.rs",
        names: "std::sync::atomic",
        reason: "loom's atomics live only inside a model, and a clock is also made outside of one",
    },
    Exception { file: "clock.rs", names: "std::sync::OnceLock", reason: "a static that is set once: loom has none" },
    Exception {
        file: "config.rs",
        names: "std::sync",
        reason: "names live in a static, and loom's locks cannot: their constructors are not const",
    },
    Exception {
        file: "thread_id.rs",
        names: "loom::lazy_static",
        reason: "the static of a model, which lives as long as one of its runs",
    },
    Exception {
        file: "bin/backstop/fleet.rs",
        names: "std::sync::atomic",
        reason: "the command is a program of its own, which no model runs, and `crate::sync` is the library's",
    },
    Exception {
        file: "signals/config/builder.rs",
        names: "crate::clock::Clock",
        reason: "it hands the clock of the user on to the handle and never reads it",
    },
    Exception {
        file: "signals/config/builder.rs",
        names: "crate::signals::handle::Signals",
        reason: "`build` makes the handle: the one door from the settings to signals",
    },
    Exception {
        file: "kill_switch/store/file/watch.rs",
        names: "std::sync::LazyLock",
        reason: "one thread watches for the whole process, so it is a static, and loom has no lazy one without a macro",
    },
    Exception {
        file: "rollback/simulation/threads.rs",
        names: "std::thread",
        reason: "it spreads pure runs over the cores, and their results do not depend on it",
    },
    Exception {
        file: "rollback/simulation/threads.rs",
        names: "spawn",
        reason: "a thread for each core, within the call",
    },
    Exception {
        file: "rollout/report/history.rs",
        names: "crate::rollout::journal::Record",
        reason: "the value of a line: the file of the journal is read elsewhere",
    },
    Exception {
        file: "reject/mod.rs",
        names: "std::sync::OnceLock",
        reason: "a value made on first look, within one rejection: nothing waits for it",
    },
];

/// Imports that may close a circle of files. One that closes none any more is an error.
const EXCUSED_ARROWS: &[Arrow] = &[Arrow {
    from: "bulkhead/permit.rs",
    to: "bulkhead/handle.rs",
    reason: "the default type parameter: `Permit` alone is one of a bulkhead",
}];

fn assert_none(broken: &[String]) {
    assert!(
        broken.is_empty(),
        "the shape is broken:\n{}\nThe rules are in CONTRIBUTING.md under \"Shape\"; where one cannot be kept, add an \
         exception with its reason in tests/meta/shape/mod.rs.",
        broken.join("\n")
    );
}

#[test]
fn pure_rooms_name_no_clock_lock_future_metric_or_io() {
    assert_none(&pure(&source::all(), PURE_ROOMS, PURE_WORDS, EXCEPTIONS));
}

#[test]
fn time_and_locks_have_one_door_each() {
    assert_none(&doors(&source::all(), EXCEPTIONS));
}

#[test]
fn mechanisms_do_not_know_of_each_other() {
    assert_none(&apart(&source::all(), MECHANISMS));
}

#[test]
fn arrows_never_run_up_or_in_circles() {
    assert_none(&floors(&source::all(), FLOORS));
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    assert_none(&Graph::of(&source::all()).without(EXCUSED_ARROWS).circles());
}

/// Prints what the crate and its mechanisms are made of: `cargo test .. counts -- --nocapture`.
#[test]
fn counts() {
    let sources = source::all();
    let graph = Graph::of(&sources).without(EXCUSED_ARROWS);
    println!("the library: {}", graph.counts(""));
    for folder in MECHANISMS.iter().chain(&["admin", "bin/backstop"]) {
        println!("{folder}: {}", graph.counts(&format!("{folder}/")));
    }
}

#[test]
fn files_tell_one_thing() {
    assert_none(&sizes(&source::all(), LINES_MAX, EXCEPTIONS));
}

#[test]
fn every_exception_is_needed() {
    let sources = source::all();
    let unused = EXCEPTIONS.iter().filter(|exception| !exception.is_used(&sources, LINES_MAX));
    let line = |Exception { file, names, reason }: &Exception| format!("{file} no longer needs {names} ({reason})");
    let mut lines: Vec<_> = unused.map(line).collect();
    let graph = Graph::of(&sources);
    for arrow in EXCUSED_ARROWS.iter().filter(|arrow| !graph.is_closed_by(arrow)) {
        lines.push(format!("{} -> {} closes no circle ({})", arrow.from, arrow.to, arrow.reason));
    }
    assert_none(&lines);
}
