//! Model: one versioned document that holds every switch.
//!
//! ```text
//!  bytes ──▶ size ──▶ JSON, no key twice ──▶ format ──▶ every field ──▶ hash ──▶ Document
//!            too_large     syntax        unknown_format   invalid    wrong_hash
//! ```
//!
//! A document is taken whole or not at all. Every change makes a new one of the next generation; the hash is
//! that of everything else in its canonical form, so that two instances can compare documents.

pub(super) mod author;
pub(crate) mod change;
pub(crate) mod decode;
pub(super) mod document;
pub(super) mod engage;
pub(super) mod engagement;
pub(super) mod hash;
pub(crate) mod id;
pub(super) mod parse;
pub(super) mod percent;
pub(super) mod proposal;
pub(super) mod records;
pub(super) mod scope;
pub(super) mod stage;
pub(super) mod stages;
pub(super) mod switch;
#[cfg(test)]
pub(super) mod tests;
pub(crate) mod text;

pub use author::{ActorKind, Author};
pub use change::Change;
pub use document::Document;
pub use engage::Engage;
pub use engagement::{Breach, Engagement, Expiry, ExpiryAction, Trigger};
pub use hash::Sha256;
pub use id::SwitchId;
pub use parse::ParseError;
pub use percent::{KeyHash, Percent};
pub use proposal::Proposal;
pub use records::{ChangeRecord, DrillRecord, Pin, PinState, Tombstone};
pub use scope::Scope;
pub use stage::{Spread, Stage};
pub use stages::Stages;
pub use switch::{Definition, OnUnknown, Severity, Switch};
