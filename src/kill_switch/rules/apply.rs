//! One change to one document makes the next document, or says why not.
//!
//! ```text
//!  change ──▶ in range? ──▶ may a program? ──▶ takes two? ─no──▶ done ──▶ generation + 1, new hash
//!                                                  │                ▲
//!                                                  └─yes─▶ proposal ┘ approved by another person
//! ```
//!
//! Nothing here reads a clock or a store: who, when and why come with [`Author`], and the earlier document of a revert
//! is fetched by the caller.

use super::automation::may_automation;
use super::error::ChangeError;
use super::lookup;
use super::two_person::{self, Proposal};
use crate::clock::Timestamp;
use crate::config::{ConfigError, Problem, Problems};
use crate::kill_switch::model::document::{GENERATION_MAX, PENDING_MAX};
use crate::kill_switch::model::{ActorKind, Author, Change, Document, Engage, ExpiryAction, ParseError, Trigger};
use std::time::Duration;

/// Bytes that definitions and proposals leave free, so that there is always room to engage.
const RESERVE: usize = Document::SIZE_MAX / 4;
/// Maximum length of a drill's engagement. Longer takes a new drill, which the history records.
const DRILL_MAX: Duration = Duration::from_secs(60 * 60);

/// Makes the next document. A change that takes two persons becomes a [`Proposal`] instead: then
/// [`ChangeRecord::proposed`](crate::kill_switch::ChangeRecord::proposed) of the new document has its number.
///
/// Changes that need an earlier document, as a revert does, go through [`apply_with`].
///
/// # Errors
///
/// Every change that is out of range, does not fit the state of its switch, is not for a program, or does nothing.
///
/// # Examples
///
/// ```
/// use backstop::clock::Timestamp;
/// use backstop::kill_switch::{Author, Change, Definition, Document, Engage, OnUnknown, Scope, SwitchId, apply};
///
/// let now: Timestamp = "2026-01-31T12:00:00Z".parse()?;
/// let ana = Author::person("ana", now).because("first day");
/// let switch = SwitchId::new("recs")?;
/// let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
///
/// let document = Document::new("shop", &ana)?;
/// let document = apply(&document, &Change::Define { switch: switch.clone(), definition }, &ana)?;
/// let engage = Change::Engage(Engage::new(switch, Scope::new().percent(1.0)));
/// let document = apply(&document, &engage, &Author::person("ana", now).because("error rate up"))?;
/// assert_eq!(document.generation(), 3);
/// assert!(document.switch("recs").is_some_and(|switch| switch.is_engaged(now)));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub fn apply(document: &Document, change: &Change, by: &Author) -> Result<Document, ChangeError> {
    apply_with(document, change, by, |_| None)
}

/// Like [`apply`], with a way to an earlier document: it is asked at most once, for the generation that
/// [`earlier_generation`] returns.
///
/// # Errors
///
/// As those of [`apply`]; besides, an earlier generation that is not there or is of another store.
pub fn apply_with(
    document: &Document,
    change: &Change,
    by: &Author,
    history: impl FnOnce(u64) -> Option<Document>,
) -> Result<Document, ChangeError> {
    check(change, by)?;
    check_clock(document, change, by)?;
    if document.generation >= GENERATION_MAX {
        return Err(ChangeError::LastGeneration);
    }
    if by.kind != ActorKind::Person {
        may_automation(document, change, by)?;
    }
    let earlier = earlier_generation(document, change).map(|generation| {
        let earlier = history(generation).filter(|earlier| {
            earlier.store == document.store && earlier.generation == generation && generation < document.generation
        });
        earlier.ok_or(ChangeError::UnknownRevision { generation })
    });
    let earlier = earlier.transpose()?;
    let mut next = document.clone();
    next.generation += 1;
    next.changed = by.changed(change.to_string());
    match change {
        Change::Approve { number, document: seen } => {
            let proposal = two_person::approve(document, *number, *seen, by)?;
            next.pending.retain(|pending| pending.number != *number);
            let asked = Author { name: proposal.by.clone(), reason: proposal.reason.clone(), ..by.clone() };
            next.changed = asked.changed(format!("{change}: {}", proposal.change));
            next.changed.break_glass = false;
            next.changed.approved_by = Some(by.name.clone());
            check(&proposal.change, &asked)?;
            super::perform::perform(&mut next, &proposal.change, &asked, earlier.as_ref())?;
        }
        Change::Reject { number } => {
            lookup::proposal(document, *number)?;
            next.pending.retain(|pending| pending.number != *number);
            next.changed.break_glass = false;
        }
        _ => {
            super::perform::perform(&mut next, change, by, earlier.as_ref())?;
            let takes_two = two_person::takes_two(document, change, by, earlier.as_ref());
            next.changed.break_glass = by.break_glass && takes_two;
            if takes_two && !by.break_glass {
                next = proposed(document, change, by)?;
            }
        }
    }
    next.seal();
    let keeps_room =
        next.changed.proposed.is_some() || matches!(change, Change::Define { .. } | Change::Drilled { .. });
    let most = if keeps_room { Document::SIZE_MAX - RESERVE } else { Document::SIZE_MAX };
    let bytes = next.to_bytes();
    if bytes.len() > most {
        return Err(ChangeError::TooLarge { size: bytes.len(), most });
    }
    // An unreadable document would be rejected by every instance, and every later change with it.
    match Document::parse(&bytes, Document::SIZE_MAX) {
        Err(ParseError::Invalid(invalid)) => Err(invalid.into()),
        _ => Ok(next),
    }
}

