//! Checks of mechanisms.

use super::check::Check;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::{CircuitBreaker, State};
#[cfg(feature = "kill-switch")]
use crate::kill_switch::{KillSwitch, KillSwitches};
use std::future::ready;
use std::time::Duration;

/// Each keeps a handle of its mechanism.
impl Check {
    /// Fails while this circuit is open and has open time left, or is forced open. After that it passes: probes need
    /// traffic. Period: 1 s; `failure_threshold`: 1; name: `circuit_breaker:` and that of the breaker.
    ///
    /// Every instance that calls the dependency opens its circuit when the dependency fails. As a readiness check this
    /// takes the whole service down, even the requests that never needed the dependency. Declare it only where every
    /// request does, and other instances may still reach it.
    pub fn circuit_breaker(breaker: &CircuitBreaker) -> Self {
        let (name, breaker) = (format!("circuit_breaker:{}", breaker.name()), breaker.clone());
        // Once its open time is over it passes, although it stays open until a call comes: without traffic none would.
        Self::of_state(name, 1, "the circuit is open", move || {
            breaker.retry_after().is_some_and(|left| !left.is_zero()) || breaker.state() == State::ForcedOpen
        })
    }

    /// Fails while every permit of this bulkhead is taken, at each look for 10 s. Period: 1 s; `failure_threshold`: 10;
    /// name: `bulkhead:` and that of the bulkhead.
    ///
    /// As a readiness check it sends the load to the other instances, and fills them. It helps where one instance has
    /// more load than the others; otherwise, leave it to the bulkhead's rejections.
    pub fn bulkhead(bulkhead: &Bulkhead) -> Self {
        let (name, bulkhead) = (format!("bulkhead:{}", bulkhead.name()), bulkhead.clone());
        Self::of_state(name, 10, "every permit is taken", move || bulkhead.snapshot().available() == 0)
    }

    /// Fails while more than `depth` calls wait in the queue of this bulkhead, at each look for 10 s. Period: 1 s;
    /// `failure_threshold`: 10; name: `queue:` and that of the bulkhead. The caution of [`bulkhead`](Self::bulkhead)
    /// holds here, too.
    pub fn queue(bulkhead: &Bulkhead, depth: u32) -> Self {
        let (name, bulkhead) = (format!("queue:{}", bulkhead.name()), bulkhead.clone());
        Self::of_state(name, 10, "too many calls wait", move || bulkhead.snapshot().queue_depth > depth)
    }

    /// Fails while this switch blocks every request on this instance, not some. Period: 1 s; `failure_threshold`: 1;
    /// name: `kill_switch:` and that of the switch.
    ///
    /// A switch is engaged on every instance: as a readiness check it takes the whole service out of traffic. Declare
    /// it for a switch that is meant to do that.
    #[cfg(feature = "kill-switch")]
    pub fn kill_switch(switch: &KillSwitch) -> Self {
        let (name, switch) = (format!("kill_switch:{}", switch.name()), switch.clone());
        Self::of_state(name, 1, "the switch is engaged", move || switch.blocks_everybody())
    }

    /// Fails while the [status](KillSwitches::status) of these kill switches has warnings: an expired definition, a
    /// store that cannot be read. It is meant as a deep check. Name: `kill_switches:` and that of the set.
    #[cfg(feature = "kill-switch")]
    pub fn kill_switches(switches: &KillSwitches) -> Self {
        let (name, switches) = (format!("kill_switches:{}", switches.name()), switches.clone());
        Self::new(name, move || {
            let warnings = switches.status().warnings();
            ready(if warnings.is_empty() { Ok(()) } else { Err(warnings.join("; ")) })
        })
    }

    fn of_state(
        name: String,
        failures: u32,
        error: &'static str,
        fails: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let check = Self::new(name, move || ready(if fails() { Err(error) } else { Ok(()) }));
        check.period(Duration::from_secs(1)).failure_threshold(failures)
    }
}
