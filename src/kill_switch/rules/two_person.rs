//! What takes two persons, and what waits for the second.

use super::apply::{engagement, find as find_switch, in_force};
use super::error::ChangeError;
use super::revert::loosens;
use crate::clock::Timestamp;
use crate::config::Problems;
use crate::kill_switch::model::author::Author;
use crate::kill_switch::model::change::Change;
use crate::kill_switch::model::document::Document;
use crate::kill_switch::model::engage::Engage;
use crate::kill_switch::model::engagement::Trigger;
use crate::kill_switch::model::hash::ContentHash;
use crate::kill_switch::model::json::Node;
use crate::kill_switch::model::percent::Percent;
use crate::kill_switch::model::read::{Fields, Read};
use crate::kill_switch::model::records::PinState;
use crate::kill_switch::model::scope::Scope;
use crate::kill_switch::model::stage::Stage;
use crate::kill_switch::model::switch::Switch;

/// A change that one person asked for and another one has to approve.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Proposal {
    pub(in crate::kill_switch) number: u64,
    pub(in crate::kill_switch) change: Change,
    pub(in crate::kill_switch) by: String,
    pub(in crate::kill_switch) reason: String,
    pub(in crate::kill_switch) at: Timestamp,
    pub(in crate::kill_switch) document: ContentHash,
}

impl Proposal {
    /// Its number: the generation in which it was proposed.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What it would do.
    pub const fn change(&self) -> &Change {
        &self.change
    }

    /// Who asked for it.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The hash of the document that it was asked for on.
    pub const fn document(&self) -> ContentHash {
        self.document
    }
}

impl Read for Proposal {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let known = ["number", "change", "by", "reason", "at", "document"];
        let mut fields = Fields::of(node, at, &known, problems)?;
        let (number, change) = (fields.required("number"), fields.required("change"));
        let (by, reason) = (fields.name("by"), fields.reason("reason"));
        let (time, document) = (fields.required("at"), fields.required("document"));
        Some(Self { number: number?, change: change?, by: by?, reason: reason?, at: time?, document: document? })
    }
}

/// Whether a document has a proposal of this number.
pub(in crate::kill_switch) fn find(document: &Document, number: u64) -> Result<&Proposal, ChangeError> {
    let found = document.pending.iter().find(|proposal| proposal.number == number);
    found.ok_or(ChangeError::UnknownProposal { number })
}

/// The proposal, if this person may approve it on this document.
pub(in crate::kill_switch) fn approve<'a>(
    document: &'a Document,
    number: u64,
    seen: ContentHash,
    by: &Author,
) -> Result<&'a Proposal, ChangeError> {
    let proposal = find(document, number)?;
    // "Ana" and "ana " are one person with two accounts as likely as two persons.
    let plain = |name: &str| name.trim().to_lowercase();
    if plain(&proposal.by) == plain(&by.name) {
        return Err(ChangeError::SamePerson { number, by: by.name.clone() });
    }
    let current = document.content_hash();
    if seen == current { Ok(proposal) } else { Err(ChangeError::StaleApproval { seen, current }) }
}

/// Whether engaging lets somebody in again, as it replaces what is engaged already. A drill keeps nobody out for good, and
/// is refused where something is engaged.
pub(crate) fn gives_back(document: &Document, change: &Change, by: &Author) -> bool {
    let Change::Engage(engage) = change else { return false };
    let engaged = document.switch(engage.switch.as_str()).and_then(|switch| in_force(switch, by));
    let engaged = engaged.filter(|old| old.trigger != Trigger::Drill && engage.trigger != Trigger::Drill);
    engaged.is_some_and(|old| engagement(document, engage, by).is_ok_and(|new| !new.covers(old)))
}

