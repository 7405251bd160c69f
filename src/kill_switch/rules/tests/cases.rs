//! Single steps, each with what it leads to or why it does not.

use crate::clock::Timestamp;
use crate::kill_switch::model::document::GENERATION_MAX;
use crate::kill_switch::model::engagement::{Breach, Expiry};
use crate::kill_switch::model::hash::Sha256;
use crate::kill_switch::model::id::SwitchId;
use crate::kill_switch::model::records::PinState;
use crate::kill_switch::model::scope::Scope;
use crate::kill_switch::model::stage::{Spread, Stage};
use crate::kill_switch::model::switch::{Definition, OnUnknown};
use crate::kill_switch::rules::apply::*;
use crate::kill_switch::*;
use std::time::Duration;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn id(text: &str) -> SwitchId {
    SwitchId::new(text).unwrap()
}

pub(crate) fn person(name: &str, second: i64) -> Author {
    Author::person(name, at(second)).because("a reason")
}

pub(crate) fn program(second: i64) -> Author {
    Author::automation("watcher", at(second)).because("errors above 5 %")
}

pub(crate) fn define(switch: &str) -> Change {
    let definition = Definition::new("team", "a thing", Timestamp::MAX, OnUnknown::Allow);
    let definition = definition.with_max_automatic(10.0).with_max_automatic_spread(Spread::Everywhere);
    Change::Define { switch: id(switch), definition }
}

pub(crate) fn engage(scope: Scope) -> Engage {
    Engage::new(id("recs"), scope)
}

pub(crate) fn breach() -> Trigger {
    Trigger::Kpi(Breach::new("errors", 0.09, 0.05, Duration::from_secs(60), 5_000))
}

fn all() -> Change {
    Change::Engage(engage(Scope::all()))
}

fn begin_drill() -> Change {
    Change::Engage(engage(Scope::all()).trigger(Trigger::Drill).expires(Expiry::release(at(50))))
}

fn release() -> Change {
    Change::Release { switch: id("recs") }
}

fn pin(state: PinState) -> Change {
    Change::Pin { switch: id("recs"), state }
}

/// A document with the switch `recs`, after these changes by Ana.
fn after(changes: &[Change]) -> Document {
    let empty = Document::new("shop", &person("ana", 0)).unwrap();
    let document = apply(&empty, &define("recs"), &person("ana", 0)).unwrap();
    changes.iter().fold(document, |document, change| apply(&document, change, &person("ana", 1)).unwrap())
}

fn two_person(changes: &[Change]) -> Document {
    apply(&after(changes), &Change::TwoPerson { required: true }, &person("ana", 1)).unwrap()
}

#[test]
fn what_does_not_fit_the_state_is_refused_with_its_reason() {
    let narrow = || Change::Engage(engage(Scope::new().percent(1.0)).stage(Stage::regions(["eu"])));
    let stage = |stage| Change::Advance { switch: id("recs"), stage };
    let retire = || Change::Retire { switch: id("recs") };
    let unpin = || Change::Unpin { switch: id("recs") };
    let extend = |second| Change::Extend { switch: id("recs"), until: at(second) };
    let ending = || Change::Engage(engage(Scope::all()).expires(Expiry::release(at(50))));
    for (changes, change, code) in [
        (vec![], Change::Release { switch: id("ads") }, "unknown_switch"),
        (vec![], define("recs"), "unchanged"),
        (vec![], Change::Engage(engage(Scope::new())), "invalid"),
        (vec![], release(), "not_engaged"),
        (vec![], stage(Stage::Everywhere), "not_engaged"),
        (vec![], extend(99), "not_engaged"),
        (vec![], unpin(), "not_pinned"),
        (vec![], pin(PinState::Engaged), "not_engaged"),
        (vec![], Change::TwoPerson { required: false }, "unchanged"),
        (vec![], Change::Revert { generation: 1 }, "unknown_revision"),
        (vec![], Change::Reject { number: 1 }, "unknown_proposal"),
        (vec![retire()], define("recs"), "retired"),
        (vec![retire()], all(), "retired"),
        (vec![all()], retire(), "already_engaged"),
        (vec![all()], pin(PinState::Released), "already_engaged"),
        (vec![all()], begin_drill(), "already_engaged"),
        (vec![all()], extend(99), "no_expiry"),
        (vec![ending()], extend(50), "invalid"),
        (vec![narrow()], stage(Stage::regions(["us"])), "not_wider"),
        (vec![narrow()], stage(Stage::regions(["eu"])), "not_wider"),
        (vec![narrow()], stage(Stage::instances(["web-1"])), "not_wider"),
        (vec![all(), pin(PinState::Engaged)], release(), "pinned"),
        (vec![all(), pin(PinState::Engaged)], narrow(), "pinned"),
        (vec![all(), pin(PinState::Engaged)], retire(), "pinned"),
        (vec![all(), pin(PinState::Engaged)], pin(PinState::Engaged), "unchanged"),
    ] {
        let error = apply(&after(&changes), &change, &person("bo", 9)).unwrap_err();
        assert_eq!(error.code(), code, "{changes:?} {change:?}: {error}");
    }
}