/// The same document again, as a later generation: in place of one that was lost, whose changes are unknown.
/// A two-person change counts as done without the second person.
pub(crate) fn restored(document: &Document, generation: u64, by: &Author) -> Result<Document, ChangeError> {
    let mut problems = Problems::default();
    by.check(&mut problems);
    problems.into_result(())?;
    if generation > GENERATION_MAX {
        return Err(ChangeError::LastGeneration);
    }
    if by.kind != ActorKind::Person {
        return Err(ChangeError::AutomationMayNot { verb: "restore" });
    }
    let mut next = document.clone();
    next.generation = generation;
    next.changed = by.changed(format!("restore generation {}", document.generation));
    next.changed.break_glass = document.is_two_person();
    next.seal();
    Ok(next)
}

/// The generation whose document [`apply_with`] needs: that of a revert, proposed or not.
pub fn earlier_generation(document: &Document, change: &Change) -> Option<u64> {
    match change {
        Change::Revert { generation } | Change::RevertSwitches { generation, .. } => Some(*generation),
        Change::Approve { number, .. } => match &lookup::proposal(document, *number).ok()?.change {
            Change::Revert { generation } | Change::RevertSwitches { generation, .. } => Some(*generation),
            _ => None,
        },
        _ => None,
    }
}

/// The document as it is, with one more proposal.
fn proposed(document: &Document, change: &Change, by: &Author) -> Result<Document, ChangeError> {
    if let Some(same) = document.pending.iter().find(|proposal| proposal.change == *change) {
        return Err(ChangeError::AlreadyProposed { number: same.number });
    }
    if document.pending.len() >= PENDING_MAX {
        return Err(ChangeError::TooMany { what: "proposals", most: PENDING_MAX });
    }
    let mut next = document.clone();
    next.generation += 1;
    next.changed = by.changed(format!("propose: {change}"));
    next.changed.proposed = Some(next.generation);
    next.pending.push(Proposal {
        number: next.generation,
        change: change.clone(),
        by: by.name.clone(),
        reason: by.reason.clone(),
        at: by.at,
        document: document.content_hash(),
    });
    Ok(next)
}

/// Checks that need no document.
fn check(change: &Change, by: &Author) -> Result<(), ChangeError> {
    let mut problems = Problems::default();
    by.check(&mut problems);
    change.check_at(change.verb(), &mut problems);
    match change {
        Change::Define { definition, .. } if definition.is_expired(by.at) => {
            problems.add("define.definition.expires", definition.expires, "in the future");
        }
        Change::Engage(engage) => check_engage(engage, by, &mut problems),
        Change::Advance { stage, .. } => stage.check_matches("advance.stage", &mut problems),
        Change::Stages { stages } => {
            stages.as_slice().iter().for_each(|stage| stage.check_matches("stages.stages", &mut problems));
        }
        Change::Drilled { instances: 0, .. } => {
            problems.add("drilled.instances", 0, "at least 1");
        }
        _ => {}
    }
    // The verb is in the request.
    Ok(problems.into_result(()).map_err(|error| error.without_prefix(&format!("{}.", change.verb())))?)
}

/// Checks that an end is later than the last change: if that is later than now, the author's clock is behind.
fn check_clock(document: &Document, change: &Change, by: &Author) -> Result<(), ChangeError> {
    let (field, end) = match change {
        Change::Engage(Engage { expires: Some(expiry), .. }) => ("expires.at", expiry.at),
        Change::Extend { until, .. } => ("until", *until),
        _ => return Ok(()),
    };
    let last = document.changed.at;
    if by.at < last && end <= last {
        let allowed = format!("later than the document's last change, {last}; the clock of {} is behind", by.at);
        return Err(ConfigError::of(Problem::new(field, end, allowed)).into());
    }
    Ok(())
}

fn check_engage(engage: &Engage, by: &Author, problems: &mut Problems) {
    engage.scope.check_matches("engage.scope", problems);
    if let Some(stage) = &engage.stage {
        stage.check_matches("engage.stage", problems);
    }
    if let Some(expiry) = engage.expires
        && expiry.at <= by.at
    {
        problems.add("engage.expires.at", expiry.at, "in the future");
    }
    let is_of_people = matches!(engage.trigger, Trigger::Human | Trigger::Drill);
    if is_of_people != (by.kind == ActorKind::Person) {
        let given = if is_of_people { "that of a person" } else { "that of a program" };
        problems.add("engage.trigger", given, "human or drill for people, kpi or expiry for programs");
    }
    let ends = engage.expires.filter(|expiry| expiry.then == ExpiryAction::Release).map(|expiry| expiry.at);
    let longest = by.at.checked_add(DRILL_MAX).unwrap_or(Timestamp::MAX);
    if engage.trigger == Trigger::Drill && ends.is_none_or(|at| at > longest) {
        let given = ends.map_or_else(|| "never".to_owned(), |at| at.to_string());
        problems.add("engage.expires", given, format!("release within {DRILL_MAX:?}, as a drill ends by itself"));
    }
    if by.kind != ActorKind::Person && engage.expires.is_some_and(|expiry| expiry.then == ExpiryAction::Release) {
        problems.add("engage.expires.then", "release", "keep, as automation never releases, not even by a timer");
    }
}
