//! Errors of the editor.

use crate::kill_switch::store::StoreError;
use crate::kill_switch::{ChangeError, Document, ParseError};

/// Error of a change that was not made. The document in the store is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds something else than a document.
    #[error("the document in the store is invalid: {0}")]
    Unreadable(#[from] ParseError),
    /// The change is not allowed, or makes no sense now.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// There is no document yet, and this change needs one.
    #[error("the store is empty: define a switch first")]
    Empty,
    /// There is no document any more, and its history is there: a new one would be foreign to everybody who knows it.
    #[error("the document is gone but its history is there: restore it first")]
    Gone,
    /// The document in the store could not come into force here, and neither could the change.
    #[error(
        "generation {in_force} is in force here, and the store has {}: restore the document first",
        generation_told(*found)
    )]
    Behind {
        /// The generation in force.
        in_force: u64,
        /// The one in the store, perhaps of another identity; 0 is no document.
        found: u64,
    },
    /// The document is older than its history, as after a backup was put back: programs that have read a newer one refuse
    /// it, and every change of it.
    #[error(
        "the document went back: the store has generation {found}, and its history has {newest}, so programs that run \
         refuse any change: restore the document first"
    )]
    WentBack {
        /// The newest generation of the history.
        newest: u64,
        /// The one in the store.
        found: u64,
    },
    /// The document that is there can be read, and nothing newer is known.
    #[error(
        "nothing to restore: generation {0} in the store is valid and the newest; to go back to an earlier one, use revert"
    )]
    Sound(u64),
    /// The generation to go back to is not kept.
    #[error("generation {0} is not in the history: it was removed, or never written")]
    NoSuchRevision(u64),
    /// The document is not of the generation that the change was meant for; 0 is no document.
    #[error(
        "the document changed: generation {expected} was expected, the store has {found}: read it again, then repeat the change"
    )]
    Moved {
        /// The generation that the change was meant for.
        expected: u64,
        /// The one that is there.
        found: u64,
    },
    /// Others changed the document at every try.
    #[error("other writers were faster {TRIES} times in a row and nothing was changed: try again")]
    Busy,
}

impl EditError {
    pub(crate) fn moved(expected: u64, found: Option<&Document>) -> Self {
        Self::Moved { expected, found: found.map_or(0, Document::generation) }
    }
}

fn generation_told(generation: u64) -> String {
    if generation == 0 { "nothing".to_owned() } else { format!("another document, of generation {generation}") }
}

/// Tries before a change gives up on others that are faster.
pub(super) const TRIES: u32 = 20;