#[test]
fn everything_that_is_out_of_range_is_told_at_once() {
    let change = engage(Scope::new().percent(0.0)).incident("").expires(Expiry::keep(at(1))).trigger(breach());
    let by = Author::person("", at(1)).because(" ");
    let Err(ChangeError::Invalid(error)) = apply(&after(&[]), &Change::Engage(change), &by) else { panic!("done") };
    let fields: Vec<_> = error.problems().iter().map(|problem| problem.field().to_owned()).collect();
    assert_eq!(fields, ["by", "reason", "scope.percent", "incident", "expires.at", "trigger"]);
}

#[test]
fn a_person_engages_whatever_is_pinned_and_a_pin_keeps_what_would_be_over() {
    let document = after(&[pin(PinState::Released), all()]);
    assert!(document.switch("recs").unwrap().pin.is_none(), "engaging lifts the pin");

    let ending = Change::Engage(engage(Scope::all()).expires(Expiry::release(at(50))));
    let document = after(&[ending, pin(PinState::Engaged)]);
    assert!(document.switch("recs").unwrap().is_engaged(at(1_000)));
    let document = apply(&document, &Change::Unpin { switch: id("recs") }, &person("bo", 1_000)).unwrap();
    assert!(document.switch("recs").unwrap().is_engaged(at(2_000)), "unpinning releases nothing");
}

#[test]
fn automation_engages_within_its_limit_and_nothing_else() {
    let narrow = engage(Scope::new().percent(10.0)).trigger(breach());
    let wide = engage(Scope::new().tenant("acme")).trigger(breach());
    let releases = engage(Scope::new().percent(1.0)).trigger(breach()).expires(Expiry::release(at(500)));
    let claims = engage(Scope::new().percent(1.0));
    let narrow = Change::Engage(narrow);
    let done = apply(&after(&[]), &narrow, &program(2)).unwrap();
    assert!(done.switch("recs").unwrap().is_engaged(at(2)));
    let wider = Change::Advance { switch: id("recs"), stage: Stage::Everywhere };
    for (changes, change, code) in [
        (vec![], Change::Engage(wide), "too_wide"),
        (vec![], Change::Engage(releases), "invalid"),
        (vec![], Change::Engage(claims), "invalid"),
        (vec![], define("ads"), "automation_may_not"),
        (vec![], Change::TwoPerson { required: true }, "automation_may_not"),
        (vec![], Change::Revert { generation: 1 }, "automation_may_not"),
        (vec![], pin(PinState::Released), "automation_may_not"),
        (vec![pin(PinState::Released)], narrow.clone(), "pinned"),
        (vec![all()], narrow.clone(), "already_engaged"),
        (vec![all()], release(), "automation_may_not"),
        (vec![Change::Engage(engage(Scope::all()).stage(Stage::instances(["web-1"])))], wider, "automation_may_not"),
    ] {
        let error = apply(&after(&changes), &change, &program(2)).unwrap_err();
        assert_eq!(error.code(), code, "{changes:?} {change:?}: {error}");
    }
    let by = program(2).break_glass();
    assert_eq!(apply(&after(&[]), &narrow, &by).unwrap_err().code(), "invalid");
}

