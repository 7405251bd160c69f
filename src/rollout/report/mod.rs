//! Report of a rollout, written from its [state directory](crate::rollout::state_dir): what happened, when, and to whom.
//!
//! ```text
//!  plan.toml, journal.jsonl, evidence/ ──▶ history, evidence ──▶ Report ──▶ Markdown, a page, three sentences
//! ```
//!
//! A rollback saves the service and fixes nothing: the report of one stays open until a person has recorded a [`Cause`].
//! Cause, action items and lessons are for people to fill in.
//!
//! - The impact is what failed beyond the rate of the previous version at the same time, segment by segment.
//! - A file that is missing or damaged is listed, and the report is made of the rest.
//! - Texts of files are escaped. Arguments and output of commands are not repeated, and what looks like a secret in any
//!   other text is replaced: tokens, headers with credentials, users and queries of addresses, values of variables.
//!
//! # Examples
//!
//! ```
//! use backstop::rollout::report::Report;
//!
//! # let folder = std::env::temp_dir().join("backstop-no-such-rollout");
//! let report = Report::read(&folder); // backstop-state/checkout/rollouts/0007
//! assert!(report.markdown().contains("journal.jsonl: no such file"));
//! assert!(report.html().starts_with("<!doctype html>"));
//! ```

mod cause;
mod deliveries;
mod document;
#[doc(hidden)]
pub mod draw;
mod evidence;
mod history;
mod markdown;
mod page;
mod read;
mod trigger;
mod values;
mod words;

pub use values::{Cause, Report};
