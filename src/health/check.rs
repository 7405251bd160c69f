//! One check as the user declares it.

use super::machine::Settings;
use super::mechanism::Mechanism;
use super::state::Role;
use crate::config::{Problems, intern};
use crate::registry::Registry;
use crate::reject::BoxError;
use crate::sync::Arc;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// A run of a check of the user: nothing, or the text of its error.
pub(super) type Run = Pin<Box<dyn Future<Output = Result<(), Arc<str>>> + Send>>;

/// What a check does.
#[derive(Clone)]
pub(super) enum Body {
    User(Arc<dyn Fn() -> Run + Send + Sync>),
    Mechanism(Mechanism),
}

/// One check: a future of yours, or the state of a mechanism.
///
/// What its failure does depends on the role in which it is added to the [builder](super::HealthBuilder).
///
/// # Examples
///
/// ```
/// use backstop::health::Check;
/// use std::time::Duration;
///
/// # async fn ping() -> Result<(), std::io::Error> { Ok(()) }
/// let database = Check::new("database", || async { ping().await }).timeout(Duration::from_millis(500));
/// ```
#[derive(Clone)]
pub struct Check {
    name: String,
    body: Body,
    period: Option<Duration>,
    timeout: Option<Duration>,
    failure_threshold: Option<u32>,
    success_threshold: u32,
    max_age: Option<Duration>,
}

impl Check {
    /// A check of your own: it passes if the future returns `Ok` in time. At most one runs at a time, as a task of
    /// its own.
    ///
    /// Do not block in it: a blocked check counts as a failure, but holds a thread of the runtime, and a runtime of one
    /// thread answers no probe meanwhile. Use `tokio::task::spawn_blocking`.
    ///
    /// The text of the error goes to the log and to listeners, never into the JSON of a probe. The name is in all of them.
    pub fn new<F, T, E>(name: impl Into<String>, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let run = move || -> Run {
            let run = check();
            Box::pin(async move {
                let result = run.await.map(drop);
                result.map_err(|error| crate::events::note(&error.into().to_string()))
            })
        };
        Self::of(name.into(), Body::User(Arc::new(run)))
    }

    /// Fails while this circuit is open and has open time left, or is forced open. After that it passes: probes need
    /// traffic. Period: 1 s; `failure_threshold`: 1.
    ///
    /// Every instance that calls the dependency opens its circuit when the dependency fails. As a readiness check this
    /// takes the whole service down, even the requests that never needed the dependency. Declare it only where every
    /// request does, and other instances may still reach it.
    pub fn circuit_breaker(name: impl Into<String>) -> Self {
        Self::of_mechanism(Mechanism::CircuitBreaker(name.into()), 1)
    }

    /// Fails while every permit of this bulkhead is taken, at each look for 10 s. Period: 1 s; `failure_threshold`: 10.
    ///
    /// As a readiness check it sends the load to the other instances, and fills them. It helps where one instance has
    /// more load than the others; otherwise, leave it to the bulkhead's rejections.
    pub fn bulkhead(name: impl Into<String>) -> Self {
        Self::of_mechanism(Mechanism::Bulkhead(name.into()), 10)
    }

    /// Fails while at least `depth` calls wait in the queue of this bulkhead, at each look for 10 s. Period: 1 s;
    /// `failure_threshold`: 10. The caution of [`bulkhead`](Self::bulkhead) holds here, too.
    pub fn queue(bulkhead: impl Into<String>, depth: u32) -> Self {
        Self::of_mechanism(Mechanism::Queue(bulkhead.into(), depth), 10)
    }

    /// Fails while this switch is engaged on this instance for all requests, not for some. Period: 1 s;
    /// `failure_threshold`: 1.
    ///
    /// A switch is engaged on every instance: as a readiness check it takes the whole service out of traffic. Declare
    /// it for a switch that is meant to do that.
    #[cfg(feature = "kill-switch")]
    pub fn kill_switch(id: impl Into<String>) -> Self {
        Self::of_mechanism(Mechanism::KillSwitch(id.into()), 1)
    }

    /// Fails while the [status](crate::kill_switch::KillSwitches::status) of these kill switches has
    /// warnings: an expired definition, a store that cannot be read. It is meant as a deep check.
    #[cfg(feature = "kill-switch")]
    pub fn kill_switches(name: impl Into<String>) -> Self {
        let mechanism = Mechanism::KillSwitches(name.into());
        Self::of(mechanism.label(), Body::Mechanism(mechanism))
    }

