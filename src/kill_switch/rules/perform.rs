//! Effect of each change on the switches, after its author was checked.

use super::error::ChangeError;
use super::lookup::{bury, engagement, in_force, not_pinned, unknown};
use super::revert;
use crate::clock::Timestamp;
use crate::config::Problems;
use crate::kill_switch::model::document::{RETIRED_MAX, SWITCHES_MAX};
use crate::kill_switch::model::{
    ActorKind, Author, Change, Definition, Document, DrillRecord, Engage, Engagement, Pin, PinState, Stage, Switch,
    SwitchId, Trigger,
};

pub(crate) fn perform(
    document: &mut Document,
    change: &Change,
    by: &Author,
    earlier: Option<&Document>,
) -> Result<(), ChangeError> {
    match change {
        Change::Define { switch, definition } => define(document, switch, definition),
        Change::Retire { switch } => retire(document, switch, by),
        Change::Engage(engage) => engaged(document, engage, by),
        Change::Advance { switch, stage } => advance(find_mut(document, switch)?, stage, by),
        Change::Release { switch } => release(find_mut(document, switch)?),
        Change::Extend { switch, until } => extend(find_mut(document, switch)?, *until, by),
        Change::Pin { switch, state } => pin(find_mut(document, switch)?, *state, by),
        Change::Unpin { switch } => unpin(find_mut(document, switch)?, by),
        Change::Revert { generation } | Change::RevertSwitches { generation, .. } => match earlier {
            Some(earlier) => revert::revert(document, &revert::target(document, change, earlier), by),
            None => Err(ChangeError::UnknownRevision { generation: *generation }),
        },
        Change::Drilled { switch, instances, time_to_disable_ms, time_to_verify_ms } => {
            let (at, by, instances) = (by.at, by.name.clone(), *instances);
            let (time_to_disable_ms, time_to_verify_ms) = (*time_to_disable_ms, *time_to_verify_ms);
            let record = DrillRecord { at, by, instances, time_to_disable_ms, time_to_verify_ms };
            find_mut(document, switch)?.drilled = Some(record);
            Ok(())
        }
        Change::TwoPerson { required } => set(&mut document.settings.two_person, required),
        Change::Stages { stages } => set(&mut document.settings.stages, stages),
        // A proposal never holds these two.
        Change::Approve { number, .. } | Change::Reject { number } => {
            Err(ChangeError::UnknownProposal { number: *number })
        }
    }
}

fn find_mut<'a>(document: &'a mut Document, id: &SwitchId) -> Result<&'a mut Switch, ChangeError> {
    match document.switches.binary_search_by(|switch| switch.id.cmp(id)) {
        Ok(place) => Ok(&mut document.switches[place]),
        Err(_) => Err(unknown(document, id)),
    }
}

fn define(document: &mut Document, id: &SwitchId, definition: &Definition) -> Result<(), ChangeError> {
    if document.is_retired(id) {
        return Err(ChangeError::Retired { switch: id.clone() });
    }
    match document.switches.binary_search_by(|switch| switch.id.cmp(id)) {
        Ok(place) => set(&mut document.switches[place].definition, definition),
        Err(_) if document.switches.len() >= SWITCHES_MAX => {
            Err(ChangeError::TooMany { what: "switches", most: SWITCHES_MAX })
        }
        Err(place) => {
            let (id, definition) = (id.clone(), definition.clone());
            document.switches.insert(place, Switch { id, definition, engaged: None, pin: None, drilled: None });
            Ok(())
        }
    }
}

fn retire(document: &mut Document, id: &SwitchId, by: &Author) -> Result<(), ChangeError> {
    let switch = find_mut(document, id)?;
    not_pinned(switch)?;
    if in_force(switch, by).is_some() {
        return Err(ChangeError::AlreadyEngaged { switch: id.clone(), instead: "release it before you retire it" });
    }
    if document.retired.len() >= RETIRED_MAX {
        return Err(ChangeError::TooMany { what: "tombstones", most: RETIRED_MAX });
    }
    document.switches.retain(|switch| switch.id != *id);
    bury(document, id.clone(), by);
    Ok(())
}

