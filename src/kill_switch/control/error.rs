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
    #[error("what is in the store cannot be read: {0}")]
    Unreadable(#[from] ParseError),
    /// The change is not allowed, or makes no sense now.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// There is no document yet, and this change needs one.
    #[error("the store is empty: define a switch first")]
    Empty,
    /// There is no document any more, and its history is there: a new one would be foreign to everybody who knows it.
    #[error("the document is gone, and its history is there: restore it first")]
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
    /// The document that is there can be read, and nothing newer is known.
    #[error("generation {0} is sound and there is nothing newer: revert, where it should be as it was")]
    Sound(u64),
    /// The generation to go back to is not kept.
    #[error("generation {0} is not among the revisions that are kept")]
    NoSuchRevision(u64),
    /// The document is not of the generation that the change was meant for; 0 is no document.
    #[error("the document is of generation {found}, not of generation {expected}: look again")]
    Moved {
        /// The generation that the change was meant for.
        expected: u64,
        /// The one that is there.
        found: u64,
    },
    /// Others changed the document at every try.
    #[error("others changed the document {TRIES} times in a row: try again")]
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
