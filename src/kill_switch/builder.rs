//! Builder of the switches of a program.

use super::model::text;
use super::runtime::active::ActiveDocument;
use super::runtime::expiry_clock::ExpiryClock;
use super::runtime::last_good::LastGoodFile;
use super::runtime::refresh;
use super::runtime::shared::Shared;
use crate::clock::{Clock, timestamp};
use crate::config::{ConfigError, Problems, intern};
use crate::events::Events;
use crate::kill_switch::store::Store;
use crate::kill_switch::{Audit, Document, Editor, Event, KillSwitches, Source};
use crate::sync::{Arc, AtomicBool, Mutex};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait of a start for the store.
const START_WITHIN: Duration = Duration::from_secs(5);

/// Sets up the switches of a program. Setters never fail; `build` returns every problem at once.
#[must_use = "it does nothing before `build`"]
pub struct KillSwitchesBuilder {
    name: String,
    store: Option<Arc<dyn Store>>,
    audit: Option<Arc<dyn Audit>>,
    snapshot: Option<PathBuf>,
    baked_in: Option<Vec<u8>>,
    instance: String,
    region: Option<String>,
    poll: Duration,
    clock: Clock,
}

impl KillSwitchesBuilder {
    /// Store of the document. Default: none, and every switch is unknown.
    ///
    /// Metrics of a switch are labelled by its id alone: switches of two stores in one program need different ids.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Audit of the changes that this program makes. It needs a store. Default: none.
    pub fn audit(mut self, audit: impl Audit) -> Self {
        self.audit = Some(Arc::new(audit));
        self
    }

    /// A file of this instance's own that keeps the last good document: the next start begins with it when the store
    /// cannot be read. A document of the store takes precedence over one that came from another store. Default: none.
    pub fn snapshot(mut self, path: impl AsRef<Path>) -> Self {
        self.snapshot = Some(path.as_ref().to_owned());
        self
    }

    /// A document that the program was built with, for a start without store and snapshot: `include_bytes!`. Default:
    /// none.
    pub fn baked_in(mut self, document: impl Into<Vec<u8>>) -> Self {
        self.baked_in = Some(document.into());
        self
    }

    /// The name of this instance, for engagements that begin with some. Default: `instance`.
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = name.into();
        self
    }

    /// The region of this instance, for scopes and stages. Default: none.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// How often the store is read, whether it says that there is something new or not. Default: 1 s. Valid: 10 ms to
    /// 1 hour.
    pub fn poll(mut self, every: Duration) -> Self {
        self.poll = every;
        self
    }

    /// The clock that staleness is measured by. Default: the system's monotonic clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Reads the first document and starts the threads that keep it up to date.
    ///
    /// It waits for the store for five seconds at most: without a document the program starts with the last good one on
    /// disk, then with the one that was baked in, then with what each switch declares.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range, a baked-in document that is none, and an audit without a store.
    pub fn build(self) -> Result<KillSwitches, ConfigError> {
        let Self { name, store, audit, snapshot, baked_in, instance, region, poll, clock } = self;
        let mut problems = Problems::default();
        let name = intern("name", &name).unwrap_or_else(|error| {
            problems.extend(error);
            ""
        });
        text::name("instance", &instance, &mut problems);
        text::matched("instance", &instance, &mut problems);
        if let Some(region) = &region {
            text::name("region", region, &mut problems);
            text::matched("region", region, &mut problems);
        }
        if poll < Duration::from_millis(10) || poll > Duration::from_secs(3_600) {
            problems.add("poll", format!("{poll:?}"), "from 10ms to 1 hour");
        }
        if audit.is_some() && store.is_none() {
            problems.add("audit", "an audit without a store", "only with a store, whose changes it writes down");
        }
        let baked_in = baked_in.map(|bytes| Document::parse(&bytes, Document::SIZE_MAX));
        if let Some(Err(error)) = &baked_in {
            problems.add("baked_in", error, "a document");
        }
        let snapshot = snapshot.map(|path| LastGoodFile::new(&path)).transpose().unwrap_or_else(|error| {
            problems.add("snapshot", error, "a path, relative only where there is a current directory");
            None
        });
        problems.into_result(())?;
        let editor = store.clone().map(|store| Editor::of(store, audit));
        let last_good = snapshot.as_ref().map_or(Ok(None), LastGoodFile::last_good);
        let shared = Arc::new(Shared {
            name,
            instance,
            region,
            store,
            unrecorded: editor.as_ref().map(|editor| Arc::clone(&editor.unrecorded)).unwrap_or_default(),
            snapshot,
            poll,
            expiry_clock: ExpiryClock::new(timestamp(), clock.now()),
            threads: Mutex::default(),
            has_begun: AtomicBool::new(false),
            gates: Mutex::default(),
            active: Mutex::new(ActiveDocument::new(clock.now())),
            clock,
            events: Events::default(),
            #[cfg(feature = "metrics")]
            publication: crate::telemetry::Publication::default(),
        });
        let last_good = last_good.unwrap_or_else(|why| {
            shared.events.push([Event::Rejected { code: "snapshot", why }]);
            None
        });
        match (last_good, baked_in) {
            (Some(document), _) => shared.begin_with(document, Source::Snapshot),
            (None, Some(Ok(document))) => shared.begin_with(document, Source::BakedIn),
            _ => {}
        }
        refresh::start(&shared, poll, START_WITHIN);
        shared.tell();
        Ok(KillSwitches { shared, editor })
    }
}

impl fmt::Debug for KillSwitchesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KillSwitchesBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl KillSwitches {
    /// Starts from the defaults: no store, every switch unknown.
    pub fn builder(name: impl Into<String>) -> KillSwitchesBuilder {
        KillSwitchesBuilder {
            name: name.into(),
            store: None,
            audit: None,
            snapshot: None,
            baked_in: None,
            instance: "instance".to_owned(),
            region: None,
            poll: Duration::from_secs(1),
            clock: Clock::system(),
        }
    }
}