/// Whether a change takes two persons: taking a capability away never does, unless it gives part of one back.
pub(in crate::kill_switch) fn takes_two(
    document: &Document,
    change: &Change,
    by: &Author,
    earlier: Option<&Document>,
) -> bool {
    let switch = change.switch().and_then(|id| document.switch(id.as_str()));
    let engaged = switch.and_then(|switch| in_force(switch, by));
    document.is_two_person()
        && match change {
            Change::Define { .. } => switch.is_some(),
            Change::Retire { .. } | Change::Extend { .. } | Change::Unpin { .. } => true,
            Change::Engage(_) => gives_back(document, change, by),
            // Whoever rehearses ends it, too; and what is over by its own clock is no release.
            Change::Release { .. } => {
                engaged.is_some_and(|engaged| engaged.trigger != Trigger::Drill || engaged.by != by.name)
            }
            Change::Pin { state, .. } => *state == PinState::Released,
            Change::Revert { .. } => earlier.is_none_or(|earlier| loosens(document, earlier)),
            Change::TwoPerson { required } => !required,
            // What begins with one instance takes away less for now, and nothing is given back by it.
            Change::Advance { .. }
            | Change::Stages { .. }
            | Change::Drilled { .. }
            | Change::Approve { .. }
            | Change::Reject { .. } => false,
        }
}

/// Whether a program may ask for a change: to engage within the definition's limits, to take its own engagement
/// further, and to record a rehearsal; never over a pin.
pub(in crate::kill_switch) fn may_automation(
    document: &Document,
    change: &Change,
    by: &Author,
) -> Result<(), ChangeError> {
    let (Change::Engage(Engage { switch: id, .. }) | Change::Advance { switch: id, .. }) = change else {
        let may = matches!(change, Change::Drilled { .. });
        return if may { Ok(()) } else { Err(ChangeError::AutomationMayNot { verb: change.verb() }) };
    };
    let switch = find_switch(document, id)?;
    if let Some(pin) = &switch.pin {
        return Err(ChangeError::Pinned { switch: id.clone(), state: pin.state, by: pin.by.clone() });
    }
    let allowed = switch.definition.automatic_limit();
    let within = |scope: &Scope| {
        let is_within = allowed.is_some() && scope.share().is_some_and(|share| Some(share) <= allowed);
        let allowed = allowed.map_or(0.0, Percent::get);
        if is_within { Ok(()) } else { Err(ChangeError::TooWide { switch: id.clone(), allowed }) }
    };
    let stages = document.stages();
    match (change, in_force(switch, by)) {
        (Change::Engage(_), Some(_)) => {
            Err(ChangeError::AlreadyEngaged { switch: id.clone(), instead: "leave it to whoever did" })
        }
        (Change::Engage(engage), None) => {
            within(&engage.scope)?;
            if engage.now {
                return Err(ChangeError::AutomationMayNot { verb: "leave stages out" });
            }
            let stage = engagement(document, engage, by)?.stage;
            if !stages.is_empty() && !stages.first().covers(&stage) {
                return Err(ChangeError::SkipsStages { switch: id.clone() });
            }
            reaches(switch, &stage)
        }
        (_, Some(engaged)) if matches!(engaged.trigger, Trigger::Human | Trigger::Drill) => {
            Err(ChangeError::AutomationMayNot { verb: "take further what a person engaged" })
        }
        (Change::Advance { stage, .. }, Some(engaged)) => {
            within(&engaged.scope)?;
            let next = stages.next(&engaged.stage);
            if !stages.is_empty() && next != Some(stage.clone().after(&engaged.stage)) {
                return Err(ChangeError::SkipsStages { switch: id.clone() });
            }
            reaches(switch, stage)
        }
        _ => Ok(()),
    }
}

/// Whether a program may go as far through the fleet.
fn reaches(switch: &Switch, stage: &Stage) -> Result<(), ChangeError> {
    let (switch, allowed) = (switch.id.clone(), switch.definition.automatic_spread());
    if stage.spread() <= allowed { Ok(()) } else { Err(ChangeError::TooFar { switch, allowed }) }
}
