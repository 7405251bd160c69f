//! Append-only log of all changes: author, switch, time and reason.
//!
//! Every line is one [`Entry`] as JSON. It carries the hash of the line before it and one of its own, so that a line
//! that was changed, removed, added or moved is found by [`verify`]. A writer with access to the whole file can also make
//! a new chain, and lines cut off at the end leave none behind that could miss them. Against both helps the
//! [`hash`](Entry::hash) of the last line, kept out of reach of the writer of the file: in the log of another
//! machine, say.
//!
//! ```text
//! {"seq":7,"at":"2026-11-20T12:00:00Z", … ,"prev_hash":"sha256:5f…","hash":"sha256:c0…"}
//!  └──────────────── the hash is that of these bytes ─────────────┘
//! ```

pub(crate) mod chain;
#[cfg(feature = "file")]
pub(crate) mod chained;
pub(super) mod describe;
#[cfg(feature = "file")]
pub(super) mod log;
pub(super) mod record;
#[cfg(feature = "file")]
mod tail;

pub use chain::{AuditError, Entry, LINE_MAX, Verified, append, verify};
#[cfg(feature = "file")]
pub use chained::AuditLogError;
#[cfg(feature = "file")]
pub use log::AuditLog;
pub use record::AuditRecord;
