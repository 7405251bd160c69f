//! All switches of a program: what the store says, applied to every gate.
//!
//! ```text
//!  store ──▶ read ──▶ accept? ──▶ document in force ──▶ each switch's word ──▶ gates
//!    ▲ watch, and every second       │ kept for ever, and on disk
//! ```
//!
//! A thread of its own reads: whenever the store says that there may be something new, and every second. What cannot be
//! read, or is refused, changes nothing; how old the document in force is can be seen. Another thread tells: a listener,
//! a recorder or a disk that hangs holds up what is told, and no engagement.

use super::active::ActiveDocument;
use super::compiled_scope::CompiledScope;
use super::expiry_clock::ExpiryClock;
use super::gate::{Gate, GateState};
use super::last_good::Snapshot;
use crate::clock::{Clock, Timestamp, timestamp};
use crate::config::{ConfigError, Problem, intern};
use crate::events::{Events, Subscription};
use crate::kill_switch::builder::KillSwitchesBuilder;
use crate::kill_switch::control::editor::{Committed, Editor};
use crate::kill_switch::control::error::EditError;
use crate::kill_switch::handle::KillSwitch;
use crate::kill_switch::metrics;
use crate::kill_switch::model::author::Author;
use crate::kill_switch::model::change::Change;
use crate::kill_switch::model::document::Document;
use crate::kill_switch::model::id::SwitchId;
use crate::kill_switch::model::switch::OnUnknown;
use crate::kill_switch::status::{Event, Source, Status};
use crate::kill_switch::store::error::StoreError;
use crate::panic::catch_panic;
use crate::sync::{Arc, AtomicBool, Mutex};
use std::collections::BTreeMap;
use std::fmt;
use std::thread::Thread;
use std::time::Duration;

/// All switches of a program: a cheap handle to them, made by [`KillSwitches::builder`].
///
/// The thread that reads the store ends with the last handle, switches and layers among them.
#[derive(Clone)]
pub struct KillSwitches {
    pub(in crate::kill_switch) shared: Arc<Shared>,
}

pub(in crate::kill_switch) struct Shared {
    pub(in crate::kill_switch) name: &'static str,
    pub(in crate::kill_switch) instance: String,
    pub(in crate::kill_switch) region: Option<String>,
    pub(in crate::kill_switch) editor: Option<Editor>,
    pub(in crate::kill_switch) snapshot: Option<Snapshot>,
    /// How often the store is read.
    pub(in crate::kill_switch) poll: Duration,
    pub(in crate::kill_switch) clock: Clock,
    expiry_clock: ExpiryClock,
    /// The threads that read the store and tell of it.
    pub(in crate::kill_switch) threads: Mutex<Vec<Thread>>,
    /// Whether the store was read, or could not be, for the first time.
    pub(in crate::kill_switch) has_begun: AtomicBool,
    pub(in crate::kill_switch) gates: Mutex<BTreeMap<SwitchId, Arc<Gate>>>,
    pub(in crate::kill_switch) active: Mutex<ActiveDocument>,
    pub(in crate::kill_switch) events: Events<Event>,
    #[cfg(feature = "metrics")]
    pub(in crate::kill_switch) publish_lock: crate::telemetry::PublishLock,
}

impl KillSwitches {
    /// Starts from the defaults: no store, every switch unknown.
    pub fn builder(name: impl Into<String>) -> KillSwitchesBuilder {
        KillSwitchesBuilder::new(name.into())
    }

    /// The name, as it stands in metrics.
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// The name of this instance, as stages have it.
    pub fn instance(&self) -> &str {
        &self.shared.instance
    }

    /// The region of this instance, as scopes and stages have it.
    pub fn region(&self) -> Option<&str> {
        self.shared.region.as_deref()
    }

    /// Whether a switch is engaged on this instance, for whomever; `None` where the program has asked for no such switch.
    pub fn is_engaged(&self, id: &str) -> Option<bool> {
        let id = SwitchId::new(id).ok()?;
        self.shared.gates.lock().get(&id).map(|gate| gate.is_engaged())
    }

    /// Whether both handles are of the same switches.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// A switch of the program. `on_unknown` says what holds as long as no document knows it.
    ///
    /// A definition that says otherwise changes nothing: it is not there when it would count. [`Event::Differing`],
    /// the log and [`Status::differing`] tell.
    ///
    /// # Errors
    ///
    /// An id that is not of the form `[a-z0-9][a-z0-9._-]{0,127}`, or that was asked for before with another
    /// `on_unknown`.
    pub fn switch(&self, id: &str, on_unknown: OnUnknown) -> Result<KillSwitch, ConfigError> {
        let id = SwitchId::new(id)?;
        let name = intern("switch", id.as_str())?;
        let gate = {
            let mut gates = self.shared.gates.lock();
            let make = || Arc::new(Gate::new(name, id.clone(), on_unknown, self.shared.region.as_deref()));
            Arc::clone(gates.entry(id.clone()).or_insert_with(make))
        };
        if gate.on_unknown != on_unknown {
            let allowed = format!("{:?}, as where {id} was asked for first", gate.on_unknown);
            return Err(ConfigError::of(Problem::new("on_unknown", format!("{on_unknown:?}"), allowed)));
        }
        self.shared.bring_into_force();
        self.shared.tell();
        Ok(KillSwitch::new(gate, self.clone()))
    }

