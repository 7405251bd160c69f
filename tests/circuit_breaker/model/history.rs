//! What happens to a breaker: one step after another, drawn at random and shrunk by proptest.

use super::reference::Command;
use super::settings::{MILLISECOND, Settings, any_settings};
use backstop::Outcome;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Settings, steps, and whether everything is read after each step. Reading takes the lock and hands over what
/// was counted without it, so some histories read seldom.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) settings: Settings,
    pub(crate) looks_always: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Admit,
    /// Ends one of the calls in flight, whenever it began.
    End {
        which: usize,
        how: End,
    },
    /// Calls one after another; the bits of `failed` say which fail, and each lasts so long.
    Calls {
        count: u32,
        failed: u32,
        lasting: u64,
    },
    Advance(Jump),
    Command(Command),
    Reconfigure(Box<Settings>),
    Look,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    With { outcome: Outcome, retry_after: Option<u64> },
    Drop,
    Panic,
}

/// How far time moves: mostly to moments at which something is due, or one nanosecond beside them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Jump {
    Nanos(u64),
    /// To the next edge of a bucket, and some buckets on.
    Edge {
        buckets: u64,
        off: i64,
    },
    OpenTime {
        off: i64,
    },
    HalfOpenTime {
        off: i64,
    },
    SlowTime {
        off: i64,
    },
    Hours(u64),
}

pub(crate) fn any_history() -> impl Strategy<Value = History> {
    (any_settings(), any::<bool>(), vec(any_step(), 1..120)).prop_map(|(settings, looks_always, steps)| History {
        settings,
        looks_always,
        steps,
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let failed =
        prop_oneof![4 => Just(0), 1 => Just(u32::MAX), 2 => any::<u32>(), 2 => (0..32u32).prop_map(|i| 1 << i)];
    let lasting = prop_oneof![6 => Just(0), 1 => 0..50 * MILLISECOND];
    prop_oneof![
        6 => Just(Step::Admit),
        6 => (any::<prop::sample::Index>(), any_end()).prop_map(|(which, how)| Step::End { which: which.index(64), how }),
        8 => (1..40u32, failed, lasting).prop_map(|(count, failed, lasting)| Step::Calls { count, failed, lasting }),
        6 => any_jump().prop_map(Step::Advance),
        2 => any_command().prop_map(Step::Command),
        1 => any_settings().prop_map(|settings| Step::Reconfigure(Box::new(settings))),
        1 => Just(Step::Look),
    ]
}

fn any_end() -> impl Strategy<Value = End> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        4 => Just(Outcome::Failure),
        1 => Just(Outcome::Ignored),
        1 => Just(Outcome::Abandoned),
        1 => Just(Outcome::Panicked),
    ];
    let retry_after = option::weighted(0.15, prop_oneof![Just(0), 1..300 * MILLISECOND, Just(u64::MAX)]);
    prop_oneof![
        8 => (outcome, retry_after).prop_map(|(outcome, retry_after)| End::With { outcome, retry_after }),
        2 => Just(End::Drop),
        1 => Just(End::Panic),
    ]
}

fn any_jump() -> impl Strategy<Value = Jump> {
    let off = -1..=1i64;
    prop_oneof![
        2 => prop_oneof![Just(0), Just(1), 1..20 * MILLISECOND].prop_map(Jump::Nanos),
        4 => (0..6u64, off.clone()).prop_map(|(buckets, off)| Jump::Edge { buckets, off }),
        4 => off.clone().prop_map(|off| Jump::OpenTime { off }),
        2 => off.clone().prop_map(|off| Jump::HalfOpenTime { off }),
        2 => off.prop_map(|off| Jump::SlowTime { off }),
        1 => (1..30u64).prop_map(Jump::Hours),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    let wait = prop_oneof![Just(0), 1..100 * MILLISECOND, Just(u64::MAX)];
    prop_oneof![
        4 => Just(Command::Reset),
        3 => Just(Command::Trip),
        1 => wait.prop_map(Command::TripFor),
        2 => Just(Command::Probe),
        1 => Just(Command::ForceOpen),
        1 => Just(Command::Disable),
        2 => Just(Command::Shadow),
    ]
}
