//! One row of a table: what is compared, and how one call on it is made.

use std::fmt;
use std::time::Duration;

/// The open time of every breaker: longer than any run, so that an open breaker stays open.
pub const OPEN_TIME: Duration = Duration::from_hours(1);

/// The limit of every bulkhead that admits: more than the threads that call. One that rejects has a
/// limit of 1, and a call that never ends.
pub const LIMIT: u16 = 100;

/// Calls before an open instance must have refused one.
const MOST_CALLS_TO_TRIP: u32 = 10_000;

/// Work of a subject. `run.sh` prints a table for each, with the bare service first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Nothing.
    Bare,
    /// A circuit breaker, closed or open.
    CircuitBreaker,
    /// A bulkhead, with room or full.
    Bulkhead,
    /// A circuit breaker over a bulkhead.
    Stack,
    /// A kill switch or a feature flag, on or off.
    KillSwitch,
    /// A judge of a rollout, at a tick.
    Judge,
    /// Counting of requests, with outcomes and latencies.
    Signals,
    /// A request to an axum route, with each of them in front.
    Route,
    /// A unary call through tonic's client and server, with each of them in front.
    Grpc,
    /// A request of reqwest's client over loopback, with each of them in front.
    Client,
}

impl Mechanism {
    /// The words of all mechanisms for a subject's cases.
    pub const CASES: [&str; 4] = ["closed", "open", "admitting", "rejecting"];

    /// The name in `count list`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::CircuitBreaker => "circuit-breaker",
            Self::Bulkhead => "bulkhead",
            Self::Stack => "stack",
            Self::KillSwitch => "kill-switch",
            Self::Judge => "judge",
            Self::Signals => "signals",
            Self::Route => "route",
            Self::Grpc => "grpc",
            Self::Client => "client",
        }
    }

    /// Its word for the case that admits calls, and for the one that rejects them.
    pub const fn cases(self) -> [&'static str; 2] {
        match self {
            Self::CircuitBreaker => ["closed", "open"],
            _ => ["admitting", "rejecting"],
        }
    }
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The table.
    pub mechanism: Mechanism,
    /// The name on the command line and in criterion's ids: lower case, no spaces.
    pub name: &'static str,
    /// The first cell of the row.
    pub title: &'static str,
    /// Makes an instance that lets calls through to an inner service that succeeds.
    pub admits: Option<fn() -> Instance>,
    /// Makes an instance that refuses calls.
    pub rejects: Option<fn() -> Instance>,
}

impl Subject {
    /// What makes the instance of a case, by its word; nothing where the subject has no such case.
    pub fn case(&self, word: &str) -> Option<fn() -> Instance> {
        let [admits, rejects] = self.mechanism.cases();
        if word == admits {
            self.admits
        } else if word == rejects {
            self.rejects
        } else {
            None
        }
    }
}

/// Runs a number of calls in a row on one thread. True when every call ended as expected.
///
/// Boxed by the batch, not by the call: the loop inside knows the operation's type.
pub type Runner = Box<dyn FnMut(u64) -> bool>;

/// One breaker or bulkhead. Every runner of it shares its state.
pub struct Instance {
    runner: Box<dyn Fn() -> Runner + Send + Sync>,
}

impl Instance {
    /// One that is in its state from the beginning. The closure makes one thread's operation, true
    /// when the call ended as expected.
    pub fn new<O>(operation: impl Fn() -> O + Send + Sync + 'static) -> Self
    where
        O: FnMut() -> bool + 'static,
    {
        Self { runner: Box::new(move || run(operation())) }
    }

    /// A breaker over a failing service, called until it refuses. The closure makes one thread's
    /// operation, true when the call was refused.
    ///
    /// # Panics
    ///
    /// When the breaker still lets calls through after 10,000 failures.
    pub fn tripped<O>(operation: impl Fn() -> O + Send + Sync + 'static) -> Self
    where
        O: FnMut() -> bool + 'static,
    {
        let instance = Self::new(operation);
        let mut call = instance.runner();
        assert!((0..MOST_CALLS_TO_TRIP).any(|_| call(1)), "the breaker did not open in {MOST_CALLS_TO_TRIP} failures");
        instance
    }

    /// A thread's way into it. Make it on the thread that uses it.
    pub fn runner(&self) -> Runner {
        (self.runner)()
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Instance").finish_non_exhaustive()
    }
}

fn run(mut operation: impl FnMut() -> bool + 'static) -> Runner {
    Box::new(move |calls| {
        let mut expected = true;
        for _ in 0..calls {
            expected &= operation();
        }
        expected
    })
}
