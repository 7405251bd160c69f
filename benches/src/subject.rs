//! One row of the table: a breaker, and how one call on it is made.

use std::fmt;
use std::time::Duration;

/// The open time of every subject: longer than any run, so that an open breaker stays open.
pub const OPEN_TIME: Duration = Duration::from_hours(1);

/// Calls before an open instance must have refused one.
const MOST_CALLS_TO_TRIP: u32 = 10_000;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The name on the command line and in criterion's ids: lower case, no spaces.
    pub name: &'static str,
    /// The first cell of the row.
    pub title: &'static str,
    /// Makes an instance that lets calls through to an inner service that succeeds.
    pub closed: Option<fn() -> Instance>,
    /// Makes an instance that refuses calls.
    pub open: Option<fn() -> Instance>,
}

/// Runs a number of calls in a row on one thread. True when every call ended as expected.
///
/// Boxed by the batch, not by the call: the loop inside knows the operation's type.
pub type Runner = Box<dyn FnMut(u64) -> bool>;

/// One breaker. Every runner of it shares its state.
pub struct Instance {
    runner: Box<dyn Fn() -> Runner + Send + Sync>,
}

impl Instance {
    /// A closed breaker. The closure makes one thread's operation, true when the call succeeded.
    pub fn closed<O>(operation: impl Fn() -> O + Send + Sync + 'static) -> Self
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
    pub fn open<O>(operation: impl Fn() -> O + Send + Sync + 'static) -> Self
    where
        O: FnMut() -> bool + 'static,
    {
        let instance = Self::closed(operation);
        let mut call = instance.runner();
        assert!((0..MOST_CALLS_TO_TRIP).any(|_| call(1)), "the breaker did not open in {MOST_CALLS_TO_TRIP} failures");
        instance
    }

    /// A thread's way into this breaker. Make it on the thread that uses it.
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
