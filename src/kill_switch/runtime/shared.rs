//! All switches of a program: what the store says, applied to every gate.
//!
//! ```text
//!  store ──▶ read ──▶ accept? ──▶ document in force ──▶ each switch's word ──▶ gates
//!    ▲ watch, and every second       │ kept in memory and on disk
//! ```
//!
//! One thread reads, on the store's notification and every second. A document that cannot be read or is rejected
//! changes nothing; its age is in the status. Another thread serves listeners, metrics and the snapshot: one that hangs
//! delays these, and no engagement.

use super::active::ActiveDocument;
use super::effect::Doubt;
use super::expiry_clock::ExpiryClock;
use super::gate::{Gate, GateState};
use super::last_good::LastGoodFile;
use crate::clock::{Clock, Timestamp, timestamp};
use crate::events::Events;
use crate::kill_switch::store::{Store, StoreError};
use crate::kill_switch::{Document, Event, Sha256, Source, Switch, SwitchId};
use crate::panic::catch_panic;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex};
use std::collections::BTreeMap;
use std::thread::Thread;
use std::time::Duration;

pub(crate) struct Shared {
    pub(crate) name: &'static str,
    pub(crate) instance: String,
    pub(crate) region: Option<String>,
    pub(crate) store: Option<Arc<dyn Store>>,
    /// Changes of this program that the audit has no entry of.
    pub(crate) unrecorded: Arc<AtomicU64>,
    pub(crate) snapshot: Option<LastGoodFile>,
    /// Interval between two reads of the store.
    pub(crate) poll: Duration,
    pub(crate) clock: Clock,
    pub(crate) expiry_clock: ExpiryClock,
    /// The threads that read the store and report.
    pub(crate) threads: Mutex<Vec<Thread>>,
    /// Whether the store was read, or could not be, for the first time.
    pub(crate) has_begun: AtomicBool,
    pub(crate) gates: Mutex<BTreeMap<SwitchId, Arc<Gate>>>,
    pub(crate) active: Mutex<ActiveDocument>,
    pub(crate) events: Events<Event>,
    #[cfg(feature = "metrics")]
    pub(crate) publication: crate::telemetry::Publication,
}

impl Shared {
    /// Returns whether what comes after this document in the store can come into force here.
    pub(crate) fn follows(&self, found: Option<&Document>) -> bool {
        let active = self.active.lock();
        let Some(own) = active.document.as_deref().filter(|_| active.source != Source::BakedIn) else { return true };
        found.is_some_and(|found| {
            let is_same = found.generation() == own.generation() && found.content_hash() == own.content_hash();
            found.store() == own.store() && (found.generation() > own.generation() || is_same)
        })
    }

    /// Returns whether this document, or a later one of its store, is in force.
    pub(crate) fn is_past(&self, document: &Document) -> bool {
        let active = self.active.lock();
        let own = active.document.as_deref();
        own.is_some_and(|own| own.store() == document.store() && own.generation() >= document.generation())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.expiry_clock.now(timestamp(), self.clock.now())
    }

    /// Takes a document that is not the store's: what the program begins with.
    pub(crate) fn begin_with(&self, document: Document, source: Source) {
        let mut active = self.active.lock();
        let document = Arc::new(document);
        (active.document, active.source) = (Some(Arc::clone(&document)), source);
        self.events.push([Event::Applied { document, source }]);
        drop(active);
        self.bring_into_force();
    }

    /// Reads the store, applies it, and reports, on this thread.
    pub(crate) fn refresh(&self) {
        self.read();
        self.tell();
    }

    /// Reads the store and applies its document, without events or writes yet: no listener and no disk holds up the
    /// next reading.
    pub(crate) fn read(&self) {
        if let Some(store) = &self.store {
            let seen = self.active.lock().takes;
            // A store is foreign code.
            let reading = catch_panic(|| store.read());
            let reading = reading.unwrap_or_else(|| Err(StoreError::Other("the store panicked".into())));
            let mut active = self.active.lock();
            let event = active.take(reading, seen, self.clock.now());
            self.events.push(event);
        }
        self.bring_into_force();
    }

    /// Reports the state to listeners, the log and the metrics, and saves the document for the next start.
    pub(crate) fn tell(&self) {
        self.events.dispatch(crate::kill_switch::log::event);
        self.publish();
        let Some(snapshot) = &self.snapshot else { return };
        let document = {
            let active = self.active.lock();
            active.document.clone().filter(|_| active.source == Source::Store)
        };
        if let Some(Err(why)) = document.map(|document| snapshot.keep(&document)) {
            self.events.push([Event::Rejected { code: "snapshot", why }]);
            self.events.dispatch(crate::kill_switch::log::event);
        }
    }

    /// Sets every switch's word by the document in force and the time.
    pub(crate) fn bring_into_force(&self) {
        let active = self.active.lock();
        let gates = self.gates.lock();
        let now = self.now(); // under the locks, so that times do not go back
        for gate in gates.values() {
            let switch = active.document.as_ref().and_then(|document| document.switch(gate.id.as_str()));
            let is_retired = |document: &Arc<Document>| document.is_retired(&gate.id);
            let standing = match switch {
                // A retired switch is permanently released.
                None if active.document.as_ref().is_some_and(is_retired) => GateState::Released,
                None => GateState::Unknown,
                Some(switch) if !switch.is_engaged(now) => GateState::Released,
                Some(switch) => match &switch.engaged {
                    Some(engaged) if !engaged.stage.includes(&self.instance, self.region.as_deref()) => {
                        GateState::Released
                    }
                    Some(engaged) if !engaged.scope.all => {
                        let document =
                            active.document.as_ref().map_or(Sha256::NONE, |document| document.content_hash());
                        GateState::Scoped(&engaged.scope, document)
                    }
                    _ => GateState::Engaged,
                },
            };
            if let Some(defined) = gate.compare(switch.map(|switch| switch.definition.on_unknown)) {
                let (name, declared) = (gate.name, gate.on_unknown);
                self.events.push([Event::Differing { name, declared, defined }]);
            }
            let before = gate.is_engaged();
            gate.set(&standing);
            let trigger = switch.and_then(|switch| switch.trigger_index(now));
            if before != gate.is_engaged() {
                gate.count_transition(!before, trigger);
                self.events.push([Event::Switched { name: gate.name, is_engaged: !before }]);
            }
            if let Some(trigger) = trigger.filter(|_| gate.is_engaged()) {
                gate.is_engaged_by(trigger);
            }
            let doubt = self.doubt(gate, switch, now);
            if gate.is_new_doubt(doubt.as_ref()) {
                let why = doubt.map(|doubt| doubt.to_string()).unwrap_or_default();
                self.events.push([Event::NotInForce { name: gate.name, why }]);
            }
        }
    }

    /// The reason why a switch that is engaged does not block requests here that it is meant for.
    pub(crate) fn doubt(&self, gate: &Gate, switch: Option<&Switch>, now: Timestamp) -> Option<Doubt> {
        let switch = switch.filter(|switch| switch.is_engaged(now))?;
        let stage = switch.engaged.as_ref().map(|engaged| &engaged.stage)?;
        if stage.includes(&self.instance, self.region.as_deref()) {
            return gate.doubt();
        }
        let region = self.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
        Some(Doubt::Elsewhere { stage: stage.to_string(), instance: format!("{}{region}", self.instance) })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.end_gauges();
        for thread in self.threads.lock().drain(..) {
            thread.unpark(); // it sees that the switches are gone, and drops the store
        }
    }
}
