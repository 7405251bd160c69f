//! What can be done to a bulkhead by hand, at once and from any thread: nothing here waits.

use super::common::count;
use super::compartment::{change, count_exit, wake_all};
use super::config::BulkheadConfig;
use super::holder::Holder;
use super::snapshot::EventKind;
use crate::sync::Arc;

pub(super) fn resize<H: Holder>(holder: &H, limit: u32, note: &Arc<str>) {
    change(holder, |compartment, core, now| {
        let from = compartment.permits.limit();
        let limit = core.machine.resize(limit);
        holder.common().set_config(Arc::clone(core.machine.config()));
        compartment.permits.set_limit(limit);
        (from != limit).then(|| compartment.event(core, holder, EventKind::Resized { from }, now, note))
    });
}

/// Brings a compartment in line with new settings, and does the rest that has to be done at the same moment.
pub(super) fn reconfigure<H: Holder>(holder: &H, config: &Arc<BulkheadConfig>, rest: impl FnOnce()) {
    let mut wakes = Vec::new();
    change(holder, |compartment, core, now| {
        if config.max_hold != core.machine.config().max_hold {
            wakes.extend(core.machine.wakes().filter_map(Option::take)); // they look again at another time
        }
        let from = compartment.permits.limit();
        let limit = core.machine.reconfigure(Arc::clone(config), from);
        compartment.permits.set_limit(limit);
        compartment.flag(config);
        rest();
        (from != limit).then(|| compartment.event(core, holder, EventKind::Resized { from }, now, &"".into()))
    });
    wake_all(wakes);
}

pub(super) fn reset_in_flight<H: Holder>(holder: &H, note: &Arc<str>) {
    change(holder, |compartment, core, now| {
        let taken_away = compartment.permits.take_away();
        core.machine.clear();
        for _ in 0..taken_away {
            count_exit(holder, true);
            count(&holder.common().taken_away);
        }
        Some(compartment.event(core, holder, EventKind::Reset { taken_away }, now, note))
    });
}
