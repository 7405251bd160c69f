//! The document itself: what it holds, its bytes and its hash.

use super::{Author, ChangeRecord, Proposal, Sha256, Stage, Stages, Switch, SwitchId, Tombstone, text};
use crate::config::{ConfigError, Problems};

/// The only format there is so far.
pub(crate) const FORMAT: u64 = 1;
/// The last generation: up to here every JSON reader keeps a number exactly.
pub(crate) const GENERATION_MAX: u64 = (1 << 53) - 1;
pub(crate) const SWITCHES_MAX: usize = 1_000;
pub(crate) const RETIRED_MAX: usize = 2_000;
pub(crate) const PENDING_MAX: usize = 100;

/// Every switch, in one version of one store.
///
/// Valid: at most 1,000 switches, 2,000 tombstones and 100 proposals, [`SIZE_MAX`](Self::SIZE_MAX) bytes, and a
/// generation from 1 to 2^53 - 1. Ids are there once, among the switches or the tombstones.
///
/// # Examples
///
/// ```
/// use backstop::clock::Timestamp;
/// use backstop::kill_switch::{Author, Document};
///
/// let by = Author::person("ana", Timestamp::UNIX_EPOCH).because("first day");
/// let document = Document::new("shop", &by)?;
/// assert_eq!(Document::parse(&document.to_bytes(), Document::SIZE_MAX)?, document);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub(crate) store: String,
    pub(crate) generation: u64,
    pub(crate) changed: ChangeRecord,
    pub(crate) switches: Vec<Switch>,
    pub(crate) retired: Vec<Tombstone>,
    pub(crate) pending: Vec<Proposal>,
    pub(crate) settings: Settings,
    hash: Sha256,
}

/// Settings for all switches.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) two_person: bool,
    #[serde(default, skip_serializing_if = "Stages::is_empty")]
    pub(crate) stages: Stages,
}

/// A document as it is written: with the hash, or without it to make the hash.
#[derive(serde::Serialize)]
struct Written<'a> {
    format: u64,
    store: &'a str,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<Sha256>,
    changed: &'a ChangeRecord,
    switches: &'a [Switch],
    retired: &'a [Tombstone],
    pending: &'a [Proposal],
    settings: &'a Settings,
}

impl Document {
    /// The most bytes that a document has: 1 MiB.
    pub const SIZE_MAX: usize = 1 << 20;

    /// A document without switches: the first generation of a store.
    ///
    /// # Errors
    ///
    /// The store's identity is 1 to 128 bytes without control characters; see [`Author`] for what it has to say.
    pub fn new(store: &str, by: &Author) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        text::name("store", store, &mut problems);
        by.check(&mut problems);
        let changed = by.changed("create the document".into());
        let settings = Settings::default();
        problems.into_result(Self::sealed(store.into(), 1, changed, vec![], vec![], vec![], settings))
    }

    pub(crate) fn sealed(
        store: String,
        generation: u64,
        changed: ChangeRecord,
        mut switches: Vec<Switch>,
        mut retired: Vec<Tombstone>,
        mut pending: Vec<Proposal>,
        settings: Settings,
    ) -> Self {
        switches.sort_by(|one, other| one.id.cmp(&other.id));
        retired.sort_by(|one, other| one.id.cmp(&other.id));
        pending.sort_by_key(|proposal| proposal.number);
        let hash = Sha256::of(&[]);
        let mut document = Self { store, generation, changed, switches, retired, pending, settings, hash };
        document.seal();
        document
    }

    /// Makes the hash anew, after the last change.
    pub(crate) fn seal(&mut self) {
        let content = serde_json::to_vec(&self.written(None)).expect("no map whose keys are not texts");
        self.hash = Sha256::of(&content);
    }

    fn written(&self, hash: Option<Sha256>) -> Written<'_> {
        let Self { store, generation, changed, switches, retired, pending, settings, hash: _ } = self;
        let generation = *generation;
        Written { format: FORMAT, store, generation, hash, changed, switches, retired, pending, settings }
    }

    /// The document as JSON for people and machines: always the same bytes for the same document.
    #[expect(clippy::missing_panics_doc, reason = "writing values to memory does not fail")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(&self.written(Some(self.hash))).expect("no map whose keys are not texts");
        bytes.push(b'\n');
        bytes
    }

    /// Identity of its store.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// Its version: each change makes the next one, from 1.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The SHA-256 of everything but this hash, in a form without spaces.
    pub const fn content_hash(&self) -> Sha256 {
        self.hash
    }

    /// The change that made it.
    pub const fn changed(&self) -> &ChangeRecord {
        &self.changed
    }

    /// The switches, in the order of their ids.
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// One switch.
    pub fn switch(&self, id: &str) -> Option<&Switch> {
        let found = self.switches.binary_search_by(|switch| switch.id.as_str().cmp(id));
        found.ok().map(|place| &self.switches[place])
    }

    /// The ids that are never used again, in order.
    pub fn retired(&self) -> &[Tombstone] {
        &self.retired
    }

    /// Proposals that wait for another person, in their order.
    pub fn pending(&self) -> &[Proposal] {
        &self.pending
    }

    /// Returns whether releasing, retiring, extending and overriding take two persons.
    pub const fn is_two_person(&self) -> bool {
        self.settings.two_person
    }

    /// Stages that engagements pass before they are everywhere.
    pub const fn stages(&self) -> &Stages {
        &self.settings.stages
    }

    /// Next stage of the switch's engagement; `None` if it is everywhere, or there is none.
    pub fn next_stage(&self, id: &str) -> Option<Stage> {
        self.stages().next(&self.switch(id)?.engaged.as_ref()?.stage)
    }

    pub(crate) fn is_retired(&self, id: &SwitchId) -> bool {
        self.retired.binary_search_by(|tombstone| tombstone.id.cmp(id)).is_ok()
    }
}
