//! Events of the switches of a program.

use crate::kill_switch::{Document, OnUnknown, Source};
use crate::sync::Arc;

/// An event of the switches.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A document came into force.
    Applied {
        /// It.
        document: Arc<Document>,
        /// Source of the document.
        source: Source,
    },
    /// The document in the store was rejected; the one in force stays.
    Rejected {
        /// Stable code of the reason.
        code: &'static str,
        /// The reason.
        why: String,
    },
    /// A change that this program made is in force, and the audit has no entry of it.
    Unrecorded {
        /// The generation that came of it.
        generation: u64,
        /// The reason.
        why: String,
    },
    /// A switch of the program declares another `on_unknown` than its definition; reported once while it lasts.
    Differing {
        /// The switch.
        name: &'static str,
        /// The program's `on_unknown`, which holds while no document is known.
        declared: OnUnknown,
        /// The definition's `on_unknown`.
        defined: OnUnknown,
    },
    /// A switch is engaged, and does not block requests on this instance that it is meant for; reported once while it
    /// lasts.
    NotInForce {
        /// The switch.
        name: &'static str,
        /// The reason, a sentence after the name.
        why: String,
    },
    /// A switch of the program changed for this instance.
    Switched {
        /// The switch.
        name: &'static str,
        /// Whether it is engaged for any request now.
        is_engaged: bool,
    },
}
