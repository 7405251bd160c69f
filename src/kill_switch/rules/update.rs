//! Check of a document from the store before it comes into force.
//!
//! A rejected document leaves the current one in force without a time limit: a store that went back in time, was
//! swapped or holds garbage must not release what is engaged.

use crate::kill_switch::model::{Document, ParseError, Sha256, SwitchId};

/// Effect of a document that is accepted.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// It takes it.
    New(Box<Document>),
    /// It has it already.
    Same,
}

/// Reason to reject a document and keep the one in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum DocumentRejected {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// It belongs to another store.
    #[error("the document belongs to the store {given:?}, but this instance follows the store {current:?}")]
    ForeignStore {
        /// The store that this instance follows.
        current: String,
        /// The store that it belongs to.
        given: String,
    },
    /// The store went back in time, as after a restored backup.
    #[error("generation {given} in the store is older than generation {current}, which is in force")]
    OlderGeneration {
        /// The generation in force.
        current: u64,
        /// Its generation.
        given: u64,
    },
    /// Two writers made two documents of one generation.
    #[error(
        "generation {generation} is in force with the hash {current}, but the one in the store has the hash {given}"
    )]
    ConflictingGeneration {
        /// The generation of both.
        generation: u64,
        /// The hash in force.
        current: Sha256,
        /// Its hash.
        given: Sha256,
    },
    /// Engaged switches are missing without a tombstone.
    #[error("engaged switches are missing without having been retired: {}", list(switches))]
    DropsEngaged {
        /// Their ids, in order.
        switches: Vec<SwitchId>,
    },
}

fn list(switches: &[SwitchId]) -> String {
    switches.iter().map(SwitchId::as_str).collect::<Vec<_>>().join(", ")
}

impl DocumentRejected {
    /// A stable name for metrics and logs.
    pub fn code(&self) -> &'static str {
        if let Self::Unreadable(error) = self { error.code() } else { self.into() }
    }
}

/// Decides whether an instance that follows `current` takes these bytes.
///
/// # Errors
///
/// Everything that would be a step back; see [`DocumentRejected`]. The first document may be of any store and
/// generation.
pub fn check_update(current: Option<&Document>, bytes: &[u8]) -> Result<Update, DocumentRejected> {
    let given = Document::parse(bytes, Document::SIZE_MAX)?;
    let Some(current) = current else { return Ok(Update::New(Box::new(given))) };
    if given.store() != current.store() {
        return Err(DocumentRejected::ForeignStore {
            current: current.store().to_owned(),
            given: given.store().to_owned(),
        });
    }
    if given.generation() < current.generation() {
        return Err(DocumentRejected::OlderGeneration { current: current.generation(), given: given.generation() });
    }
    if given.generation() == current.generation() {
        let (generation, current, given) = (given.generation(), current.content_hash(), given.content_hash());
        let is_same = given == current;
        return if is_same {
            Ok(Update::Same)
        } else {
            Err(DocumentRejected::ConflictingGeneration { generation, current, given })
        };
    }
    let is_gone = |id: &SwitchId| given.switch(id.as_str()).is_none() && !given.is_retired(id);
    let engaged = current.switches().iter().filter(|switch| switch.engaged.is_some()).map(|switch| &switch.id);
    let switches: Vec<_> = engaged.filter(|id| is_gone(id)).cloned().collect();
    if switches.is_empty() {
        Ok(Update::New(Box::new(given)))
    } else {
        Err(DocumentRejected::DropsEngaged { switches })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill_switch::model::tests::full;

    /// The full document after something was done to it, with the right hash.
    fn with(change: impl FnOnce(&mut Document)) -> Document {
        let mut document = full();
        change(&mut document);
        document.seal();
        document
    }

    fn text() -> String {
        String::from_utf8(full().to_bytes()).unwrap()
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let dropped = |document: &mut Document| {
            document.generation += 1;
            document.switches.retain(|switch| switch.id.as_str() != "recs");
        };
        let huge = vec![b' '; Document::SIZE_MAX + 1];
        for (bytes, code) in [
            (huge, "oversized"),
            (Vec::new(), "garbage"),
            (text().replace("\"settings\"", "\"store\"").into_bytes(), "garbage"),
            (text().replace("\"format\": 1", "\"format\": 2").into_bytes(), "unknown_format"),
            (text().replace("\"format\": 1", "\"format\": \"1\"").into_bytes(), "invalid"),
            (text().replace("12.5", "12.6").into_bytes(), "wrong_hash"),
            (with(|document| document.store = "other".into()).to_bytes(), "foreign_store"),
            (with(|document| document.generation = 4).to_bytes(), "older_generation"),
            (with(|document| document.settings.two_person = false).to_bytes(), "conflicting_generation"),
            (with(dropped).to_bytes(), "drops_engaged"),
        ] {
            let refusal = check_update(Some(&full()), &bytes).unwrap_err();
            assert_eq!(refusal.code(), code, "{refusal}");
        }
    }

    #[test]
    fn the_same_bytes_again_are_the_same_and_a_later_generation_is_new() {
        assert_eq!(check_update(Some(&full()), &full().to_bytes()), Ok(Update::Same));
        assert_eq!(check_update(None, &full().to_bytes()), Ok(Update::New(Box::new(full()))));
        let later = with(|document| document.generation = 900);
        assert_eq!(check_update(Some(&full()), &later.to_bytes()), Ok(Update::New(Box::new(later.clone()))));
        assert!(check_update(Some(&later), &full().to_bytes()).is_err(), "and never back");
    }

    #[test]
    fn a_switch_may_go_when_it_was_released_or_has_a_tombstone() {
        let released = with(|document| {
            document.generation += 1;
            document.switches.retain(|switch| switch.id.as_str() != "ads");
        });
        assert!(check_update(Some(&full()), &released.to_bytes()).is_ok());
        let buried = with(|document| {
            document.generation += 1;
            let recs = document.switches.pop().unwrap();
            document.retired.push(crate::kill_switch::model::records::Tombstone {
                id: recs.id,
                at: document.changed.at,
                by: "ana".into(),
            });
        });
        assert!(check_update(Some(&full()), &buried.to_bytes()).is_ok());
    }
}
