//! Going back to an earlier generation, which makes a new one.

use super::error::ChangeError;
use super::lookup::bury;
use crate::kill_switch::model::document::RETIRED_MAX;
use crate::kill_switch::model::{Author, Change, Document, Switch, SwitchId};
use std::collections::BTreeSet;

/// The document that a revert leads to, but for tombstones: the earlier one, or the present one with some of its switches.
pub(crate) fn target(document: &Document, change: &Change, earlier: &Document) -> Document {
    let Change::RevertSwitches { switches, settings, .. } = change else { return earlier.clone() };
    let mut target = document.clone();
    target.switches.retain(|switch| !switches.contains(&switch.id));
    target.switches.extend(earlier.switches.iter().filter(|switch| switches.contains(&switch.id)).cloned());
    target.switches.sort_by(|one, other| one.id.cmp(&other.id));
    if *settings {
        target.settings.clone_from(&earlier.settings);
    }
    target
}

/// Checks that a revert undoes what its author named, and nothing of other authors unseen. `between` are the documents
/// between the two, the newest first.
pub(crate) fn undoes_as_named(
    change: &Change,
    by: &Author,
    (now, earlier): (&Document, &Document),
    between: impl Iterator<Item = Document>,
) -> Result<(), ChangeError> {
    let generation = earlier.generation;
    let target = target(now, change, earlier);
    let (nobody, switches) = (BTreeSet::new(), differing(now, &target));
    let is_settings = now.settings != target.settings;
    let (is_named, over) = match change {
        Change::RevertSwitches { switches: named, over, .. } => {
            let is_known = |id: &SwitchId| [now, earlier].iter().any(|document| document.switch(id.as_str()).is_some());
            if let Some(unknown) = named.iter().find(|id| !is_known(id)) {
                return Err(ChangeError::UnknownSwitch { switch: unknown.clone() });
            }
            (true, over)
        }
        _ => (switches.len() + usize::from(is_settings) <= 1, &nobody),
    };
    // A generation that is not kept counts as a part of the next one that is.
    let (mut undone, mut newer) = (Vec::new(), now.clone());
    for older in between.chain([earlier.clone()]) {
        let is_undone = is_settings && newer.settings != older.settings
            || differing(&newer, &older).iter().any(|switch| switches.contains(switch));
        undone.extend(is_undone.then_some(newer.changed));
        newer = older;
    }
    let others: BTreeSet<_> = undone.iter().map(|changed| &changed.by).filter(|name| **name != by.name).collect();
    if is_named && others.iter().all(|name| over.contains(*name)) {
        return Ok(());
    }
    let told = undone.iter().take(10).map(|changed| format!("\"{}\" by {}", changed.what, changed.by));
    let mut names: Vec<_> = switches.iter().take(10).map(|switch| format!("--switch {switch}")).collect();
    names.extend(is_settings.then(|| "--settings".to_owned()));
    names.extend(others.iter().map(|name| format!("--over {name:?}")));
    let (undone, names) = (told.collect::<Vec<_>>().join(", "), names.join(" "));
    Err(ChangeError::UndoesMore { generation, undone, names })
}

/// The switches that are not the same in both.
fn differing(one: &Document, other: &Document) -> BTreeSet<SwitchId> {
    let differs = |switch: &&Switch, in_other: &Document| in_other.switch(switch.id.as_str()) != Some(switch);
    let of_one = one.switches.iter().filter(|switch| differs(switch, other));
    let of_other = other.switches.iter().filter(|switch| differs(switch, one));
    of_one.chain(of_other).map(|switch| switch.id.clone()).collect()
}

/// Takes the switches and settings of an earlier document.
///
/// Tombstones do not go back: a switch that was not there yet gets one, so that its id is not reused for something
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
