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

use super::active::Force;
use super::compiled_scope::Rule;
use super::expiry_clock::Wall;
use super::gate::{Point, Standing};
use super::last_good::Snapshot;
use crate::clock::{Clock, Timestamp, timestamp};
use crate::config::{ConfigError, Problem, intern};
use crate::events::{Events, Subscription};
use crate::kill_switch::builder::KillSwitchesBuilder;
use crate::kill_switch::control::editor::{Changes, Desk};
use crate::kill_switch::control::error::DeskError;
use crate::kill_switch::handle::KillSwitch;
use crate::kill_switch::metrics;
use crate::kill_switch::model::author::By;
use crate::kill_switch::model::change::Change;
use crate::kill_switch::model::document::Document;
use crate::kill_switch::model::id::SwitchId;
use crate::kill_switch::model::switch::OnUnknown;
use crate::kill_switch::status::{BoardEvent, BoardStatus, Source};
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
    pub(in crate::kill_switch) board: Arc<Board>,
}

pub(in crate::kill_switch) struct Board {
    pub(in crate::kill_switch) name: &'static str,
    pub(in crate::kill_switch) instance: String,
    pub(in crate::kill_switch) region: Option<String>,
    pub(in crate::kill_switch) desk: Option<Desk>,
    pub(in crate::kill_switch) snapshot: Option<Snapshot>,
    /// How often the store is read.
    pub(in crate::kill_switch) poll: Duration,
    pub(in crate::kill_switch) clock: Clock,
    wall: Wall,
    /// The threads that read the store and tell of it.
    pub(in crate::kill_switch) threads: Mutex<Vec<Thread>>,
    /// Whether the store was read, or could not be, for the first time.
    pub(in crate::kill_switch) has_begun: AtomicBool,
    pub(in crate::kill_switch) points: Mutex<BTreeMap<SwitchId, Arc<Point>>>,
    pub(in crate::kill_switch) force: Mutex<Force>,
    pub(in crate::kill_switch) events: Events<BoardEvent>,
    #[cfg(feature = "metrics")]
    pub(in crate::kill_switch) gate: crate::telemetry::Gate,
}

impl KillSwitches {
    /// Starts from the defaults: no store, every switch unknown.
    pub fn builder(name: impl Into<String>) -> KillSwitchesBuilder {
        KillSwitchesBuilder::new(name.into())
    }

