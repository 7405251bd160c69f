//! The handle that users hold, and its builder.

use super::check::Check;
use super::event::Event;
use super::report::Report;
use super::run::run;
use super::shared::Shared;
use super::state::{Role, Status};
use crate::clock::Clock;
use crate::config::{ConfigError, Problems};
use crate::events::Subscription;
use crate::shared_ref::Counted;
use crate::sync::{Arc, Mutex};
use std::collections::HashSet;
use std::fmt;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Most checks of one handle: each is a series and a row of every report.
const CHECKS_MAX: usize = 1_000;

/// The health checks of a program: a cheap handle, whose clones share them. See the [module](super).
#[derive(Clone)]
pub struct Health {
    shared: Counted<Shared>,
    /// The task that runs the checks, at most one. The drop of the last handle aborts it.
    task: Arc<Mutex<JoinSet<()>>>,
}

impl Health {
    /// Starts without any check: live, started and ready.
    pub fn builder() -> HealthBuilder {
        HealthBuilder { checks: Vec::new(), clock: Clock::system() }
    }

    /// Runs the checks on the current tokio runtime, until the last handle is dropped or the runtime is shut down. A
    /// no-op while they run; after the end of their runtime they run again on this one.
    ///
    /// The router of the feature `axum` calls it at each probe. Call it yourself if checks have to run whether or not
    /// there are probes, or if you have a server of your own. A time driver is not needed. Returns `false`, and does
    /// nothing, outside of a tokio runtime.
    pub fn start(&self) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        let mut task = self.task.lock();
        while task.try_join_next().is_some() {} // it has ended, with its runtime
        if task.is_empty() {
            task.spawn_on(run(self.shared.for_call()), &runtime);
        }
        true
    }

    /// The checks of a role as of now, from memory: it waits for nothing.
    pub fn report(&self, role: Role) -> Report {
        self.shared.look();
        self.shared.report(role)
    }

    /// Returns whether the instance takes traffic: it has started, and no readiness check fails or has no result.
    pub fn is_ready(&self) -> bool {
        self.shared.report(Role::Readiness).status == Status::Passing
    }

    /// Returns whether every startup check has passed once.
    pub fn is_started(&self) -> bool {
        self.shared.report(Role::Startup).status == Status::Passing
    }

    /// Calls `listener` with every change of a check's status until the subscription is dropped. It runs outside of
    /// every lock; a slow one holds up the check that changed.
    pub fn subscribe(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        self.shared.events.subscribe(Arc::new(listener))
    }

    /// Brings the metrics up to date.
    pub fn publish(&self) {
        self.shared.publish_now();
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

/// Declares the checks. Setters never fail; `build` returns every problem at once.
#[must_use = "it does nothing before `build`"]
#[derive(Clone, Debug)]
pub struct HealthBuilder {
    checks: Vec<(Role, Check)>,
    clock: Clock,
}

impl HealthBuilder {
    /// Adds a check that has to pass once before the instance is ready and the other checks begin.
    pub fn startup(self, check: Check) -> Self {
        self.check(Role::Startup, check)
    }

    /// Adds a check that takes traffic away while it fails, or has no result. Nothing else does.
    ///
    /// If it asks what all instances share, they all fail at once, and the service is down: see the
    /// [module](super#readiness-takes-traffic-away).
    pub fn readiness(self, check: Check) -> Self {
        self.check(Role::Readiness, check)
    }

    /// Adds a check that alerts while it fails, and never takes traffic away.
    pub fn deep(self, check: Check) -> Self {
        self.check(Role::Deep, check)
    }

    fn check(mut self, role: Role, check: Check) -> Self {
        self.checks.push((role, check));
        self
    }

    /// The clock. Default: the system's monotonic clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Every setting out of its range; names that are empty, longer than 128 bytes, used twice, or those of a role;
    /// more than 1,000 checks.
    pub fn build(self) -> Result<Health, ConfigError> {
        let mut problems = Problems::default();
        let count = self.checks.len();
        problems.require(count <= CHECKS_MAX, "checks", count, format!("at most {CHECKS_MAX}"));
        let mut names: HashSet<_> = Role::ALL.map(Role::as_str).into();
        let mut checks = Vec::with_capacity(count);
        for (role, check) in self.checks {
            let check = check.resolve(role, &mut problems);
            let name = check.settings.name;
            let allowed = "a name that no other check has, and not startup, readiness or deep";
            problems.require(name.is_empty() || names.insert(name), "name", format!("{name:?}"), allowed);
            checks.push(check);
        }
        let shared = Counted::new(Shared::new(problems.into_result(checks)?, self.clock));
        Ok(Health { shared, task: Arc::default() })
    }
}
