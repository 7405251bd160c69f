//! Rights of one token.

use crate::clock::Timestamp;
use crate::kill_switch::model::Sha256;
use std::collections::BTreeSet;

/// One kind of thing that may be done to a switch or a rollout. None includes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Verb {
    /// Reading switches, their history and the audit.
    View,
    /// A drill: to engage and release for a short time.
    Drill,
    /// Turning a capability off.
    Engage,
    /// Turning it on again.
    Release,
    /// Defining, changing and retiring switches.
    Define,
    /// Agreeing to what another person proposed.
    Approve,
    /// Letting a rollout go on, or keeping it from going on.
    Rollout,
    /// Rolling a release back.
    Rollback,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 8] = [
        Self::View,
        Self::Drill,
        Self::Engage,
        Self::Release,
        Self::Define,
        Self::Approve,
        Self::Rollout,
        Self::Rollback,
    ];

    /// The verb as a file spells it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub(super) fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == text)
    }
}

/// Switches of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switches {
    /// Every switch, those that are yet to be defined among them.
    All,
    /// Those with these ids and no others.
    Only(BTreeSet<String>),
}

impl Switches {
    /// Those with these ids and no others.
    pub fn only<T: Into<String>>(ids: impl IntoIterator<Item = T>) -> Self {
        Self::Only(ids.into_iter().map(Into::into).collect())
    }

    /// Returns whether the grant covers a switch. Routes that are about no single switch need [`Switches::All`].
    pub fn contains(&self, switch: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => switch.is_some_and(|id| ids.contains(id)),
        }
    }
}

/// Rights of one token: its actor, verbs, switches and expiry.
///
/// Nothing is checked before it is in an [`AccessList`](super::AccessList).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "put it into an access list"]
pub struct Grant {
    pub(super) actor: String,
    pub(super) token: Sha256,
    pub(super) verbs: BTreeSet<Verb>,
    pub(super) switches: Switches,
    pub(super) expires: Timestamp,
}

impl Grant {
    /// A grant that can do nothing yet, to no switch. It is of no use from `expires` on.
    pub fn new(actor: impl Into<String>, token: Sha256, expires: Timestamp) -> Self {
        let (verbs, switches) = (BTreeSet::new(), Switches::Only(BTreeSet::new()));
        Self { actor: actor.into(), token, verbs, switches, expires }
    }

    /// The verbs. Default: none. Valid: one at least.
    pub fn verbs(mut self, verbs: impl IntoIterator<Item = Verb>) -> Self {
        self.verbs = verbs.into_iter().collect();
        self
    }

    /// The switches that it is for. Default: none. Valid: all of them, or from 1 to 1,000 ids.
    pub fn switches(mut self, switches: Switches) -> Self {
        self.switches = switches;
        self
    }

    /// Name of the actor.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Hash of the token.
    pub const fn token_hash(&self) -> Sha256 {
        self.token
    }

    /// The verbs granted.
    pub fn granted(&self) -> impl Iterator<Item = Verb> + '_ {
        self.verbs.iter().copied()
    }

    /// The switches that it is for.
    pub const fn covered(&self) -> &Switches {
        &self.switches
    }

    /// Its expiry.
    pub const fn expiry(&self) -> Timestamp {
        self.expires
    }

    /// Returns whether it has not expired.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}