#[test]
fn releasing_takes_another_person_who_saw_the_same_document() {
    let document = two_person(&[all()]);
    let asked = apply(&document, &release(), &person("ana", 2)).unwrap();
    let number = asked.changed().proposed.unwrap();
    assert!(asked.switch("recs").unwrap().is_engaged(at(2)), "it is only proposed");
    assert_eq!(asked.pending()[0].document, document.content_hash());

    let approve = |document: Sha256| Change::Approve { number, document };
    let try_with = |change: &Change, by: &Author| apply(&asked, change, by).map_err(|error| error.code());
    assert_eq!(try_with(&approve(asked.content_hash()), &person("ANA ", 3)), Err("same_person"));
    assert_eq!(try_with(&approve(asked.content_hash()), &program(3)), Err("automation_may_not"));
    assert_eq!(try_with(&approve(document.content_hash()), &person("bo", 3)), Err("stale_approval"));
    assert_eq!(try_with(&release(), &person("bo", 3)), Err("already_proposed"));

    let done = apply(&asked, &approve(asked.content_hash()), &person("bo", 3)).unwrap();
    assert!(done.switch("recs").unwrap().engaged.is_none() && done.pending().is_empty());
    assert_eq!((&*done.changed().by, done.changed().approved_by.as_deref()), ("ana", Some("bo")));
    assert_eq!(done.changed().what, format!("approve {number}: release recs"));
    let again = apply(&done, &approve(done.content_hash()), &person("bo", 4)).unwrap_err();
    assert_eq!(again, ChangeError::UnknownProposal { number });

    let rejected = apply(&asked, &Change::Reject { number }, &person("ana", 3)).unwrap();
    assert!(rejected.pending().is_empty() && rejected.switch("recs").unwrap().is_engaged(at(3)));
}

#[test]
fn an_approval_of_what_no_longer_fits_is_refused() {
    let asked = apply(&two_person(&[all()]), &release(), &person("ana", 2)).unwrap();
    let broken = apply(&asked, &release(), &person("cy", 3).break_glass()).unwrap();
    let approve = Change::Approve { number: asked.generation(), document: broken.content_hash() };
    assert_eq!(apply(&broken, &approve, &person("bo", 4)).unwrap_err().code(), "not_engaged");
}

#[test]
fn what_was_proposed_is_checked_again_when_it_is_approved() {
    let narrow = Change::Engage(engage(Scope::new().percent(1.0)).replace().expires(Expiry::keep(at(50))));
    let asked = apply(&two_person(&[all()]), &narrow, &person("ana", 2)).unwrap();
    let approve = Change::Approve { number: asked.generation(), document: asked.content_hash() };
    assert!(apply(&asked, &approve, &person("bo", 49)).is_ok());
    assert_eq!(apply(&asked, &approve, &person("bo", 50)).unwrap_err().code(), "invalid", "its time has passed");
}

#[test]
fn engaging_takes_one_person_and_giving_back_takes_two() {
    let narrow = || Change::Engage(engage(Scope::new().percent(1.0)).replace());
    let ending = Change::Engage(engage(Scope::all()).expires(Expiry::keep(at(50))));
    let new = Change::Define {
        switch: id("recs"),
        definition: Definition::new("team", "another thing", Timestamp::MAX, OnUnknown::Block),
    };
    let off = Change::TwoPerson { required: false };
    for (changes, change, takes_two) in [
        (vec![], all(), false),
        (vec![], define("ads"), false),
        (vec![narrow()], all(), false),
        (vec![all()], pin(PinState::Engaged), false),
        (vec![begin_drill()], release(), false),
        (vec![all()], release(), true),
        (vec![all()], narrow(), true),
        (vec![ending], Change::Extend { switch: id("recs"), until: at(60) }, true),
        (vec![], Change::Retire { switch: id("recs") }, true),
        (vec![], pin(PinState::Released), true),
        (vec![pin(PinState::Released)], Change::Unpin { switch: id("recs") }, true),
        (vec![], new, true),
        (vec![], off, true),
    ] {
        let document = two_person(&changes);
        let alone = apply(&document, &change, &person("ana", 9)).unwrap();
        assert_eq!(alone.changed().proposed.is_some(), takes_two, "{changes:?} {change:?}");
        if takes_two {
            assert_eq!((alone.switches(), alone.pending().len()), (document.switches(), 1));
        }
        let broken = apply(&document, &change, &person("ana", 9).break_glass()).unwrap();
        assert!(broken.changed().proposed.is_none());
        assert_eq!(broken.changed().break_glass, takes_two, "flagged when something was broken: {change:?}");
    }
    let others = apply(&two_person(&[begin_drill()]), &release(), &person("bo", 9)).unwrap();
    assert!(others.changed().proposed.is_some(), "another author's drill");
}

