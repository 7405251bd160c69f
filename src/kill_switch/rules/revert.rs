//! Going back to an earlier generation, which makes a new one.

use super::error::ChangeError;
use super::lookup::bury;
use crate::kill_switch::model::document::RETIRED_MAX;
use crate::kill_switch::model::{Author, Document};

/// Takes the switches and settings of an earlier document.
///
/// Tombstones do not go back: a switch that was not there yet gets one, so that nobody uses its id for something
/// else before the revert is reverted; one that was retired since comes back as what it was. Proposals stay: those
/// that were decided since must not wait again.
pub(crate) fn revert(document: &mut Document, earlier: &Document, by: &Author) -> Result<(), ChangeError> {
    if document.switches == earlier.switches && document.settings == earlier.settings {
        return Err(ChangeError::Unchanged);
    }
    let now = std::mem::replace(&mut document.switches, earlier.switches.clone());
    document.settings.clone_from(&earlier.settings);
    document.retired.retain(|tombstone| earlier.switch(tombstone.id.as_str()).is_none());
    for switch in now {
        if earlier.switch(switch.id.as_str()).is_none() {
            bury(document, switch.id, by);
        }
    }
    if document.retired.len() > RETIRED_MAX {
        return Err(ChangeError::TooMany { what: "tombstones", most: RETIRED_MAX });
    }
    Ok(())
}

/// Returns whether going back would release, retire, redefine or unpin something, or end the rule of two persons.
pub(crate) fn loosens(document: &Document, earlier: &Document) -> bool {
    let is_kept = document.switches.iter().all(|now| {
        earlier.switch(now.id.as_str()).is_some_and(|then| {
            let is_engaged = match (&now.engaged, &then.engaged) {
                (None, _) => true,
                (Some(now), Some(then)) => then.covers(now),
                (Some(_), None) => false,
            };
            is_engaged && now.definition == then.definition && now.pin == then.pin
        })
    });
    !is_kept || document.settings.two_person && !earlier.settings.two_person
}
