//! One check as the user declares it.

use super::machine::Settings;
use super::shared::{Entry, Run};
use super::state::Role;
use crate::config::{Problems, intern, setters};
use crate::reject::BoxError;
use crate::sync::Arc;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// One check: a future of yours, or the state of a mechanism.
///
/// The effect of its failure depends on the role in which it is added to the [builder](super::HealthBuilder).
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
    run: Run,
    period: Option<Duration>,
    timeout: Option<Duration>,
    failure_threshold: Option<u32>,
    success_threshold: u32,
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
        let run: Run = Arc::new(move || {
            let run = check();
            Box::pin(async move {
                let result = run.await.map(drop);
                result.map_err(|error| crate::events::note(&error.into().to_string()))
            })
        });
        let (period, timeout, failure_threshold) = (None, None, None);
        Self { name: name.into(), run, period, timeout, failure_threshold, success_threshold: 1 }
    }

    /// Checks the settings for a role. Problems are those of fields of this check.
    pub(super) fn resolve(self, role: Role, problems: &mut Problems) -> Entry {
        const DAY: Duration = Duration::from_secs(86_400);
        let name = intern("name", &self.name).unwrap_or_else(|error| {
            problems.extend(error);
            ""
        });
        let (period, timeout, failures) = match role {
            Role::Startup => (1, 1, 30),
            Role::Readiness => (5, 1, 3),
            Role::Deep => (60, 10, 2),
        };
        let period = self.period.unwrap_or(Duration::from_secs(period));
        let timeout = self.timeout.unwrap_or(Duration::from_secs(timeout));
        let failure_threshold = self.failure_threshold.unwrap_or(failures);
        let success_threshold = self.success_threshold;
        within(problems, format!("{name}.period"), &period, Duration::from_millis(10)..=DAY);
        within(problems, format!("{name}.timeout"), &timeout, Duration::from_millis(1)..=DAY);
        within(problems, format!("{name}.failure_threshold"), &failure_threshold, 1..=1_000);
        within(problems, format!("{name}.success_threshold"), &success_threshold, 1..=1_000);
        Entry::new(Settings { name, role, period, timeout, failure_threshold, success_threshold }, self.run)
    }
}

fn within<T: PartialOrd + fmt::Debug>(problems: &mut Problems, field: String, value: &T, range: RangeInclusive<T>) {
    if !range.contains(value) {
        let allowed = format!("from {:?} to {:?}", range.start(), range.end());
        problems.add(field, format!("{value:?}"), allowed);
    }
}

setters! { const Check:
    /// Time from one run to the next; a run that takes longer delays the next. Default: 1 s for startup, 5 s for
    /// readiness, 60 s for a deep check. Valid: 10 ms to a day.
    ///
    /// Smaller notices sooner, and asks the dependency more often, from each instance.
    pub fn period(period: Duration) = Some(period);

    /// Time after which a run is dropped and counts as failed. Default: 1 s, 10 s for a deep check. Valid: 1 ms to a
    /// day.
    ///
    /// Smaller fails slow answers; larger notices a hanging dependency later.
    pub fn timeout(timeout: Duration) = Some(timeout);

    /// Failures in a row until the check fails. Default: 30 for startup, 3 for readiness, 2 for a deep check. Valid: 1
    /// to 1,000.
    ///
    /// Smaller reacts sooner, and to a single lost packet; larger takes longer: `period` × threshold.
    pub fn failure_threshold(failures: u32) = Some(failures);

    /// Passes in a row until the check passes, the first time as well. Default: 1. Valid: 1 to 1,000.
    ///
    /// Larger keeps a dependency that comes and goes out for longer.
    pub fn success_threshold(passes: u32);
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}
