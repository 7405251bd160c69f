//! Changes: who may ask for which, and what is answered.

use super::answer::{Answer, json};
use super::auth::{admit, admit_some};
use super::body;
use super::change_request::ChangeRequest;

use super::denied_log::DeniedRequest;
use super::problem::Problem;
use super::shared::{Shared, write_down};
use super::views::here;
use crate::clock::timestamp;
use crate::kill_switch::access::Verb::{self, Approve, Define, Drill, Engage, Release};
use crate::kill_switch::access::{Actor, Denied};
use crate::kill_switch::{Author, Change, Committed, Document, EditError, Editor, SwitchId, Trigger, gives_back};
use crate::sync::Arc;
use axum::extract::Request;
use http::StatusCode;
use http::header::HeaderMap;
use serde_json::json;

/// A change that can be asked for, and every verb that its token needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// The end of its path.
    pub(super) path: &'static str,
    /// The change that it comes to.
    change: &'static str,
    needs: &'static [Verb],
}

impl Ask {
    pub(super) const ALL: [Self; 17] = [
        Self::of("engage", &[Engage]),
        // It takes the capability away from more, or for longer.
        Self::of("advance", &[Engage]),
        Self::of("extend", &[Engage]),
        Self::of("release", &[Release]),
        // A pin overrules programs, and taking it away lets them do as they like.
        Self::of("pin", &[Release]),
        Self::of("unpin", &[Release]),
        Self::of("define", &[Define]),
        Self::of("retire", &[Define]),
        // A drill ends by itself, and its author releases nothing else.
        Self { path: "drill", change: "engage", needs: &[Drill] },
        Self { path: "end_drill", change: "release", needs: &[Drill] },
        Self::of("drilled", &[Drill]),
        // An earlier document can differ in everything.
        Self::of("revert", &[Engage, Release, Define]),
        Self::of("revert_switches", &[Engage, Release, Define]),
        Self::of("two_person", &[Define]),
        Self::of("stages", &[Define]),
        Self::of("approve", &[Approve]),
        Self::of("reject", &[Approve]),
    ];

    const fn of(change: &'static str, needs: &'static [Verb]) -> Self {
        Self { path: change, change, needs }
    }

    /// Returns whether its path names a switch.
    pub(super) fn is_of_switch(self) -> bool {
        !matches!(self.path, "revert" | "revert_switches" | "two_person" | "stages" | "approve" | "reject")
    }

    /// Returns whether it is about a proposal, whose switch only the document knows.
    fn is_of_proposal(self) -> bool {
        self.needs == [Approve]
    }

    /// Returns whether it may be made on this document. A drill is ended by its author only.
    fn may_be_made(self, document: Option<&Document>, change: &Change, actor: &Actor) -> bool {
        let Change::Release { switch } = change else { return true };
        let engaged =
            document.and_then(|document| document.switch(switch.as_str())).and_then(|switch| switch.engaged.as_ref());
        self.path != "end_drill"
            || engaged.is_none_or(|engaged| engaged.trigger == Trigger::Drill && engaged.by == actor.as_str())
    }
}

/// The token is checked first: a stranger's body is not read, and takes no place of others.
pub(super) async fn answer(shared: Arc<Shared>, ask: Ask, id: String, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let about = ask.is_of_switch().then_some(id.as_str());
    let admitted = if ask.is_of_proposal() {
        admit_some(&shared.access.current(), &parts.headers, Approve)
    } else {
        admit(&shared.access.current(), &parts.headers, ask.needs, about).map(drop)
    };
    if let Err(problem) = admitted {
        let denial = DeniedRequest { path: ask.path, about, headers: &parts.headers, code: problem.code() };
        write_down(&shared, denial).await;
        return Err(problem);
    }
    body::is_json(&parts.headers)?;
    let permit = shared.begin()?;
    let most = if ask.change == "engage" { body::SCOPE_MAX } else { body::BODY_MAX };
    let body = body::read(body, shared.timeout, most).await?;
    body::has_no_token(&body)?;
    let unknown = |_| Problem::unknown_switch();
    let switch = ask.is_of_switch().then(|| SwitchId::new(&id)).transpose().map_err(unknown)?;
    let trigger = (ask.path == "drill").then_some("drill");
    let asked = ChangeRequest::read(&body, ask.change, switch.as_ref(), trigger)?;
    let worker = Arc::clone(&shared);
    let work = move || make(&worker, ask, &parts.headers, asked);
    shared.in_background(permit, work).await
}

fn make(shared: &Shared, ask: Ask, headers: &HeaderMap, asked: ChangeRequest) -> Answer {
    let editor = shared.editor()?;
    let ChangeRequest { change, reason, if_generation, break_glass } = asked;
    let switch = match &change {
        Change::Approve { number, .. } | Change::Reject { number } => switch_of(&editor, *number)?,
        other => other.switch().cloned(),
    };
    let about = switch.as_ref().map(SwitchId::as_str);
    // An override is allowed to those who may approve the same change of another person.
    let both = [ask.needs, &[Approve]].concat();
    let needs = if break_glass { &both } else { ask.needs };
    let denied = |code| {
        if let Some(facts) = shared.denied(DeniedRequest { path: ask.path, about, headers, code }) {
            editor.write_down(facts);
        }
    };
    let actor = admit(&shared.access.current(), headers, needs, about).inspect_err(|problem| denied(problem.code()));
    let actor = actor?.ok_or_else(Problem::unauthorized)?;
    let mut by = Author::person(actor.as_str(), timestamp()).because(reason);
    if break_glass {
        by = by.break_glass();
    }
    // To engage for less than before is to release the rest. Both are asked of the very document that is replaced.
    let may_release = admit(&shared.access.current(), headers, &[Release], about).is_ok();
    let is_seen =
        |document: Option<&Document>| if_generation.is_none_or(|seen| seen == document.map_or(0, Document::generation));
    let is_granted = |document: Option<&Document>| {
        let gives_back = document.is_some_and(|document| gives_back(document, &change, &by));
        (may_release || !gives_back) && ask.may_be_made(document, &change, &actor)
    };
    let made = shared.switches.change_where(&change, &by, |document| is_seen(document) && is_granted(document));
    let Committed { document, unrecorded, unkept } = match made? {
        Ok(changes) => changes,
        Err(found) if is_seen(found.as_ref()) => {
            let code = Denied::WrongVerb.code();
            denied(code);
            return Err(Problem::forbidden(code));
        }
        Err(found) => {
            return Err(EditError::moved(if_generation.unwrap_or_default(), found.as_ref()).into());
        }
    };
    let pending = document.changed().proposed;
    let switch = about.and_then(|id| document.switch(id));
    let told = json!({
        "generation": document.generation(),
        "hash": document.content_hash(),
        "here": switch.map(|switch| here(shared, switch)),
        "switch": switch,
        "audited": editor.is_audited() && unrecorded.is_none(),
        "pending": pending,
        "unkept": unkept,
    });
    Ok(json(if pending.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK }, told.to_string()))
}

/// The switch that a proposal is about, if there is such a proposal and it is about one.
fn switch_of(editor: &Editor, number: u64) -> Result<Option<SwitchId>, EditError> {
    let document = editor.document()?;
    let pending = document.as_ref().map(Document::pending).unwrap_or_default();
    let proposal = pending.iter().find(|proposal| proposal.number == number);
    Ok(proposal.and_then(|proposal| proposal.change.switch().cloned()))
}
