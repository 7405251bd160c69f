//! From bytes to a document, or to everything that is wrong with them.

use super::document::{Document, FORMAT, GENERATION_MAX, PENDING_MAX, RETIRED_MAX, SWITCHES_MAX};
use super::hash::Sha256;
use super::json::Node;
use super::read;
use super::read::{Fields, Read};
use super::records::Tombstone;
use super::switch::Switch;
use crate::config::{ConfigError, Problems};
pub(in crate::kill_switch) use crate::kill_switch::rules::two_person::Proposal;

/// More would say no more, and a log line has an end.
const PROBLEMS_MAX: usize = 100;

/// Why bytes are no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There are too many of them.
    #[error("the document has {size} bytes, and at most {limit} are allowed")]
    TooLarge {
        /// How many there are.
        size: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// They are no JSON, or an object has a key twice.
    #[error("the document is no JSON that can be read: {message}")]
    Syntax {
        /// What is wrong, with line and column.
        message: String,
    },
    /// A newer program wrote them.
    #[error("the document has format {format}, and this program knows format {FORMAT}: update it first")]
    UnknownFormat {
        /// The format that the document says it has.
        format: u64,
    },
    /// Fields are wrong: all of them, the first 100 in words.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
    /// They were changed by something that knows nothing of the hash.
    #[error("hash: {stated} is not that of the content, {actual}: write documents with the command or the API")]
    WrongHash {
        /// The hash that the document says it has.
        stated: Sha256,
        /// The one that it has.
        actual: Sha256,
    },
}

impl ParseError {
    /// A stable name for metrics and logs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "oversized",
            Self::Syntax { .. } => "garbage",
            Self::UnknownFormat { .. } => "unknown_format",
            Self::Invalid(_) => "invalid",
            Self::WrongHash { .. } => "wrong_hash",
        }
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
        let node = Node::parse(bytes).map_err(|error| ParseError::Syntax { message: error.to_string() })?;
        if let Node::Object(fields) = &node
            && let Some(Node::Whole(format)) = fields.get("format")
            && *format != FORMAT
        {
            return Err(ParseError::UnknownFormat { format: *format });
        }
        let Stated { document, hash } = read::read(&node, "").map_err(|error| shortened(&error))?;
        let actual = document.content_hash();
        if hash == actual { Ok(document) } else { Err(ParseError::WrongHash { stated: hash, actual }) }
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

/// A document and the hash that stands in it.
struct Stated {
    document: Document,
    hash: Sha256,
}

impl Read for Stated {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let known = ["format", "store", "generation", "hash", "changed", "switches", "retired", "pending", "settings"];
        let mut fields = Fields::of(node, at, &known, problems)?;
        let format = fields.required::<u64>("format");
        let (store, generation, hash) = (fields.name("store"), fields.required("generation"), fields.required("hash"));
        let changed = fields.required("changed");
        let switches = fields.list::<Switch>("switches", SWITCHES_MAX, "id");
        let retired = fields.list("retired", RETIRED_MAX, "id");
        let pending = fields.list("pending", PENDING_MAX, "number");
        let settings = fields.required("settings");
        let (switches, retired, pending, generation) = (switches?, retired?, pending?, generation?);
        let (_, store, hash, changed, settings) = (format?, store?, hash?, changed?, settings?);
        let document = Document::sealed(store, generation, changed, switches, retired, pending, settings);
        check(&document, problems);
        Some(Self { document, hash })
    }
}

/// What no field can tell alone.
fn check(document: &Document, problems: &mut Problems) {
    let generation = document.generation;
    if !(1..=GENERATION_MAX).contains(&generation) {
        problems.add("generation", generation, format!("from 1 to {GENERATION_MAX}"));
    }
    for Tombstone { id, .. } in &document.retired {
        if document.switch(id.as_str()).is_some() {
            problems.add(format!("retired[{id}].id"), id, "no switch's");
        }
    }
    for number in document.pending.iter().map(Proposal::number).filter(|number| *number > generation) {
        problems.add(format!("pending[{number}].number"), number, "no later than the generation");
    }
}
