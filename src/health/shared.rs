//! State that all handles of the checks share.

use super::event::Event;
use super::log;
use super::machine::{Failure, Machine, Settings};
use super::report::Report;
use super::state::Role;
use crate::clock::{Clock, Instant};
use crate::events::Events;
use crate::sync::{Arc, Mutex};
use std::pin::Pin;

/// Makes a run of a check. Its error is a text.
pub(super) type Run = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), Arc<str>>> + Send>> + Send + Sync>;

/// One check.
pub(super) struct Entry {
    pub(super) settings: Settings,
    pub(super) run: Run,
    /// Counted by the run in progress as well.
    pub(super) running: Arc<()>,
    pub(super) machine: Mutex<Machine>,
}

/// All checks.
pub(super) struct Shared {
    pub(super) checks: Vec<Entry>,
    pub(super) clock: Clock,
    pub(super) events: Events<Event>,
    #[cfg(feature = "metrics")]
    pub(super) publication: crate::telemetry::Publication,
}

impl Entry {
    pub(super) fn new(settings: Settings, run: Run) -> Self {
        Self { settings, run, running: Arc::new(()), machine: Mutex::new(Machine::new(settings)) }
    }

    /// Returns whether a run has not ended, be it one that was dropped.
    pub(super) fn is_running(&self) -> bool {
        Arc::strong_count(&self.running) > 1
    }
}

impl Shared {
    pub(super) fn new(checks: Vec<Entry>, clock: Clock) -> Self {
        Self {
            checks,
            clock,
            events: Events::default(),
            #[cfg(feature = "metrics")]
            publication: crate::telemetry::Publication::default(),
        }
    }

    /// Records a result; the log, listeners and metrics get a change after the lock is released.
    pub(super) fn record(&self, check: &Entry, result: Result<(), Failure>, begun: Instant) {
        let mut machine = check.machine.lock();
        let Some(event) = machine.record(result, begun, self.clock.now()) else { return };
        self.events.push([event]);
        drop(machine);
        self.events.dispatch(log::event);
        self.publish_now();
    }

    /// The checks of a role; readiness has those of startup, too.
    pub(super) fn report(&self, role: Role) -> Report {
        let now = self.clock.now();
        let is_of = |of| of == role || (of, role) == (Role::Startup, Role::Readiness);
        let checks = self.checks.iter().filter(|check| is_of(check.settings.role));
        Report::new(checks.map(|check| check.machine.lock().report(now)).collect())
    }
}
