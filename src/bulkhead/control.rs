//! Manual control: at once and from any thread; nothing here blocks.

use super::compartment::{count_exit, wake_all};
use super::config::BulkheadConfig;
use super::counters::count;
use super::event::Event;
use super::owner::Owner;
use crate::sync::Arc;

pub(super) fn resize<O: Owner>(owner: &O, limit: u32, note: &Arc<str>) {
    owner.compartment().change(owner, |compartment, core, at| {
        let from = compartment.permits.limit();
        let limit = core.machine.resize(limit);
        owner.counters().set_config(Arc::clone(core.machine.config()));
        compartment.permits.set_limit(limit);
        let (name, load, note) = (owner.counters().name, compartment.load(core), Some(Arc::clone(note)));
        (from != limit).then_some(Event::Resized { name, at, load, from, note })
    });
}

/// Applies new settings to a compartment, and runs `rest` at the same moment.
pub(super) fn reconfigure<O: Owner>(owner: &O, config: &Arc<BulkheadConfig>, rest: impl FnOnce()) {
    let mut wakes = Vec::new();
    owner.compartment().change(owner, |compartment, core, at| {
        if config.max_hold != core.machine.config().max_hold {
            wakes.extend(core.machine.wakes().filter_map(Option::take)); // their next look is at another time
        }
        let from = compartment.permits.limit();
        let limit = core.machine.reconfigure(Arc::clone(config), from);
        compartment.permits.set_limit(limit);
        compartment.flag(config);
        rest();
        let (name, load) = (owner.counters().name, compartment.load(core));
        (from != limit).then_some(Event::Resized { name, at, load, from, note: None })
    });
    wake_all(wakes);
}

pub(super) fn reset_in_flight<O: Owner>(owner: &O, note: &Arc<str>) {
    owner.compartment().change(owner, |compartment, core, at| {
        let revoked = compartment.permits.revoke();
        core.machine.clear();
        for _ in 0..revoked {
            count_exit(owner, true);
            count(&owner.counters().revoked);
        }
        let (name, load) = (owner.counters().name, compartment.load(core));
        Some(Event::Reset { name, at, load, revoked, note: Some(Arc::clone(note)) })
    });
}
