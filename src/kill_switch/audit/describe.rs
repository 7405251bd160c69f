//! Audit record of a change.

use super::record::AuditRecord;
use crate::kill_switch::model::{Author, Change, Document, SwitchId};
use crate::kill_switch::rules::lookup;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn facts(before: &Document, after: &Document, change: &Change, by: &Author) -> AuditRecord {
    let what = if after.changed().proposed.is_some() { "propose" } else { change.verb() };
    let mut facts = AuditRecord::new(by.at, &by.name, what, after.generation());
    facts.reason = Some(by.reason.clone()).filter(|reason| !reason.is_empty());
    facts.approvers = after.changed().approved_by.clone().into_iter().collect();
    facts.break_glass = after.changed().break_glass;
    let proposal = match change {
        Change::Approve { number, .. } => lookup::proposal(before, *number).ok(),
        _ => None,
    };
    let done = proposal.map_or(change, |proposal| &proposal.change);
    facts.proposed_by = proposal.map(|proposal| proposal.by.clone());
    facts.change = serde_json::to_value(done).ok();
    if let Some(switch) = done.switch() {
        facts.switch = Some(switch.to_string());
        (facts.scope_before, facts.scope_after) = (scope(before, switch), scope(after, switch));
        let engaged = after.switch(switch.as_str()).and_then(|switch| switch.engaged.as_ref());
        facts.trigger = engaged.and_then(|engaged| serde_json::to_value(&engaged.trigger).ok());
        facts.incident = engaged.and_then(|engaged| engaged.incident.clone());
    } else {
        let all: BTreeSet<_> = before.switches().iter().chain(after.switches()).map(|switch| &switch.id).collect();
        let changed = |document| {
            let differing = all.iter().filter(|id| scope(before, id) != scope(after, id));
            differing.map(|id| (id.to_string(), scope(document, id).unwrap_or_default())).collect::<Value>()
        };
        (facts.scope_before, facts.scope_after) = (Some(changed(before)), Some(changed(after)));
    }
    facts
}

/// Of a document that was put back, in place of one that was lost.
pub(crate) fn restored(before: &Document, after: &Document, by: &Author) -> AuditRecord {
    let mut facts = AuditRecord::new(by.at, &by.name, "restore", after.generation());
    facts.reason = Some(by.reason.clone()).filter(|reason| !reason.is_empty());
    facts.change = Some(serde_json::json!({ "restore": { "generation": before.generation() } }));
    facts.break_glass = after.changed().break_glass;
    facts
}

/// The audit record of a change that was rejected on this document.
pub(crate) fn refused(document: &Document, change: &Change, by: &Author, code: &str) -> AuditRecord {
    let mut facts = AuditRecord::new(by.at, &by.name, change.verb(), document.generation());
    facts.reason = Some(by.reason.clone()).filter(|reason| !reason.is_empty());
    facts.change = serde_json::to_value(change).ok();
    facts.switch = change.switch().map(SwitchId::to_string);
    facts.refused = Some(code.to_owned());
    facts
}

/// Scope of a switch's engagement in a document.
fn scope(document: &Document, switch: &SwitchId) -> Option<Value> {
    let engaged = document.switch(switch.as_str())?.engaged.as_ref()?;
    serde_json::to_value(&engaged.scope).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::kill_switch::model::engage::Engage;
    use crate::kill_switch::model::scope::Scope;
    use crate::kill_switch::model::switch::{Definition, OnUnknown};
    use crate::kill_switch::rules::apply::apply;
    use crate::kill_switch::rules::apply::apply_with;

    fn by(name: &str) -> Author {
        Author::person(name, Timestamp::UNIX_EPOCH).because("a test")
    }

    fn engaged() -> (Document, SwitchId) {
        let id = SwitchId::new("recs").unwrap();
        let definition = Definition::new("team", "recommendations", Timestamp::MAX, OnUnknown::Allow);
        let document = Document::new("shop", &by("ana")).unwrap();
        let document = apply(&document, &Change::Define { switch: id.clone(), definition }, &by("ana")).unwrap();
        let engage = Engage::new(id.clone(), Scope::new().tenant("acme"));
        (apply(&document, &Change::Engage(engage), &by("ana")).unwrap(), id)
    }

    #[test]
    fn what_is_proposed_is_not_done_and_what_is_approved_is_told_whole() {
        let (document, id) = engaged();
        let document = apply(&document, &Change::TwoPerson { required: true }, &by("ana")).unwrap();
        let release = Change::Release { switch: id };
        let proposed = apply(&document, &release, &by("ana")).unwrap();
        let facts_of_proposal = facts(&document, &proposed, &release, &by("ana"));
        assert_eq!(facts_of_proposal.what, "propose");
        assert_eq!(facts_of_proposal.scope_after, facts_of_proposal.scope_before);

        let number = proposed.pending()[0].number;
        let approve = Change::Approve { number, document: proposed.content_hash() };
        let after = apply(&proposed, &approve, &by("bo")).unwrap();
        let told = facts(&proposed, &after, &approve, &by("bo"));
        assert_eq!((told.what.as_str(), told.by.as_str(), told.switch.as_deref()), ("approve", "bo", Some("recs")));
        assert_eq!((told.proposed_by.as_deref(), told.approvers), (Some("ana"), vec!["bo".to_owned()]));
        assert_eq!(told.change, serde_json::to_value(&release).ok());
        assert!(told.scope_before.is_some() && told.scope_after.is_none());
    }

    #[test]
    fn going_back_tells_which_switches_it_changed() {
        let (document, id) = engaged();
        let released = apply(&document, &Change::Release { switch: id }, &by("ana")).unwrap();
        let revert = Change::Revert { generation: document.generation() };
        let after = apply_with(&released, &revert, &by("ana"), |_| Some(document.clone())).unwrap();
        let told = facts(&released, &after, &revert, &by("ana"));
        assert_eq!(told.scope_before, Some(serde_json::json!({"recs": null})));
        assert_eq!(told.scope_after, Some(serde_json::json!({"recs": {"tenants": ["acme"]}})));
    }
}
