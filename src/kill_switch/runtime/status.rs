//! Status of the switches, and the publication of their metrics.

#[cfg(feature = "metrics")]
use super::effect::Doubt;
use super::gate::Gate;
use super::last_good::LastGoodFile;
use super::shared::Shared;
#[cfg(feature = "metrics")]
use crate::kill_switch::metrics;
use crate::kill_switch::status::NotInForce;
use crate::kill_switch::status::is_overdue;
use crate::kill_switch::{Document, Source, Status};
use crate::sync::Ordering;
use std::time::Duration;

impl Shared {
    pub(crate) fn status(&self) -> Status {
        let now = self.now();
        let active = self.active.lock();
        let document = active.document.as_deref();
        let gates: Vec<_> = self.gates.lock().values().cloned().collect();
        let named = |is: &dyn Fn(&Gate) -> bool| gates.iter().filter(|gate| is(gate)).map(|gate| gate.name).collect();
        let is_defined = |gate: &Gate| document.is_some_and(|document| document.switch(gate.id.as_str()).is_some());
        let is_retired = |gate: &Gate| document.is_some_and(|document| document.is_retired(&gate.id));
        let unknown = named(&|gate| !is_defined(gate) && !is_retired(gate));
        let retired = named(&|gate| is_retired(gate));
        let differing = named(&|gate| gate.is_differing());
        let of = |gate: &Gate| document.and_then(|document| document.switch(gate.id.as_str()));
        let doubts = gates.iter().filter_map(|gate| {
            let why = self.doubt(gate, of(gate), now)?.to_string();
            Some(NotInForce { switch: gate.name, why })
        });
        let not_in_force = doubts.collect();
        let switches = document.map(Document::switches).unwrap_or_default();
        let expired = switches.iter().filter(|switch| switch.definition.is_expired(now));
        let overdue = switches.iter().filter(|switch| is_overdue(switch, now));
        let since_good = self.clock.now().saturating_duration_since(active.good_at);
        let is_unread = since_good > self.poll.saturating_mul(3); // the store hangs, or its thread is gone
        let is_bad = active.refused.is_some() || active.source != Source::Store;
        let is_stale = self.store.is_some() && (is_unread || is_bad);
        Status {
            source: active.source,
            generation: document.map_or(0, Document::generation),
            stale_for: if is_stale { since_good } else { Duration::ZERO },
            refused: active.refused.as_ref().map(|(_, why)| why.clone()),
            refusals: active.refusals,
            unrecorded: self.unrecorded.load(Ordering::Relaxed),
            snapshot: self.snapshot.as_ref().and_then(LastGoodFile::failure),
            unknown,
            retired,
            expired: expired.map(|switch| switch.id.to_string()).collect(),
            overdue: overdue.map(|switch| switch.id.to_string()).collect(),
            differing,
            not_in_force,
        }
    }

    #[cfg_attr(not(feature = "metrics"), expect(clippy::unused_self, reason = "nothing to publish to"))]
    pub(crate) fn publish(&self) {
        #[cfg(feature = "metrics")]
        {
            self.publication.run(|publisher| metrics::publish_board(publisher, self.name, &self.status()));
            let gates: Vec<_> = self.gates.lock().values().cloned().collect();
            for gate in gates {
                gate.publication.run(|publisher| {
                    let (now, document) = (self.now(), self.active.lock().document.clone());
                    let switch = document.as_ref().and_then(|document| document.switch(gate.id.as_str()));
                    let is_elsewhere = matches!(self.doubt(&gate, switch, now), Some(Doubt::Elsewhere { .. }));
                    metrics::publish_point(publisher, &gate, switch, is_elsewhere, now)
                });
            }
        }
    }

    /// The last handle is gone: the gauges end.
    #[cfg_attr(not(feature = "metrics"), expect(clippy::unused_self, reason = "nothing to publish to"))]
    pub(crate) fn end_gauges(&self) {
        #[cfg(feature = "metrics")]
        {
            self.publication.end();
            self.gates.lock().values().for_each(|gate| gate.publication.end());
            self.publish();
        }
    }
}
