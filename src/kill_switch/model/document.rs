//! The document itself: what it holds, its bytes and its hash.

use super::{Author, ChangeRecord, Proposal, Sha256, Stage, Stages, Switch, SwitchId, Tombstone, text};
use crate::config::{ConfigError, Problems};

/// The only format there is so far.
pub(crate) const FORMAT: u64 = 1;
/// The last generation: up to here every JSON reader keeps a number exactly.
pub(crate) const GENERATION_MAX: u64 = (1 << 53) - 1;
pub(crate) const SWITCHES_MAX: usize = 5_000;
pub(crate) const RETIRED_MAX: usize = 10_000;
pub(crate) const PENDING_MAX: usize = 100;

/// Every switch, in one version of one store.
///
/// Valid: at most 5,000 switches, 10,000 tombstones and 100 proposals, [`SIZE_MAX`](Self::SIZE_MAX) bytes, and a
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
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Document {
    pub(crate) format: u64,
    pub(crate) store: String,
    pub(crate) generation: u64,
    /// Hash of the document as it is written without this field.
    #[serde(skip_serializing_if = "Sha256::is_none")]
    pub(crate) hash: Sha256,
    pub(crate) changed: ChangeRecord,
    pub(crate) switches: Vec<Switch>,
    pub(crate) retired: Vec<Tombstone>,
    pub(crate) pending: Vec<Proposal>,
    pub(crate) settings: Settings,
}

/// Settings for all switches.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) two_person: bool,
    #[serde(default, skip_serializing_if = "Stages::is_empty")]
    pub(crate) stages: Stages,
}

impl Document {
    /// The most bytes that a document has: 4 MiB.
    pub const SIZE_MAX: usize = 4 << 20;

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
        let (format, store, hash) = (FORMAT, store.to_owned(), Sha256::NONE);
        let (switches, retired, pending, settings) = (vec![], vec![], vec![], Settings::default());
        let first = Self { format, store, generation: 1, hash, changed, switches, retired, pending, settings };
        problems.into_result(first.sealed())
    }

    /// Puts the lists in order, and makes the hash.
    pub(crate) fn sealed(mut self) -> Self {
        self.switches.sort_by(|one, other| one.id.cmp(&other.id));
        self.retired.sort_by(|one, other| one.id.cmp(&other.id));
        self.pending.sort_by_key(|proposal| proposal.number);
        self.seal();
        self
    }

    /// Makes the hash anew, after the last change.
    pub(crate) fn seal(&mut self) {
        self.hash = Sha256::NONE;
        self.hash = Sha256::of(&serde_json::to_vec(self).expect("no map whose keys are not texts"));
    }

    /// The document as JSON for people and machines: always the same bytes for the same document.
    #[expect(clippy::missing_panics_doc, reason = "writing values to memory does not fail")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("no map whose keys are not texts");
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
