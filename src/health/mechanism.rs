//! Checks of mechanisms: each is looked up in the registry by its name, every time.

use super::state::{Failure, Reason};
use crate::bulkhead::{Bulkhead, Snapshot};
use crate::circuit_breaker::{CircuitBreaker, State};
use crate::config::Problem;
#[cfg(feature = "kill-switch")]
use crate::kill_switch::KillSwitches;
use crate::registry::Registry;

/// A mechanism, and the state that is a failure.
#[derive(Clone, Debug)]
pub(super) enum Mechanism {
    /// Open, or forced open.
    CircuitBreaker(String),
    /// Without a free permit.
    Bulkhead(String),
    /// With so many calls in the queue.
    Queue(String, u32),
    /// Engaged for all.
    #[cfg(feature = "kill-switch")]
    KillSwitch(String),
    /// With warnings.
    #[cfg(feature = "kill-switch")]
    KillSwitches(String),
}

impl Mechanism {
    /// The name of the check.
    pub(super) fn label(&self) -> String {
        match self {
            Self::CircuitBreaker(name) => format!("circuit_breaker:{name}"),
            Self::Bulkhead(name) => format!("bulkhead:{name}"),
            Self::Queue(name, _) => format!("queue:{name}"),
            #[cfg(feature = "kill-switch")]
            Self::KillSwitch(id) => format!("kill_switch:{id}"),
            #[cfg(feature = "kill-switch")]
            Self::KillSwitches(name) => format!("kill_switches:{name}"),
        }
    }

    /// Returns the problem if the registry has no such mechanism.
    pub(super) fn problem(&self, registry: &Registry) -> Option<Problem> {
        let (field, name, noun) = match self {
            Self::CircuitBreaker(name) => ("circuit_breaker", name, "circuit breaker"),
            Self::Bulkhead(name) => ("bulkhead", name, "bulkhead"),
            Self::Queue(name, _) => ("queue", name, "bulkhead"),
            #[cfg(feature = "kill-switch")]
            Self::KillSwitch(name) => ("kill_switch", name, "switch of kill switches"),
            #[cfg(feature = "kill-switch")]
            Self::KillSwitches(name) => ("kill_switches", name, "set of kill switches"),
        };
        let is_unknown = self.look(registry).is_err_and(|failure| failure.reason == Reason::NotRegistered);
        let group = match self {
            Self::CircuitBreaker(_) | Self::Bulkhead(_) | Self::Queue(..) => "; a group of keys has no single state",
            #[cfg(feature = "kill-switch")]
            Self::KillSwitch(_) | Self::KillSwitches(_) => "",
        };
        let allowed = || format!("the name of a {noun} in the registry{group}");
        is_unknown.then(|| Problem::new(field, format!("{name:?}"), allowed()))
    }

    /// Looks at the mechanism. No lock is held while its listeners run.
    pub(super) fn look(&self, registry: &Registry) -> Result<(), Failure> {
        let unless = |fails: Option<bool>, reason: Reason| match fails {
            Some(false) => Ok(()),
            Some(true) => Err(reason.into()),
            None => Err(Reason::NotRegistered.into()),
        };
        let bulkhead = |name: &str, fails: &dyn Fn(Snapshot) -> bool| {
            registry.get::<Bulkhead>(name).map(|bulkhead| fails(bulkhead.snapshot()))
        };
        match self {
            Self::CircuitBreaker(name) => {
                let breaker = registry.get::<CircuitBreaker>(name);
                // Once its open time is over it passes, although it stays open until a call comes: without traffic none
                // would.
                let is_open = breaker.map(|breaker| {
                    let has_time_left = breaker.retry_after().is_some_and(|left| !left.is_zero());
                    has_time_left || breaker.state() == State::ForcedOpen
                });
                unless(is_open, Reason::CircuitOpen)
            }
            Self::Bulkhead(name) => unless(bulkhead(name, &|now| now.available() == 0), Reason::BulkheadFull),
            Self::Queue(name, most) => unless(bulkhead(name, &|now| now.queue_depth >= *most), Reason::QueueTooLong),
            #[cfg(feature = "kill-switch")]
            Self::KillSwitch(id) => {
                let is_engaged = registry.all().iter().find_map(|of: &KillSwitches| of.is_engaged_for_all(id));
                unless(is_engaged, Reason::SwitchEngaged)
            }
            #[cfg(feature = "kill-switch")]
            Self::KillSwitches(name) => {
                let Some(switches) = registry.get::<KillSwitches>(name) else {
                    return Err(Reason::NotRegistered.into());
                };
                let warnings = switches.status().warnings();
                let error = crate::events::note(&warnings.join("; "));
                let failure = Failure { reason: Reason::Warnings, error: Some(error) };
                if warnings.is_empty() { Ok(()) } else { Err(failure) }
            }
        }
    }
}
