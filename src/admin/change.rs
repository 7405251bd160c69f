//! Changes: who may ask for which, and what is answered.

use super::body;
use super::guard::{admit, admit_some};
use super::handle::Shared;
use super::problem::Problem;
use super::routes::{Answer, json};
use crate::clock::timestamp;
use crate::kill_switch::access::Denied;
use crate::kill_switch::access::Verb::{self, Approve, Define, Engage, Release};
use crate::kill_switch::store::StoreError;
use crate::kill_switch::{Asked, By, Change, Changes, Desk, DeskError, Document, SwitchId, gives_back};
use crate::sync::Arc;
use axum::extract::Request;
use http::StatusCode;
use http::header::HeaderMap;
use serde_json::json;

/// A change that can be asked for, and every verb that its token needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) verb: &'static str,
    pub(super) needs: &'static [Verb],
}

impl Ask {
    pub(super) const ALL: [Self; 11] = [
        Self { verb: "engage", needs: &[Engage] },
        // It takes the capability away from more, or for longer.
        Self { verb: "advance", needs: &[Engage] },
        Self { verb: "extend", needs: &[Engage] },
        Self { verb: "release", needs: &[Release] },
        // A pin overrules programs, and taking it away lets them do as they like.
        Self { verb: "pin", needs: &[Release] },
        Self { verb: "unpin", needs: &[Release] },
        Self { verb: "define", needs: &[Define] },
        Self { verb: "retire", needs: &[Define] },
        // An earlier document can differ in everything.
        Self { verb: "revert", needs: &[Engage, Release, Define] },
        Self { verb: "approve", needs: &[Approve] },
        Self { verb: "reject", needs: &[Approve] },
    ];

    /// Whether its path names a switch.
    pub(super) fn is_of_switch(self) -> bool {
        !matches!(self.verb, "revert" | "approve" | "reject")
    }

    /// Whether it is about a proposal, whose switch only the document knows.
    fn is_of_proposal(self) -> bool {
        self.needs == [Approve]
    }
}

/// The token is looked at before anything else: a stranger's body is not read, and takes nobody's place.
pub(super) async fn answer(shared: Arc<Shared>, ask: Ask, id: String, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    if ask.is_of_proposal() {
        admit_some(&shared.access, &parts.headers, Approve)?;
    } else {
        admit(&shared.access, &parts.headers, ask.needs, ask.is_of_switch().then_some(id.as_str()))?;
    }
    body::is_json(&parts.headers)?;
    let permit = shared.begin()?;
    let body = body::read(body, shared.timeout).await?;
    body::has_no_token(&body)?;
    let unknown = |_| Problem::unknown_switch();
    let switch = ask.is_of_switch().then(|| SwitchId::new(&id)).transpose().map_err(unknown)?;
    let asked = Asked::read(&body, ask.verb, switch.as_ref())?;
    let worker = Arc::clone(&shared);
    let work = move || make(&worker, ask, &parts.headers, asked);
    shared.in_background(permit, work).await
}

fn make(shared: &Shared, ask: Ask, headers: &HeaderMap, asked: Asked) -> Answer {
    let desk = shared.desk()?;
    let Asked { change, reason, if_generation, break_glass } = asked;
    let switch = match &change {
        Change::Approve { number, .. } | Change::Reject { number } => switch_of(&desk, *number)?,
        other => other.switch().cloned(),
    };
    let about = switch.as_ref().map(SwitchId::as_str);
    // Whoever breaks the glass does what they could approve for others.
    let both = [ask.needs, &[Approve]].concat();
    let needs = if break_glass { &both } else { ask.needs };
    let actor = admit(&shared.access, headers, needs, about)?.ok_or_else(Problem::unauthorized)?;
    let mut by = By::person(actor.as_str(), timestamp()).because(reason);
    if break_glass {
        by = by.break_glass();
    }
    // To engage for less than before is to release the rest. Both are asked of the very document that is replaced.
    let may_release = admit(&shared.access, headers, &[Release], about).is_ok();
    let generation = |document: Option<&Document>| document.map_or(0, Document::generation);
    let is_seen = |document: Option<&Document>| if_generation.is_none_or(|seen| seen == generation(document));
    let made = desk.change_where(&change, &by, |document| {
        is_seen(document) && (may_release || document.is_none_or(|document| !gives_back(document, &change, &by)))
    });
    // One error comes with a document that is in force: one that may not survive a power cut.
    if matches!(made, Ok(Ok(_)) | Err(DeskError::Store(StoreError::NotDurable { .. }))) {
        shared.switches.refresh();
    }
    let Changes { document, unrecorded } = match made? {
        Ok(changes) => changes,
        Err(found) if is_seen(found.as_ref()) => return Err(Problem::forbidden(Denied::WrongVerb.code())),
        Err(found) => {
            let (expected, found) = (if_generation.unwrap_or_default(), generation(found.as_ref()));
            return Err(DeskError::Moved { expected, found }.into());
        }
    };
    let pending = document.changed().proposed();
    let told = json!({
        "generation": document.generation(),
        "hash": document.content_hash(),
        "switch": about.and_then(|id| document.switch(id)),
        "audited": desk.is_audited() && unrecorded.is_none(),
        "pending": pending,
    });
    Ok(json(if pending.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK }, told.to_string()))
}

/// The switch that a proposal is about, where there is such a proposal and it is about one.
fn switch_of(desk: &Desk, number: u64) -> Result<Option<SwitchId>, DeskError> {
    let document = desk.document()?;
    let pending = document.as_ref().map(Document::pending).unwrap_or_default();
    let proposal = pending.iter().find(|proposal| proposal.number() == number);
    Ok(proposal.and_then(|proposal| proposal.change().switch().cloned()))
}