    /// The document in force; `None` as long as there has been none.
    pub fn document(&self) -> Option<Arc<Document>> {
        self.shared.active.lock().document.clone()
    }

    /// What the board knows of itself.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Changes the document in the store, and applies it here at once.
    ///
    /// An audit that cannot be written holds nothing up: [`Event::Unrecorded`], the log and a metric tell.
    ///
    /// # Errors
    ///
    /// As [`Editor::change`]; [`EditError::Empty`] where there is no store, [`EditError::Behind`] where what is in the store
    /// could not come into force here. After [`StoreError::NotDurable`](crate::kill_switch::store::StoreError::NotDurable) the change is
    /// in force nevertheless.
    pub fn change(&self, change: &Change, by: &Author) -> Result<Arc<Document>, EditError> {
        match self.change_where(change, by, |_| true)? {
            Ok(changes) => Ok(Arc::new(changes.document)),
            Err(_) => Err(EditError::Busy), // the condition is always true
        }
    }

    /// As [`change`](Self::change), as long as the document in the store meets a condition; else, that document.
    pub(crate) fn change_where(
        &self,
        change: &Change,
        by: &Author,
        condition: impl Fn(Option<&Document>) -> bool,
    ) -> Result<Result<Committed, Option<Document>>, EditError> {
        let editor = self.shared.editor.as_ref().ok_or(EditError::Empty)?;
        self.shared.read(); // so that what is in force is no older than what the change is made on
        let told = editor.change_where(change, by, |found| self.shared.follows(found) && condition(found));
        if matches!(told, Ok(Ok(_)) | Err(EditError::Store(StoreError::NotDurable { .. }))) {
            self.shared.refresh();
        }
        match told? {
            Err(found) if !self.shared.follows(found.as_ref()) => Err(self.shared.behind(found.as_ref())),
            // What the store had was refused here for another reason, and so is what came of it.
            Ok(changes) if !self.shared.is_past(&changes.document) => Err(self.shared.behind(Some(&changes.document))),
            Ok(Committed { document, unrecorded: Some(why) }) => {
                self.shared.unrecorded(document.generation(), why.clone());
                Ok(Ok(Committed { document, unrecorded: Some(why) }))
            }
            made => Ok(made),
        }
    }

    /// Puts the document in force into the store, above all that is there: the way back from a store that was damaged,
    /// deleted or brought back from an older time.
    ///
    /// # Errors
    ///
    /// [`EditError::Empty`] where there is no store, or no document in force; what the store says.
    pub fn restore(&self, by: &Author) -> Result<Arc<Document>, EditError> {
        let editor = self.shared.editor.as_ref().ok_or(EditError::Empty)?;
        let document = self.document().ok_or(EditError::Empty)?;
        let restored = editor.restore(&document, by);
        if matches!(restored, Ok(_) | Err(EditError::Store(StoreError::NotDurable { .. }))) {
            self.shared.refresh();
        }
        let Committed { document, unrecorded } = restored?;
        if let Some(why) = unrecorded {
            self.shared.unrecorded(document.generation(), why);
        }
        Ok(Arc::new(document))
    }

    /// Where documents are changed and earlier ones are read; `None` without a store.
    pub fn editor(&self) -> Option<&Editor> {
        self.shared.editor.as_ref()
    }

    /// Reads the store now, on this thread. The board's own thread does so every second.
    pub fn refresh(&self) {
        self.shared.refresh();
    }

    /// Calls `listener` with every event until the subscription is dropped. It runs outside every lock, on the thread of
    /// whoever changed something here, or on the board's own that tells: one that hangs holds up what is told, and no
    /// engagement.
    pub fn subscribe(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        self.shared.events.subscribe(Arc::new(listener))
    }

    /// Brings the metrics up to date. [`Registry::publish`](crate::Registry::publish) does it for all.
    pub fn publish(&self) {
        self.shared.publish();
    }
}

impl Shared {
    pub(in crate::kill_switch) fn new(
        name: &'static str,
        instance: String,
        region: Option<String>,
        editor: Option<Editor>,
        snapshot: Option<Snapshot>,
        poll: Duration,
        clock: Clock,
    ) -> Self {
        let now = clock.now();
        Self {
            name,
            instance,
            region,
            editor,
            snapshot,
            poll,
            threads: Mutex::default(),
            has_begun: AtomicBool::new(false),
            expiry_clock: ExpiryClock::new(timestamp(), now),
            clock,
            gates: Mutex::new(BTreeMap::new()),
            active: Mutex::new(ActiveDocument::new(now)),
            events: Events::default(),
            #[cfg(feature = "metrics")]
            publish_lock: crate::telemetry::PublishLock::default(),
        }
    }

    pub(in crate::kill_switch) fn editor(&self) -> Option<&Editor> {
        self.editor.as_ref()
    }

