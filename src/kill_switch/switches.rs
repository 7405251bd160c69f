//! Handle to all switches of a program.

use super::runtime::shared::Shared;
use crate::events::Subscription;
use crate::kill_switch::store::StoreError;
use crate::kill_switch::{Author, Change, Committed, Document, EditError, Editor, Event, Status, SwitchId};
use std::fmt;
use std::sync::Arc;
/// All switches of a program: a cheap handle to them, made by [`KillSwitches::builder`].
///
/// The thread that reads the store ends with the last handle, switches and layers among them.
#[derive(Clone)]
pub struct KillSwitches {
    pub(crate) shared: Arc<Shared>,
    pub(crate) editor: Option<Editor>,
}

impl KillSwitches {
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

    /// Whether a switch is engaged on this instance, for any request; `None` if the program has no such switch.
    pub fn is_engaged(&self, id: &str) -> Option<bool> {
        let id = SwitchId::new(id).ok()?;
        self.shared.gates.lock().get(&id).map(|gate| gate.is_engaged())
    }

    /// The reason why a switch that is engaged does not block requests here that it is meant for.
    #[cfg(feature = "axum")]
    pub(crate) fn not_in_force(&self, switch: &crate::kill_switch::Switch) -> Option<String> {
        let gate = self.shared.gates.lock().get(&switch.id).cloned()?;
        Some(self.shared.doubt(&gate, Some(switch), self.shared.now())?.to_string())
    }

    /// Returns whether both handles are of the same switches.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The document in force; `None` as long as there has been none.
    pub fn document(&self) -> Option<Arc<Document>> {
        self.shared.active.lock().document.clone()
    }

    /// Status of the switches.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Changes the document in the store, and applies it here at once.
    ///
    /// An audit that cannot be written holds nothing up: [`Event::Unrecorded`], the log and a metric report it.
    ///
    /// # Errors
    ///
    /// As [`Editor::change`]; [`EditError::Empty`] without a store, [`EditError::Behind`] if what is in the
    /// store could not come into force here. After
    /// [`StoreError::NotDurable`](crate::kill_switch::store::StoreError::NotDurable) the change is in force
    /// nevertheless.
    pub fn change(&self, change: &Change, by: &Author) -> Result<Arc<Document>, EditError> {
        let made = self.change_where(change, by, |_| true)?;
        made.map(|made| Arc::new(made.document)).map_err(|_| EditError::Busy) // the condition is always true
    }

    /// As [`change`](Self::change), as long as the document in the store meets a condition; else, that document.
    pub(crate) fn change_where(
        &self,
        change: &Change,
        by: &Author,
        condition: impl Fn(Option<&Document>) -> bool,
    ) -> Result<Result<Committed, Option<Document>>, EditError> {
        let editor = self.editor.as_ref().ok_or(EditError::Empty)?;
        self.shared.read(); // so that what is in force is no older than what the change is made on
        let told = editor.change_where(change, by, |found| self.shared.follows(found) && condition(found));
        if matches!(told, Ok(Ok(_)) | Err(EditError::Store(StoreError::NotDurable { .. }))) {
            self.shared.refresh();
        }
        match told? {
            Err(found) if !self.shared.follows(found.as_ref()) => Err(self.behind(found.as_ref())),
            // The store's document was refused here for another reason, and so is the one that came of it.
            Ok(changes) if !self.shared.is_past(&changes.document) => Err(self.behind(Some(&changes.document))),
            made => Ok(made.inspect(|made| self.report(made))),
        }
    }

    /// Puts the document in force into the store, above all that is there: the way back from a store that was damaged,
    /// deleted or brought back from an older time.
    ///
    /// # Errors
    ///
    /// [`EditError::Empty`] without a store or a document in force; errors of the store.
    pub fn restore(&self, by: &Author) -> Result<Arc<Document>, EditError> {
        let editor = self.editor.as_ref().ok_or(EditError::Empty)?;
        let document = self.document().ok_or(EditError::Empty)?;
        let restored = editor.restore(&document, by);
        if matches!(restored, Ok(_) | Err(EditError::Store(StoreError::NotDurable { .. }))) {
            self.shared.refresh();
        }
        Ok(Arc::new(restored.inspect(|restored| self.report(restored))?.document))
    }

    /// The editor of the document; `None` without a store.
    pub fn editor(&self) -> Option<&Editor> {
        self.editor.as_ref()
    }

    /// Reads the store now, on this thread. A thread of the switches does so every second.
    pub fn refresh(&self) {
        self.shared.refresh();
    }

    /// Calls `listener` with every event until the subscription is dropped. It runs outside every lock, on the thread
    /// of a change or on the one for events: a listener that hangs delays events, and no engagement.
    pub fn subscribe(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        self.shared.events.subscribe(Arc::new(listener))
    }

    /// Reports a change that is in force and not in the audit.
    fn report(&self, made: &Committed) {
        if let Some(why) = made.unrecorded.clone() {
            self.shared.events.push([Event::Unrecorded { generation: made.document.generation(), why }]);
            self.shared.events.dispatch(super::log::event);
            self.shared.publish();
        }
    }

    /// Adds the switches that are engaged on this instance to an arm of a tick.
    #[cfg(feature = "rollback")]
    fn observe(&self, arm: &mut crate::rollback::Arm) {
        let gates = self.shared.gates.lock();
        let engaged = gates.iter().filter(|(_, gate)| gate.is_engaged());
        arm.switches_engaged.extend(engaged.map(|(id, _)| id.as_str().to_owned()));
    }

    fn behind(&self, found: Option<&Document>) -> EditError {
        let in_force = self.document().map_or(0, |document| document.generation());
        EditError::Behind { in_force, found: found.map_or(0, Document::generation) }
    }

    /// Brings the metrics up to date. [`Registry::publish`](crate::Registry::publish) does it for all.
    pub fn publish(&self) {
        self.shared.publish();
    }
}

impl fmt::Debug for KillSwitches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KillSwitches").field("name", &self.name()).field("status", &self.status()).finish()
    }
}

crate::registry::registered!(KillSwitches, KillSwitch; observe);
