//! Two-person rule: changes that need an approval, and their approval.

use super::error::ChangeError;
use super::lookup::{self, engagement, in_force};
use super::revert::{loosens, target};
pub(crate) use crate::kill_switch::model::proposal::Proposal;
use crate::kill_switch::model::{Author, Change, Document, PinState, Sha256, Trigger};

/// The proposal, if this person may approve it on this document.
pub(crate) fn approve<'a>(
    document: &'a Document,
    number: u64,
    seen: Sha256,
    by: &Author,
) -> Result<&'a Proposal, ChangeError> {
    let proposal = lookup::proposal(document, number)?;
    // "Ana" and "ana " are one person with two accounts as likely as two persons.
    let plain = |name: &str| name.trim().to_lowercase();
    if plain(&proposal.by) == plain(&by.name) {
        return Err(ChangeError::SamePerson { number, by: by.name.clone() });
    }
    let current = document.content_hash();
    if seen == current { Ok(proposal) } else { Err(ChangeError::StaleApproval { seen, current }) }
}

/// Whether engaging narrows the present engagement, which re-enables the capability for some requests. A drill
/// is rejected if something is engaged.
pub(crate) fn gives_back(document: &Document, change: &Change, by: &Author) -> bool {
    let Change::Engage(engage) = change else { return false };
    let engaged = document.switch(engage.switch.as_str()).and_then(|switch| in_force(switch, by));
    let engaged = engaged.filter(|old| old.trigger != Trigger::Drill && engage.trigger != Trigger::Drill);
    engaged.is_some_and(|old| engagement(document, engage, by).is_ok_and(|new| !new.covers(old)))
}

/// Returns whether a change takes two persons: taking a capability away never does, unless it gives part of one back.
pub(crate) fn takes_two(document: &Document, change: &Change, by: &Author, earlier: Option<&Document>) -> bool {
    let switch = change.switch().and_then(|id| document.switch(id.as_str()));
    let engaged = switch.and_then(|switch| in_force(switch, by));
    document.is_two_person()
        && match change {
            Change::Define { .. } => switch.is_some(),
            Change::Retire { .. } | Change::Extend { .. } | Change::Unpin { .. } => true,
            Change::Engage(_) => gives_back(document, change, by),
            // A drill is ended by its author; an expired engagement needs no release.
            Change::Release { .. } => {
                engaged.is_some_and(|engaged| engaged.trigger != Trigger::Drill || engaged.by != by.name)
            }
            Change::Pin { state, .. } => *state == PinState::Released,
            Change::Revert { .. } | Change::RevertSwitches { .. } => {
                earlier.is_none_or(|earlier| loosens(document, &target(document, change, earlier)))
            }
            Change::TwoPerson { required } => !required,
            // An engagement that begins with one instance takes away less for now, and gives nothing back.
            Change::Advance { .. }
            | Change::Stages { .. }
            | Change::Drilled { .. }
            | Change::Approve { .. }
            | Change::Reject { .. } => false,
        }
}