    /// Whether what comes after this document in the store can come into force here.
    fn follows(&self, found: Option<&Document>) -> bool {
        let active = self.active.lock();
        let Some(own) = active.document.as_deref().filter(|_| active.source != Source::BakedIn) else { return true };
        found.is_some_and(|found| {
            let is_same = found.generation() == own.generation() && found.content_hash() == own.content_hash();
            found.store() == own.store() && (found.generation() > own.generation() || is_same)
        })
    }

    /// Whether this document, or a later one of its store, is in force.
    fn is_past(&self, document: &Document) -> bool {
        let active = self.active.lock();
        let own = active.document.as_deref();
        own.is_some_and(|own| own.store() == document.store() && own.generation() >= document.generation())
    }

    fn behind(&self, found: Option<&Document>) -> EditError {
        let in_force = self.active.lock().document.as_ref().map_or(0, |document| document.generation());
        EditError::Behind { in_force, found: found.map_or(0, Document::generation) }
    }

    pub(in crate::kill_switch) fn now(&self) -> Timestamp {
        self.expiry_clock.now(timestamp(), self.clock.now())
    }

    /// Takes a document that is not the store's: what the program begins with.
    pub(in crate::kill_switch) fn begin_with(&self, document: Document, source: Source) {
        let mut active = self.active.lock();
        let document = Arc::new(document);
        (active.document, active.source) = (Some(Arc::clone(&document)), source);
        self.events.push([Event::Applied { document, source }]);
        drop(active);
        self.bring_into_force();
    }

    /// Reads the store, puts into force what it says, and tells of it, on this thread.
    pub(in crate::kill_switch) fn refresh(&self) {
        self.read();
        self.tell();
    }

    /// Reads the store, and puts into force what it says. Nobody hears of it yet: no listener and no disk holds up the
    /// next reading.
    pub(in crate::kill_switch) fn read(&self) {
        if let Some(editor) = &self.editor {
            let seen = self.active.lock().takes;
            // A store is foreign code.
            let reading = catch_panic(|| editor.store().read());
            let reading = reading.unwrap_or_else(|| Err(StoreError::Other("the store panicked".into())));
            let mut active = self.active.lock();
            let event = active.take(reading, seen, self.clock.now());
            self.events.push(event);
        }
        self.bring_into_force();
    }

    /// Tells listeners, the log and the metrics how everything stands, and keeps the document for the next start.
    pub(in crate::kill_switch) fn tell(&self) {
        self.events.dispatch(crate::kill_switch::log::event);
        self.publish();
        let Some(snapshot) = &self.snapshot else { return };
        let document = {
            let active = self.active.lock();
            active.document.clone().filter(|_| active.source == Source::Store)
        };
        if let Some(Err(why)) = document.map(|document| snapshot.keep(&document)) {
            self.events.push([Event::Refused { code: "snapshot", why }]);
            self.events.dispatch(crate::kill_switch::log::event);
        }
    }

    /// Says that a change which is in force is not in the audit.
    fn unrecorded(&self, generation: u64, why: String) {
        self.events.push([Event::Unrecorded { generation, why }]);
        self.events.dispatch(crate::kill_switch::log::event);
        self.publish();
    }

    /// Sets every switch's word by the document in force and the time.
    pub(in crate::kill_switch) fn bring_into_force(&self) {
        let active = self.active.lock();
        let gates = self.gates.lock();
        let now = self.now(); // with the locks: whoever comes later does not go by an earlier time
        for gate in gates.values() {
            let switch = active.document.as_ref().and_then(|document| document.switch(gate.id.as_str()));
            let is_retired = |document: &Arc<Document>| document.is_retired(&gate.id);
            let standing = match switch {
                // What was given up for good is on for good: nobody can say anything else of it any more.
                None if active.document.as_ref().is_some_and(is_retired) => GateState::Released,
                None => GateState::Unknown,
                Some(switch) if !switch.is_engaged(now) => GateState::Released,
                Some(switch) => match switch.engaged() {
                    Some(engaged) if !engaged.stage().includes(&self.instance, self.region.as_deref()) => {
                        GateState::Released
                    }
                    Some(engaged) if !engaged.scope().is_all() => {
                        GateState::Scoped(CompiledScope::new(&gate.id, engaged.scope()))
                    }
                    _ => GateState::Engaged,
                },
            };
            if let Some(defined) = gate.compare(switch.map(|switch| switch.definition().on_unknown())) {
                let (name, declared) = (gate.name, gate.on_unknown);
                self.events.push([Event::Differing { name, declared, defined }]);
            }
            let before = gate.is_engaged();
            gate.set(standing);
            let trigger = metrics::place(switch, now);
            if before != gate.is_engaged() {
                gate.count_transition(!before, trigger);
                self.events.push([Event::Switched { name: gate.name, is_engaged: !before }]);
            }
            if let Some(trigger) = trigger.filter(|_| gate.is_engaged()) {
                gate.is_engaged_by(trigger);
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for thread in self.threads.lock().drain(..) {
            thread.unpark(); // it sees that there is no board any more, and lets go of the store
        }
    }
}

impl fmt::Debug for KillSwitches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KillSwitches").field("name", &self.name()).field("status", &self.status()).finish()
    }
}
