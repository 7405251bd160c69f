//! The one versioned document that holds every switch.
//!
//! ```text
//!  bytes ──▶ size ──▶ JSON, no key twice ──▶ format ──▶ every field ──▶ hash ──▶ Document
//!            too_large     syntax        unknown_format   invalid    wrong_hash
//! ```
//!
//! A document is taken whole or not at all. Whatever changes it makes a new one of the next generation; the hash is
//! that of everything else in its canonical form, so that two instances can tell that they hold the same.

mod content;
mod engagement;
mod hash;
mod parse;
mod records;
mod switch;
#[cfg(test)]
pub(super) mod tests;

pub use content::Document;
pub use engagement::{Breach, Engagement, Expiry, ExpiryAction, Trigger};
pub use hash::ContentHash;
pub use parse::ParseError;
pub use records::{Changed, DrillRecord, Pin, PinState, Tombstone};
pub use switch::{Definition, OnUnknown, Severity, Switch};

pub(super) use content::{GENERATION_MAX, PENDING_MAX, RETIRED_MAX, SWITCHES_MAX};
pub(super) use engagement::check_incident;
