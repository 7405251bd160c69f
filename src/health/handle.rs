//! The handle that users hold, and its builder.

use super::check::Check;
use super::event::Event;
use super::report::Report;
use super::run::run;
use super::shared::{Entry, Shared};
use super::state::{Role, Status};
use crate::clock::Clock;
use crate::config::{ConfigError, Problems};
use crate::events::Subscription;
use crate::registry::Registry;
use crate::shared_ref::Counted;
use crate::sync::Arc;
use std::collections::HashSet;
use std::fmt;

/// Most checks of one handle: each is a series and a row of every report.
const CHECKS_MAX: usize = 1_000;

/// The health checks of a program: a cheap handle, whose clones share them. See the [module](super).
#[derive(Clone)]
pub struct Health {
    pub(super) shared: Counted<Shared>,
}

impl Health {
    /// Starts without any check: live, started and ready.
    pub fn builder() -> HealthBuilder {
        HealthBuilder { checks: Vec::new(), registry: Registry::new(), clock: Clock::system() }
    }

    /// Runs the checks until the last handle is dropped. Nothing happens before it is polled, and nothing while another
    /// one runs them.
    ///
    /// The router of the feature `axum` spawns it at the first probe. Spawn it yourself if deep checks have to run
    /// whether or not there are probes, or if you have a server of your own. Without a tokio runtime every check fails
    /// (`no_runtime`); a time driver is not needed.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the runs in progress. Results stay until they are older than `max_age`, and another `run` goes
    /// on from there.
    pub fn run(&self) -> impl Future<Output = ()> + Send + 'static {
        run(self.shared.for_call())
    }

    /// The checks of a role as of now, from memory: it waits for nothing.
    pub fn report(&self, role: Role) -> Report {
        self.shared.look();
        self.shared.report(role)
    }

    /// Returns whether the instance takes traffic: it has started, and no readiness check fails or has no result.
    pub fn is_ready(&self) -> bool {
        self.shared.status(Role::Readiness) == Status::Passing
    }

    /// Returns whether every startup check has passed once.
    pub fn is_started(&self) -> bool {
        self.shared.is_started()
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
        f.debug_struct("Health").field("readiness", &self.shared.status(Role::Readiness)).finish_non_exhaustive()
    }
}

/// Declares the checks. Setters never fail; `build` returns every problem at once.
#[must_use = "it does nothing before `build`"]
#[derive(Debug)]
pub struct HealthBuilder {
    checks: Vec<(Role, Check)>,
    registry: Registry,
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

    /// The registry in which checks of mechanisms find them. Default: an empty one.
    ///
    /// Mechanisms are added before `build`, and found by name at each run: one that was removed and added again is
    /// the new one.
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.registry = registry.clone();
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
    /// Every setting out of its range; names that are empty, longer than 128 bytes, used twice, or those of a role; a
    /// mechanism that is not in the registry, or is a group of keys; more than 1,000 checks.
    pub fn build(self) -> Result<Health, ConfigError> {
        let Self { checks, registry, clock } = self;
        let mut problems = Problems::default();
        problems.require(checks.len() <= CHECKS_MAX, "checks", checks.len(), format!("at most {CHECKS_MAX}"));
        let mut names: HashSet<_> = [Role::Startup, Role::Readiness, Role::Deep].map(Role::as_str).into();
        let mut entries = Vec::new();
        for (role, check) in checks {
            let resolved = check.resolve(role, &registry, &mut problems);
            let is_new = names.insert(resolved.0) || resolved.0.is_empty();
            let allowed = "a name that no other check has, and not startup, readiness or deep";
            problems.require(is_new, "name", format!("{:?}", resolved.0), allowed);
            entries.push(Entry::new(role, resolved));
        }
        let entries = problems.into_result(entries)?.into_boxed_slice();
        Ok(Health { shared: Counted::new(Shared::new(entries, registry, clock)) })
    }
}