    /// The name, as it stands in metrics.
    pub fn name(&self) -> &'static str {
        self.board.name
    }

    /// The name of this instance, as stages have it.
    pub fn instance(&self) -> &str {
        &self.board.instance
    }

    /// The region of this instance, as scopes and stages have it.
    pub fn region(&self) -> Option<&str> {
        self.board.region.as_deref()
    }

    /// Whether a switch is engaged on this instance, for whomever; `None` where the program has asked for no such switch.
    pub fn is_engaged(&self, id: &str) -> Option<bool> {
        let id = SwitchId::new(id).ok()?;
        self.board.points.lock().get(&id).map(|point| point.is_engaged())
    }

    /// Whether both handles are of the same switches.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.board, &other.board)
    }

    /// A switch of the program. `on_unknown` says what holds as long as no document knows it.
    ///
    /// A definition that says otherwise changes nothing: it is not there when it would count. [`BoardEvent::Differing`],
    /// the log and [`BoardStatus::differing`] tell.
    ///
    /// # Errors
    ///
    /// An id that is not of the form `[a-z0-9][a-z0-9._-]{0,127}`, or that was asked for before with another
    /// `on_unknown`.
    pub fn switch(&self, id: &str, on_unknown: OnUnknown) -> Result<KillSwitch, ConfigError> {
        let id = SwitchId::new(id)?;
        let name = intern("switch", id.as_str())?;
        let point = {
            let mut points = self.board.points.lock();
            let make = || Arc::new(Point::new(name, id.clone(), on_unknown, self.board.region.as_deref()));
            Arc::clone(points.entry(id.clone()).or_insert_with(make))
        };
        if point.on_unknown != on_unknown {
            let allowed = format!("{:?}, as where {id} was asked for first", point.on_unknown);
            return Err(ConfigError::of(Problem::new("on_unknown", format!("{on_unknown:?}"), allowed)));
        }
        self.board.bring_into_force();
        self.board.tell();
        Ok(KillSwitch::new(point, self.clone()))
    }

    /// The document in force; `None` as long as there has been none.
    pub fn document(&self) -> Option<Arc<Document>> {
        self.board.force.lock().document.clone()
    }

    /// What the board knows of itself.
    pub fn status(&self) -> BoardStatus {
        self.board.status()
    }

    /// Changes the document in the store, and applies it here at once.
    ///
    /// An audit that cannot be written holds nothing up: [`BoardEvent::Unrecorded`], the log and a metric tell.
    ///
    /// # Errors
    ///
    /// As [`Desk::change`]; [`DeskError::Empty`] where there is no store, [`DeskError::Behind`] where what is in the store
    /// could not come into force here. After [`StoreError::NotDurable`](crate::kill_switch::store::StoreError::NotDurable) the change is
    /// in force nevertheless.
    pub fn change(&self, change: &Change, by: &By) -> Result<Arc<Document>, DeskError> {
        match self.change_where(change, by, |_| true)? {
            Ok(changes) => Ok(Arc::new(changes.document)),
            Err(_) => Err(DeskError::Busy), // the condition is always true
        }
    }

    /// As [`change`](Self::change), as long as the document in the store meets a condition; else, that document.
    pub(crate) fn change_where(
        &self,
        change: &Change,
        by: &By,
        condition: impl Fn(Option<&Document>) -> bool,
    ) -> Result<Result<Changes, Option<Document>>, DeskError> {
        let desk = self.board.desk.as_ref().ok_or(DeskError::Empty)?;
        self.board.read(); // so that what is in force is no older than what the change is made on
        let told = desk.change_where(change, by, |found| self.board.follows(found) && condition(found));
        if matches!(told, Ok(Ok(_)) | Err(DeskError::Store(StoreError::NotDurable { .. }))) {
            self.board.refresh();
        }
        match told? {
            Err(found) if !self.board.follows(found.as_ref()) => Err(self.board.behind(found.as_ref())),
            // What the store had was refused here for another reason, and so is what came of it.
            Ok(changes) if !self.board.is_past(&changes.document) => Err(self.board.behind(Some(&changes.document))),
            Ok(Changes { document, unrecorded: Some(why) }) => {
                self.board.unrecorded(document.generation(), why.clone());
                Ok(Ok(Changes { document, unrecorded: Some(why) }))
            }
            made => Ok(made),
        }
    }

    /// Puts the document in force into the store, above all that is there: the way back from a store that was damaged,
    /// deleted or brought back from an older time.
    ///
    /// # Errors
    ///
    /// [`DeskError::Empty`] where there is no store, or no document in force; what the store says.
    pub fn restore(&self, by: &By) -> Result<Arc<Document>, DeskError> {
        let desk = self.board.desk.as_ref().ok_or(DeskError::Empty)?;
        let document = self.document().ok_or(DeskError::Empty)?;
        let restored = desk.restore(&document, by);
        if matches!(restored, Ok(_) | Err(DeskError::Store(StoreError::NotDurable { .. }))) {
            self.board.refresh();
        }
        let Changes { document, unrecorded } = restored?;
        if let Some(why) = unrecorded {
            self.board.unrecorded(document.generation(), why);
        }
        Ok(Arc::new(document))
    }

    /// Where documents are changed and earlier ones are read; `None` without a store.
    pub fn desk(&self) -> Option<&Desk> {
        self.board.desk.as_ref()
    }

    /// Reads the store now, on this thread. The board's own thread does so every second.
    pub fn refresh(&self) {
        self.board.refresh();
    }

    /// Calls `listener` with every event until the subscription is dropped. It runs outside every lock, on the thread of
    /// whoever changed something here, or on the board's own that tells: one that hangs holds up what is told, and no
    /// engagement.
    pub fn subscribe(&self, listener: impl Fn(&BoardEvent) + Send + Sync + 'static) -> Subscription {
        self.board.events.subscribe(Arc::new(listener))
    }

    /// Brings the metrics up to date. [`Registry::publish`](crate::Registry::publish) does it for all.
    pub fn publish(&self) {
        self.board.publish();
    }
}

impl Board {
    pub(in crate::kill_switch) fn new(
        name: &'static str,
        instance: String,
        region: Option<String>,
        desk: Option<Desk>,
        snapshot: Option<Snapshot>,
        poll: Duration,
        clock: Clock,
    ) -> Self {
        let now = clock.now();
        Self {
            name,
            instance,
            region,
            desk,
            snapshot,
            poll,
            threads: Mutex::default(),
            has_begun: AtomicBool::new(false),
            wall: Wall::new(timestamp(), now),
            clock,
            points: Mutex::new(BTreeMap::new()),
            force: Mutex::new(Force::new(now)),
            events: Events::default(),
            #[cfg(feature = "metrics")]
            gate: crate::telemetry::Gate::default(),
        }
    }