#[test]
fn going_back_keeps_ids_buried_and_can_be_taken_back() {
    let first = after(&[]);
    let second = apply(&first, &define("ads"), &person("ana", 2)).unwrap();
    let third = apply(&second, &Change::Retire { switch: id("recs") }, &person("ana", 3)).unwrap();
    let back = |document: &Document, to: &Document| {
        let change = Change::Revert { generation: to.generation() };
        apply_with(document, &change, &person("bo", 4), |_| Some(to.clone()))
    };
    let fourth = back(&third, &first).unwrap();
    assert_eq!((fourth.switches(), fourth.generation()), (first.switches(), 5));
    assert!(!fourth.is_retired(&id("recs")), "it is what it was");
    assert!(fourth.is_retired(&id("ads")), "its id is not free");
    let fifth = back(&fourth, &third).unwrap();
    assert_eq!((fifth.switches(), fifth.retired().len()), (third.switches(), 1));
    assert_eq!(back(&fifth, &third), Err(ChangeError::Unchanged));

    let foreign = Document::new("other", &person("ana", 0)).unwrap();
    assert_eq!(back(&fifth, &foreign), Err(ChangeError::UnknownRevision { generation: 1 }));
    assert_eq!(back(&first, &third).unwrap_err().code(), "unknown_revision", "there is no way forward");
}

#[test]
fn a_revert_that_releases_takes_two_and_one_that_engages_takes_one() {
    let released = two_person(&[]);
    let engaged = apply(&released, &all(), &person("ana", 2)).unwrap();
    let to = |to: &Document| Change::Revert { generation: to.generation() };
    let asked = apply_with(&engaged, &to(&released), &person("ana", 3), |_| Some(released.clone())).unwrap();
    assert!(asked.changed().proposed.is_some());
    let approve = Change::Approve { number: asked.generation(), document: asked.content_hash() };
    assert_eq!(earlier_generation(&asked, &approve), Some(released.generation()));
    let done = apply_with(&asked, &approve, &person("bo", 4), |_| Some(released.clone())).unwrap();
    assert!(done.switch("recs").unwrap().engaged.is_none());
    let again = apply_with(&done, &to(&engaged), &person("ana", 5), |_| Some(engaged.clone())).unwrap();
    assert!(again.changed().proposed.is_none() && again.switch("recs").unwrap().is_engaged(at(5)));
}

#[test]
fn a_document_that_is_full_of_definitions_still_has_room_to_engage() {
    let mut document = after(&[]);
    let big = |number: usize| {
        let definition = Definition::new("team", "é".repeat(512), Timestamp::MAX, OnUnknown::Allow);
        Change::Define { switch: id(&format!("switch-{number}")), definition }
    };
    let by = person("ana", 1);
    let mut number = 0;
    let error = loop {
        match apply(&document, &big(number), &by) {
            Ok(next) => document = next,
            Err(error) => break error,
        }
        number += 1;
        // Far from the end a definition at a time would take the test a minute.
        let template = document.switches.last().unwrap().clone();
        let each = document.to_bytes().len() / document.switches.len() + 1;
        while document.switches.len() < (Document::SIZE_MAX / 4 * 3 - 8_192) / each {
            let mut switch = template.clone();
            switch.id = id(&format!("switch-{number}"));
            document.switches.push(switch);
            number += 1;
        }
        document.switches.sort_by(|one, other| one.id.cmp(&other.id));
    };
    assert_eq!(error.code(), "too_large");
    assert!(apply(&document, &all(), &by).is_ok());
}

#[test]
fn the_last_generation_is_the_last() {
    let mut document = after(&[]);
    document.generation = GENERATION_MAX;
    assert_eq!(apply(&document, &all(), &person("ana", 1)), Err(ChangeError::LastGeneration));
}

#[test]
fn a_step_to_a_region_lets_no_instance_go_that_it_began_with() {
    let stage = |stage| Change::Advance { switch: id("recs"), stage };
    let began = Change::Engage(engage(Scope::all()).stage(Stage::instances(["web-1"])));
    let document = two_person(&[began, pin(PinState::Engaged)]);
    let stepped = apply(&document, &stage(Stage::regions(["nowhere"])), &person("bo", 2)).unwrap();
    let engaged = stepped.switch("recs").unwrap().engaged.as_ref().unwrap();
    assert!(engaged.stage.includes("web-1", Some("eu")) && engaged.stage.includes("x", Some("nowhere")));

    let replaced = Change::Engage(engage(Scope::all()).stage(Stage::regions(["nowhere"])));
    assert!(matches!(apply(&document, &replaced, &person("bo", 2)), Err(ChangeError::Pinned { .. })));
    assert!(matches!(
        apply(&stepped, &stage(Stage::instances(["web-1"])), &person("bo", 3)),
        Err(ChangeError::NotWider { .. })
    ));
}

#[test]
fn a_drill_leaves_a_pin_alone() {
    let document = two_person(&[pin(PinState::Released)]);
    assert!(matches!(apply(&document, &begin_drill(), &person("bo", 2)), Err(ChangeError::Pinned { .. })));
    assert!(apply(&document, &all(), &person("bo", 2)).is_ok(), "need overrules it");
}