fn engaged(document: &mut Document, engage: &Engage, by: &Author) -> Result<(), ChangeError> {
    let new = engagement(document, engage, by);
    let (switch, new) = (find_mut(document, &engage.switch)?, new?);
    if new.trigger == Trigger::Drill {
        not_pinned(switch)?; // a drill does not override a pin
    }
    if let Some(old) = in_force(switch, by) {
        if new.trigger == Trigger::Drill {
            let instead = "run the drill while it is released";
            return Err(ChangeError::AlreadyEngaged { switch: switch.id.clone(), instead });
        }
        if !new.covers(old) {
            not_pinned(switch)?;
            if !engage.replace && old.trigger != Trigger::Drill {
                return Err(ChangeError::Narrows { switch: switch.id.clone(), by: old.by.clone() });
            }
        }
        let is_same = new.scope == old.scope && new.stage == old.stage && new.expires == old.expires;
        if engage.add && is_same {
            return Err(ChangeError::Unchanged);
        }
    }
    switch.engaged = Some(new);
    // A person takes a capability away whatever was pinned before: a pin keeps programs off, not people in need.
    if by.kind == ActorKind::Person && switch.is_pinned(PinState::Released) {
        switch.pin = None;
    }
    Ok(())
}

fn advance(switch: &mut Switch, stage: &Stage, by: &Author) -> Result<(), ChangeError> {
    let id = switch.id.clone();
    let engaged = real(switch, by)?;
    let next = stage.clone().after(&engaged.stage);
    if next == engaged.stage || !next.covers(&engaged.stage) {
        return Err(ChangeError::NotWider { switch: id });
    }
    let mut problems = Problems::default();
    next.check_at("stage", &mut problems); // with the names that it had before
    problems.into_result(())?;
    engaged.stage = next;
    Ok(())
}

fn release(switch: &mut Switch) -> Result<(), ChangeError> {
    if switch.engaged.is_none() {
        return Err(ChangeError::NotEngaged { switch: switch.id.clone() });
    }
    not_pinned(switch)?;
    switch.engaged = None;
    Ok(())
}

fn extend(switch: &mut Switch, until: Timestamp, by: &Author) -> Result<(), ChangeError> {
    let id = switch.id.clone();
    let Some(expires) = &mut real(switch, by)?.expires else { return Err(ChangeError::NoExpiry { switch: id }) };
    if until <= expires.at || until <= by.at {
        let allowed = format!("in the future and later than {}", expires.at);
        return Err(crate::config::ConfigError::of(crate::config::Problem::new("until", until, allowed)).into());
    }
    expires.at = until;
    Ok(())
}

fn pin(switch: &mut Switch, state: PinState, by: &Author) -> Result<(), ChangeError> {
    let id = switch.id.clone();
    if switch.is_pinned(state) {
        return Err(ChangeError::Unchanged);
    }
    match (state, in_force(switch, by).is_some()) {
        (PinState::Released, true) => {
            return Err(ChangeError::AlreadyEngaged { switch: id, instead: "release it before you pin it released" });
        }
        (PinState::Released, false) => switch.engaged = None, // its time is over
        (PinState::Engaged, _) => drop(real(switch, by)?),
    }
    switch.pin = Some(Pin { state, by: by.name.clone(), reason: by.reason.clone(), at: by.at });
    Ok(())
}

fn unpin(switch: &mut Switch, by: &Author) -> Result<(), ChangeError> {
    if switch.pin.take().is_none() {
        return Err(ChangeError::NotPinned { switch: switch.id.clone() });
    }
    // The switch stays as it is: what the pin kept past its end goes on until it is released.
    if let Some(engaged) = &mut switch.engaged
        && engaged.is_over(by.at)
    {
        engaged.expires = None;
    }
    Ok(())
}

/// The engagement in force, which is no drill: one changed by another author would no longer be one.
fn real<'a>(switch: &'a mut Switch, by: &Author) -> Result<&'a mut Engagement, ChangeError> {
    let (id, is_in_force) = (switch.id.clone(), in_force(switch, by).is_some());
    let instead = "a drill engaged it, which ends by itself: to keep it off, engage it without a drill";
    match switch.engaged.as_mut().filter(|_| is_in_force) {
        None => Err(ChangeError::NotEngaged { switch: id }),
        Some(engaged) if engaged.trigger == Trigger::Drill => Err(ChangeError::AlreadyEngaged { switch: id, instead }),
        Some(engaged) => Ok(engaged),
    }
}

fn set<T: Clone + PartialEq>(value: &mut T, new: &T) -> Result<(), ChangeError> {
    if value == new {
        return Err(ChangeError::Unchanged);
    }
    value.clone_from(new);
    Ok(())
}
