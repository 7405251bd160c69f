//! Lookups that the rules share: switches, engagements and proposals of a document.

use super::error::ChangeError;
use crate::kill_switch::model::engagement::ends;
use crate::kill_switch::model::{
    Author, Document, Engage, Engagement, Expiry, Proposal, Stage, Switch, SwitchId, Tombstone, Trigger,
};
/// The proposal of this number.
pub(crate) fn proposal(document: &Document, number: u64) -> Result<&Proposal, ChangeError> {
    let found = document.pending.iter().find(|proposal| proposal.number == number);
    found.ok_or(ChangeError::UnknownProposal { number })
}

/// The engagement that a change would make on this document.
pub(crate) fn engagement(document: &Document, engage: &Engage, by: &Author) -> Result<Engagement, ChangeError> {
    let stages = document.stages();
    let skips = || Err(ChangeError::SkipsStages { switch: engage.switch.clone() });
    let old = document.switch(engage.switch.as_str()).and_then(|switch| in_force(switch, by));
    // The stage of a drill has not been checked.
    let old = old.filter(|old| old.trigger != Trigger::Drill);
    let added = old.filter(|_| engage.add);
    let old = old.filter(|_| !stages.is_empty());
    let stage = match (&engage.stage, old) {
        (None, None) if !engage.now && added.is_some() => added.map(|old| old.stage.clone()).unwrap_or_default(),
        (Some(stage), _) if !engage.now && stages.are_skipped_by(stage) => return skips(),
        (Some(stage), _) => stage.clone(),
        (None, _) if engage.now => Stage::Everywhere,
        // Further than the first stage, and for others than those whom it was looked at for.
        (None, Some(old)) if stages.are_skipped_by(&old.stage) && !old.scope.covers(&engage.scope) => return skips(),
        (None, Some(old)) => old.stage.clone(),
        (None, None) => stages.first(),
    };
    let (scope, expires) = match added {
        Some(old) => {
            let scope = old.scope.union(&engage.scope);
            let scope = scope.ok_or_else(|| ChangeError::CannotAdd { switch: engage.switch.clone() })?;
            // Without an end of its own it keeps the present one.
            let is_later = |expiry: &Expiry| ends(Some(*expiry)) >= ends(old.expires);
            (scope, engage.expires.filter(is_later).or(old.expires))
        }
        None => (engage.scope.clone(), engage.expires),
    };
    Ok(Engagement {
        scope,
        stage,
        by: by.name.clone(),
        reason: by.reason.clone(),
        incident: engage.incident.clone(),
        at: by.at,
        expires,
        trigger: engage.trigger.clone(),
    })
}

/// The engagement, if it is in force at that time; one that a pin keeps is.
pub(crate) fn in_force<'a>(switch: &'a Switch, by: &Author) -> Option<&'a Engagement> {
    switch.engaged.as_ref().filter(|_| switch.is_engaged(by.at))
}

pub(crate) fn find<'a>(document: &'a Document, id: &SwitchId) -> Result<&'a Switch, ChangeError> {
    document.switch(id.as_str()).ok_or_else(|| unknown(document, id))
}

pub(super) fn unknown(document: &Document, id: &SwitchId) -> ChangeError {
    let switch = id.clone();
    if document.is_retired(id) { ChangeError::Retired { switch } } else { ChangeError::UnknownSwitch { switch } }
}

pub(crate) fn bury(document: &mut Document, id: SwitchId, by: &Author) {
    if let Err(place) = document.retired.binary_search_by(|tombstone| tombstone.id.cmp(&id)) {
        document.retired.insert(place, Tombstone { id, at: by.at, by: by.name.clone() });
    }
}

pub(super) fn not_pinned(switch: &Switch) -> Result<(), ChangeError> {
    let Some(pin) = &switch.pin else { return Ok(()) };
    Err(ChangeError::Pinned { switch: switch.id.clone(), state: pin.state, by: pin.by.clone() })
}
