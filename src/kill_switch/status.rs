//! What a board tells of itself: values.

use super::document::{Document, Engagement, OnUnknown, Switch};
use crate::clock::Timestamp;
use crate::sync::Arc;
use std::time::Duration;

/// Where the document in force came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Source {
    /// No document was ever read.
    Nothing,
    /// The one that the program was built with.
    BakedIn,
    /// The last good one of an earlier run, on disk.
    Snapshot,
    /// The store.
    Store,
}

/// What a board knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BoardStatus {
    /// Where the document in force came from.
    pub source: Source,
    /// Its generation; 0 without one.
    pub generation: u64,
    /// Since when the store has not been read successfully; zero while all is well. A store that hangs shows after
    /// three times the poll.
    pub stale_for: Duration,
    /// Why the last thing in the store was not taken, if it was not.
    pub refused: Option<String>,
    /// Documents refused since the program began.
    pub refusals: u64,
    /// Changes that this program made and the audit has no entry of.
    pub unrecorded: u64,
    /// Switches of the program that the document does not know.
    pub unknown: Vec<&'static str>,
    /// Switches whose definition has expired.
    pub expired: Vec<String>,
    /// Switches that are still engaged though the time of their engagement is over: it says
    /// [`Keep`](super::ExpiryAction::Keep), or a pin keeps it. Somebody should look.
    pub overdue: Vec<String>,
    /// Switches of the program that declare another `on_unknown` than their definition. The program's own holds.
    pub differing: Vec<&'static str>,
}

/// Something that happened to the switches of a board.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BoardEvent {
    /// A document came into force.
    Applied {
        /// It.
        document: Arc<Document>,
        /// Where it came from.
        source: Source,
    },
    /// What is in the store was not taken; what was in force stays.
    Refused {
        /// Why, as a metric tells it.
        code: &'static str,
        /// Why, in words.
        why: String,
    },
    /// A change that this program made is in force, and the audit has no entry of it.
    Unrecorded {
        /// The generation that came of it.
        generation: u64,
        /// Why.
        why: String,
    },
    /// A switch of the program declares another `on_unknown` than its definition; told once as long as it does.
    Differing {
        /// The switch.
        name: &'static str,
        /// What the program declares: it holds while no document is known.
        declared: OnUnknown,
        /// What the definition says.
        defined: OnUnknown,
    },
    /// A switch of the program changed for this instance.
    Switched {
        /// The switch.
        name: &'static str,
        /// Whether it is engaged for anybody now.
        is_engaged: bool,
    },
}

/// Whether a switch is engaged for longer than its engagement said.
pub(super) fn is_overdue(switch: &Switch, now: Timestamp) -> bool {
    let expires = switch.engaged().and_then(Engagement::expires);
    expires.is_some_and(|expiry| expiry.at() <= now) && switch.is_engaged(now)
}
