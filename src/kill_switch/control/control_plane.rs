//! Control plane: reads and changes documents here, or in another program.

use super::error::TRIES;
use crate::clock::timestamp;
use crate::kill_switch::{Author, Change, Document, EditError, Editor, SwitchId};
use std::error::Error;

/// A way to read and change documents: an [`Editor`], or the admin page of another program.
///
/// Drills and staged engagements need nothing more, so the command runs them by way of a program's admin page, too.
pub trait ControlPlane {
    /// The error of a failed call.
    type Error: Error + Send + Sync + 'static;

    /// The document as it is; `None` if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn document(&self) -> Result<Option<Document>, Self::Error>;

    /// Makes one change and returns the document after it; if a generation is given, only on a document of it.
    ///
    /// # Errors
    ///
    /// It was not done, or its result is unknown: then read the document.
    fn change(&self, generation: Option<u64>, change: &Change, by: &Author) -> Result<Document, Self::Error>;

    /// Returns whether this says that the document was of another generation.
    fn has_moved(error: &Self::Error) -> bool;
}

impl ControlPlane for Editor {
    type Error = EditError;

    fn document(&self) -> Result<Option<Document>, EditError> {
        Self::document(self)
    }

    fn change(&self, generation: Option<u64>, change: &Change, by: &Author) -> Result<Document, EditError> {
        match generation {
            Some(generation) => self.change_if(generation, change, by).map(|changes| changes.document),
            None => Self::change(self, change, by),
        }
    }

    fn has_moved(error: &EditError) -> bool {
        matches!(error, EditError::Moved { .. })
    }
}

/// Does one thing as long as the document meets a condition: it is asked of the very document that the change replaces.
/// Else, the document that does not.
pub(crate) fn change_while<O: ControlPlane>(
    control_plane: &O,
    change: &Change,
    by: &Author,
    condition: impl Fn(&Document) -> bool,
) -> Result<Result<Document, Option<Document>>, O::Error> {
    let mut tries = 1;
    loop {
        let document = match control_plane.document()? {
            Some(document) if condition(&document) => document,
            other => return Ok(Err(other)),
        };
        let by = Author { at: timestamp(), ..by.clone() };
        match control_plane.change(Some(document.generation()), change, &by) {
            Err(error) if O::has_moved(&error) && tries < TRIES => tries += 1,
            done => return done.map(Ok),
        }
    }
}

/// The actor that changed a switch: the author of its pin or engagement, else of the document's last change.
pub(crate) fn who(document: Option<&Document>, switch: &SwitchId) -> String {
    let found = document.and_then(|document| document.switch(switch.as_str()));
    let pinned = found.and_then(|switch| switch.pin.as_ref()).map(|pin| &*pin.by);
    let engaged = found.and_then(|switch| switch.engaged.as_ref()).map(|engaged| &*engaged.by);
    let last = document.map_or("another author", |document| &document.changed().by);
    pinned.or(engaged).unwrap_or(last).to_owned()
}