    fn of_mechanism(mechanism: Mechanism, failure_threshold: u32) -> Self {
        let check = Self::of(mechanism.label(), Body::Mechanism(mechanism));
        check.period(Duration::from_secs(1)).failure_threshold(failure_threshold)
    }

    fn of(name: String, body: Body) -> Self {
        let (period, timeout, failure_threshold, max_age) = (None, None, None, None);
        Self { name, body, period, timeout, failure_threshold, success_threshold: 1, max_age }
    }

    /// Time from one run to the next. Default: 1 s for startup, 5 s for readiness, 60 s for a deep check. Valid: 10 ms
    /// to a day.
    ///
    /// Smaller notices sooner, and asks the dependency more often, from each instance.
    #[must_use]
    pub fn period(mut self, period: Duration) -> Self {
        self.period = Some(period);
        self
    }

    /// Time after which a run is dropped and counts as failed. Default: 1 s, 10 s for a deep check; not more than the
    /// period. Valid: 1 ms to the period.
    ///
    /// Smaller fails slow answers; larger notices a hanging dependency later.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Failures in a row until the check fails. Default: 30 for startup, 3 for readiness, 2 for a deep check. Valid: 1
    /// to 1,000.
    ///
    /// Smaller reacts sooner, and to a single lost packet; larger takes longer: `period` × threshold.
    #[must_use]
    pub fn failure_threshold(mut self, failures: u32) -> Self {
        self.failure_threshold = Some(failures);
        self
    }

    /// Passes in a row until the check passes, the first time as well. Default: 1. Valid: 1 to 1,000.
    ///
    /// Larger keeps a dependency that comes and goes out for longer.
    #[must_use]
    pub fn success_threshold(mut self, passes: u32) -> Self {
        self.success_threshold = passes;
        self
    }

    /// Lifetime of a cached result: the check fails as `stale` while the last one is older. Default: 3 × `period` +
    /// `timeout`. Valid: `period` + `timeout` to a week.
    ///
    /// Smaller notices sooner that checks have stopped to run; larger forgives a starved runtime.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Checks the settings for a role. Problems are those of fields of this check.
    pub(super) fn resolve(
        self,
        role: Role,
        registry: &Registry,
        problems: &mut Problems,
    ) -> (&'static str, Body, Settings) {
        const DAY: Duration = Duration::from_secs(86_400);
        let (period, timeout, failures) = match role {
            Role::Startup => (1, 1, 30),
            Role::Readiness => (5, 1, 3),
            Role::Deep => (60, 10, 2),
        };
        let label = if self.name.len() <= 128 { &*self.name } else { "name" };
        let field = |field: &str| format!("{label}.{field}");
        let name = intern("name", &self.name).unwrap_or_else(|error| {
            problems.extend(error);
            ""
        });
        let mut within = |value: Duration, what: &str, (least, most): (Duration, Duration)| {
            if value < least || value > most {
                problems.add(field(what), format!("{value:?}"), format!("from {least:?} to {most:?}"));
            }
            value
        };
        let period = self.period.unwrap_or(Duration::from_secs(period));
        let period = within(period, "period", (Duration::from_millis(10), DAY));
        let timeout = self.timeout.unwrap_or(Duration::from_secs(timeout).min(period));
        let timeout = within(timeout, "timeout", (Duration::from_millis(1), period));
        let least_age = period.saturating_add(timeout);
        let max_age = self.max_age.unwrap_or(period.saturating_mul(3).saturating_add(timeout));
        let max_age = within(max_age, "max_age", (least_age, DAY * 7));
        let failure_threshold = self.failure_threshold.unwrap_or(failures);
        for (what, value) in [("failure_threshold", failure_threshold), ("success_threshold", self.success_threshold)] {
            if !(1..=1_000).contains(&value) {
                problems.add(field(what), value, "from 1 to 1000");
            }
        }
        if let Body::Mechanism(mechanism) = &self.body {
            if let Mechanism::Queue(_, 0) = mechanism {
                problems.add(field("depth"), 0, "1 or more");
            }
            if let Some(problem) = mechanism.problem(registry) {
                problems.add(problem.field().to_owned(), problem.value(), problem.allowed());
            }
        }
        let success_threshold = self.success_threshold;
        let is_startup = role == Role::Startup;
        (name, self.body, Settings { period, timeout, failure_threshold, success_threshold, max_age, is_startup })
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}
