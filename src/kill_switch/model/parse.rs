//! From bytes to a document, or to everything that is wrong with them.

use super::decode::{DecodeError, decode};
use super::document::{FORMAT, GENERATION_MAX, PENDING_MAX, RETIRED_MAX, SWITCHES_MAX, Settings};
use super::{ChangeRecord, Document, Proposal, Sha256, Switch, Tombstone, text};
use crate::config::{ConfigError, Problems};

/// More would say no more, and a log line has an end.
const PROBLEMS_MAX: usize = 100;

/// Error of bytes that are not a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ParseError {
    /// There are too many of them.
    #[strum(serialize = "oversized")]
    #[error("the document has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Number of bytes.
        size: usize,
        /// Largest number allowed.
        limit: usize,
    },
    /// They are no JSON, or an object has a key twice.
    #[strum(serialize = "garbage")]
    #[error("the document is not valid JSON: {message}")]
    Syntax {
        /// The problem, with line and column.
        message: String,
    },
    /// A newer program wrote them.
    #[error("the document has format {format}, this program reads only format {FORMAT}: update the program")]
    UnknownFormat {
        /// The format that the document says it has.
        format: u64,
    },
    /// Fields are wrong: all of them, the first 100 in words.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
    /// They were changed by something that knows nothing of the hash.
    #[error(
        "hash: {stated} is not that of the content, {actual}; change documents with the command or the API only, not by hand"
    )]
    WrongHash {
        /// The hash that the document says it has.
        stated: Sha256,
        /// The one that it has.
        actual: Sha256,
    },
}

impl ParseError {
    /// A stable name for metrics and logs.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl Document {
    /// Reads a document of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// Bytes that are too many, no JSON, of a newer format, not of the form that a document has, or with another
    /// hash than their content's. Nothing is repaired and no part is taken.
    pub fn parse(bytes: &[u8], limit: usize) -> Result<Self, ParseError> {
        if bytes.len() > limit {
            return Err(ParseError::TooLarge { size: bytes.len(), limit });
        }
        let raw: Raw = decode(bytes).map_err(|error| match (decode(bytes), error) {
            (Ok(Format { format }), _) if format != FORMAT => ParseError::UnknownFormat { format },
            (_, DecodeError::Syntax(message)) => ParseError::Syntax { message },
            (_, DecodeError::Structure(error)) => ParseError::Invalid(error),
        })?;
        if raw.format != FORMAT {
            return Err(ParseError::UnknownFormat { format: raw.format });
        }
        let stated = raw.hash;
        let document = Self::try_from(raw)?;
        let actual = document.content_hash();
        if stated == actual { Ok(document) } else { Err(ParseError::WrongHash { stated, actual }) }
    }
}

/// The format alone, of documents that a newer program wrote.
#[derive(serde::Deserialize)]
struct Format {
    format: u64,
}

/// A document whose ranges are unchecked.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    format: u64,
    store: String,
    generation: u64,
    hash: Sha256,
    changed: ChangeRecord,
    switches: Vec<Switch>,
    retired: Vec<Tombstone>,
    pending: Vec<Proposal>,
    settings: Settings,
}

impl TryFrom<Raw> for Document {
    type Error = ConfigError;

    fn try_from(raw: Raw) -> Result<Self, ConfigError> {
        let Raw { format, store, generation, hash, changed, switches, retired, pending, settings } = raw;
        let document = Self { format, store, generation, hash, changed, switches, retired, pending, settings };
        let document = document.sealed();
        let mut problems = Problems::default();
        check(&document, &mut problems);
        problems.into_result(document).map_err(|error| shortened(&error))
    }
}

fn shortened(error: &ConfigError) -> ConfigError {
    let mut problems = Problems::default();
    for problem in error.problems().iter().take(PROBLEMS_MAX) {
        problems.add(problem.field().to_owned(), problem.value(), problem.allowed());
    }
    if error.problems().len() > PROBLEMS_MAX {
        let count = error.problems().len();
        problems.add("document", format!("{count} problems"), format!("without any; these are {PROBLEMS_MAX}"));
    }
    problems.into_error()
}

/// Checks across fields.
fn check(document: &Document, problems: &mut Problems) {
    let generation = document.generation;
    text::name("store", &document.store, problems);
    document.changed.check_at("changed", problems);
    let switch_id = |switch: &Switch| switch.id.to_string();
    let retired_id = |tombstone: &Tombstone| tombstone.id.to_string();
    let number = |proposal: &Proposal| proposal.number.to_string();
    list("switches", &document.switches, SWITCHES_MAX, switch_id, Switch::check_at, problems);
    list("retired", &document.retired, RETIRED_MAX, retired_id, Tombstone::check_at, problems);
    list("pending", &document.pending, PENDING_MAX, number, Proposal::check_at, problems);
    if !(1..=GENERATION_MAX).contains(&generation) {
        problems.add("generation", generation, format!("from 1 to {GENERATION_MAX}"));
    }
    for Tombstone { id, .. } in &document.retired {
        if document.switch(id.as_str()).is_some() {
            problems.add(format!("retired[{id}].id"), id, "no switch's");
        }
    }
    for number in document.pending.iter().map(|proposal| proposal.number).filter(|number| *number > generation) {
        problems.add(format!("pending[{number}].number"), number, "no later than the generation");
    }
}

/// Checks the items of a sorted list, each by its own name.
fn list<T>(
    field: &str,
    items: &[T],
    most: usize,
    name: impl Fn(&T) -> String,
    check: impl Fn(&T, &str, &mut Problems),
    problems: &mut Problems,
) {
    if items.len() > most {
        problems.add(field.to_owned(), format!("{} items", items.len()), format!("at most {most}"));
        return;
    }
    let mut before = None;
    for item in items {
        let name = name(item);
        if before.as_ref() == Some(&name) {
            problems.add(format!("{field}[{name}]"), &name, "listed once");
        }
        check(item, &format!("{field}[{name}]"), problems);
        before = Some(name);
    }
}