    pub(in crate::kill_switch) fn desk(&self) -> Option<&Desk> {
        self.desk.as_ref()
    }

    /// Whether what comes after this document in the store can come into force here.
    fn follows(&self, found: Option<&Document>) -> bool {
        let force = self.force.lock();
        let Some(own) = force.document.as_deref().filter(|_| force.source != Source::BakedIn) else { return true };
        found.is_some_and(|found| {
            let is_same = found.generation() == own.generation() && found.content_hash() == own.content_hash();
            found.store() == own.store() && (found.generation() > own.generation() || is_same)
        })
    }

    /// Whether this document, or a later one of its store, is in force.
    fn is_past(&self, document: &Document) -> bool {
        let force = self.force.lock();
        let own = force.document.as_deref();
        own.is_some_and(|own| own.store() == document.store() && own.generation() >= document.generation())
    }

    fn behind(&self, found: Option<&Document>) -> DeskError {
        let in_force = self.force.lock().document.as_ref().map_or(0, |document| document.generation());
        DeskError::Behind { in_force, found: found.map_or(0, Document::generation) }
    }

    pub(in crate::kill_switch) fn now(&self) -> Timestamp {
        self.wall.now(timestamp(), self.clock.now())
    }

    /// Takes a document that is not the store's: what the program begins with.
    pub(in crate::kill_switch) fn begin_with(&self, document: Document, source: Source) {
        let mut force = self.force.lock();
        let document = Arc::new(document);
        (force.document, force.source) = (Some(Arc::clone(&document)), source);
        self.events.push([BoardEvent::Applied { document, source }]);
        drop(force);
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
        if let Some(desk) = &self.desk {
            let seen = self.force.lock().takes;
            // A store is foreign code.
            let reading = catch_panic(|| desk.store().read());
            let reading = reading.unwrap_or_else(|| Err(StoreError::Other("the store panicked".into())));
            let mut force = self.force.lock();
            let event = force.take(reading, seen, self.clock.now());
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
            let force = self.force.lock();
            force.document.clone().filter(|_| force.source == Source::Store)
        };
        if let Some(Err(why)) = document.map(|document| snapshot.keep(&document)) {
            self.events.push([BoardEvent::Refused { code: "snapshot", why }]);
            self.events.dispatch(crate::kill_switch::log::event);
        }
    }

    /// Says that a change which is in force is not in the audit.
    fn unrecorded(&self, generation: u64, why: String) {
        self.events.push([BoardEvent::Unrecorded { generation, why }]);
        self.events.dispatch(crate::kill_switch::log::event);
        self.publish();
    }

    /// Sets every switch's word by the document in force and the time.
    pub(in crate::kill_switch) fn bring_into_force(&self) {
        let force = self.force.lock();
        let points = self.points.lock();
        let now = self.now(); // with the locks: whoever comes later does not go by an earlier time
        for point in points.values() {
            let switch = force.document.as_ref().and_then(|document| document.switch(point.id.as_str()));
            let is_retired = |document: &Arc<Document>| document.is_retired(&point.id);
            let standing = match switch {
                // What was given up for good is on for good: nobody can say anything else of it any more.
                None if force.document.as_ref().is_some_and(is_retired) => Standing::Released,
                None => Standing::Unknown,
                Some(switch) if !switch.is_engaged(now) => Standing::Released,
                Some(switch) => match switch.engaged() {
                    Some(engaged) if !engaged.stage().includes(&self.instance, self.region.as_deref()) => {
                        Standing::Released
                    }
                    Some(engaged) if !engaged.scope().is_all() => {
                        Standing::Scoped(Rule::new(&point.id, engaged.scope()))
                    }
                    _ => Standing::Engaged,
                },
            };
            if let Some(defined) = point.compare(switch.map(|switch| switch.definition().on_unknown())) {
                let (name, declared) = (point.name, point.on_unknown);
                self.events.push([BoardEvent::Differing { name, declared, defined }]);
            }
            let before = point.is_engaged();
            point.set(standing);
            let trigger = metrics::place(switch, now);
            if before != point.is_engaged() {
                point.count_transition(!before, trigger);
                self.events.push([BoardEvent::Switched { name: point.name, is_engaged: !before }]);
            }
            if let Some(trigger) = trigger.filter(|_| point.is_engaged()) {
                point.is_engaged_by(trigger);
            }
        }
    }
}

impl Drop for Board {
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
