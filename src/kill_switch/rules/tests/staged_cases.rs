//! Cases of stages: where engagements begin, how far they go, and the limits of programs and drills.

use super::cases::{at, breach, engage, id, person, program};
use crate::clock::Timestamp;
use crate::kill_switch::model::engagement::Expiry;
use crate::kill_switch::model::records::PinState;
use crate::kill_switch::model::scope::Scope;
use crate::kill_switch::model::stage::{Spread, Stage};
use crate::kill_switch::model::stages::Stages;
use crate::kill_switch::model::switch::{Definition, OnUnknown};
use crate::kill_switch::rules::apply::*;
use crate::kill_switch::rules::two_person;
use crate::kill_switch::*;

fn one() -> Stage {
    Stage::instances(["web-1"])
}

fn stages() -> Change {
    Change::Stages { stages: Stages::new([one(), Stage::regions(["eu"])]).unwrap() }
}

fn defined(spread: Spread) -> Document {
    let empty = Document::new("shop", &person("ana", 0)).unwrap();
    let definition = Definition::new("team", "a thing", Timestamp::MAX, OnUnknown::Allow);
    let definition = definition.with_max_automatic(10.0).with_max_automatic_spread(spread);
    apply(&empty, &Change::Define { switch: id("recs"), definition }, &person("ana", 0)).unwrap()
}

fn staged() -> Document {
    apply(&defined(Spread::Regions), &stages(), &person("ana", 1)).unwrap()
}

fn engaged(document: &Document, engage: Engage) -> Result<Document, ChangeError> {
    apply(document, &Change::Engage(engage), &person("ana", 2))
}

fn stage_of(document: &Document) -> Stage {
    document.switch("recs").unwrap().engaged.as_ref().unwrap().stage.clone()
}

#[test]
fn an_engagement_begins_at_the_first_stage_and_each_advance_is_to_the_next() {
    let mut document = engaged(&staged(), engage(Scope::all())).unwrap();
    let mut way = vec![stage_of(&document)];
    while let Some(stage) = document.next_stage("recs") {
        document = apply(&document, &Change::Advance { switch: id("recs"), stage }, &person("ana", 3)).unwrap();
        way.push(stage_of(&document));
    }
    assert_eq!(way, [one(), Stage::regions(["eu"]).after(&one()), Stage::Everywhere]);
    assert_eq!(stage_of(&engaged(&defined(Spread::Regions), engage(Scope::all())).unwrap()), Stage::Everywhere);
}

#[test]
fn stages_are_left_out_by_saying_so_and_it_is_told() {
    for stage in [Stage::Everywhere, Stage::regions(["eu"])] {
        let error = engaged(&staged(), engage(Scope::all()).stage(stage.clone())).unwrap_err();
        assert_eq!(error.code(), "skips_stages", "{error}");
        let document = engaged(&staged(), engage(Scope::all()).stage(stage.clone()).now()).unwrap();
        assert_eq!((stage_of(&document), &*document.changed().what), (stage, "engage recs now"));
    }
    assert_eq!(stage_of(&engaged(&staged(), engage(Scope::all()).now()).unwrap()), Stage::Everywhere);
    let other = Stage::instances(["web-7"]);
    assert_eq!(stage_of(&engaged(&staged(), engage(Scope::all()).stage(other.clone())).unwrap()), other);
}

#[test]
fn what_is_engaged_already_keeps_its_stage_for_those_whom_it_was_looked_at_for() {
    let tenants = |names: &[&str]| engage(names.iter().fold(Scope::new(), |scope, name| scope.tenant(*name)));
    let everywhere = engaged(&staged(), tenants(&["a", "b"]).now()).unwrap();
    assert_eq!(stage_of(&engaged(&everywhere, tenants(&["a"]).replace()).unwrap()), Stage::Everywhere);
    let error = engaged(&everywhere, engage(Scope::all())).unwrap_err();
    assert_eq!(error.code(), "skips_stages", "for the others nobody has looked");
    assert_eq!(stage_of(&engaged(&everywhere, engage(Scope::all()).now()).unwrap()), Stage::Everywhere);
    let first = engaged(&staged(), tenants(&["a"])).unwrap();
    assert_eq!(
        stage_of(&engaged(&first, engage(Scope::all())).unwrap()),
        one(),
        "at the first stage anybody may come to it"
    );
    let two = apply(&everywhere, &Change::TwoPerson { required: true }, &person("ana", 3)).unwrap();
    let wider = engaged(&two, tenants(&["a", "b", "c"]).now()).unwrap();
    assert_eq!(wider.changed().proposed, None, "no traffic is readmitted, so one person is enough");
}

fn drill() -> Engage {
    engage(Scope::new().tenant("drill")).trigger(Trigger::Drill).expires(Expiry::release(at(60))).now()
}

#[test]
fn a_need_that_comes_during_a_drill_is_one_persons_and_begins_at_the_first_stage() {
    let two = apply(&staged(), &Change::TwoPerson { required: true }, &person("ana", 1)).unwrap();
    let drilling = apply(&two, &Change::Engage(drill()), &person("dora", 2)).unwrap();
    assert_eq!(stage_of(&drilling), Stage::Everywhere);
    let change = Change::Engage(engage(Scope::new().tenant("acme")));
    let document = apply(&drilling, &change, &person("bo", 3)).unwrap();
    assert_eq!((stage_of(&document), document.changed().proposed), (one(), None));
    assert!(!two_person::gives_back(&drilling, &change, &person("bo", 3)));
    assert!(
        !two_person::gives_back(&document, &Change::Engage(drill()), &person("dora", 4)),
        "it is refused for another reason"
    );
    assert_eq!(apply(&document, &Change::Engage(drill()), &person("dora", 4)).unwrap_err().code(), "already_engaged");
}

#[test]
fn what_others_make_of_a_drill_has_to_be_engaged_for_real() {
    let drilling = apply(&staged(), &Change::Engage(drill().stage(one())), &person("dora", 2)).unwrap();
    let recs = || id("recs");
    for change in [
        Change::Advance { switch: recs(), stage: Stage::Everywhere },
        Change::Extend { switch: recs(), until: at(9_999) },
        Change::Pin { switch: recs(), state: PinState::Engaged },
    ] {
        let error = apply(&drilling, &change, &person("bo", 3)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "recs is engaged already: a drill engaged it, which ends by itself: to keep it off, engage it without a drill"
        );
    }
}

#[test]
fn no_change_makes_a_document_that_nobody_can_read() {
    let names = |from: usize| (from..from + 100).map(|number| format!("web-{number}"));
    let document = engaged(&staged(), engage(Scope::all()).stage(Stage::instances(names(0)))).unwrap();
    let stage = Stage::Regions { regions: ["eu".to_owned()].into(), instances: names(100).collect() };
    let error = apply(&document, &Change::Advance { switch: id("recs"), stage }, &person("ana", 3)).unwrap_err();
    assert!(error.to_string().contains("200 names"), "{error}");
}

#[test]
fn automation_goes_through_the_stages_and_no_further_than_it_may() {
    let narrow = || engage(Scope::new().percent(10.0)).trigger(breach());
    let by_program = |document: &Document, engage: Engage| apply(document, &Change::Engage(engage), &program(2));
    let advance = |stage| Change::Advance { switch: id("recs"), stage };
    let document = by_program(&staged(), narrow()).unwrap();
    assert_eq!(stage_of(&document), one());
    let skipped = apply(&document, &advance(Stage::Everywhere), &program(3)).unwrap_err();
    assert_eq!(skipped.code(), "skips_stages");
    let document = apply(&document, &advance(Stage::regions(["eu"])), &program(3)).unwrap();
    let refused = apply(&document, &advance(Stage::Everywhere), &program(4)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "automation may engage recs on some regions at most: choose a narrower stage, or have a person engage it"
    );
    let people_only = Definition::new("team", "a thing", Timestamp::MAX, OnUnknown::Allow);
    let redefined = Change::Define { switch: id("recs"), definition: people_only };
    let document = apply(&document, &redefined, &person("ana", 5)).unwrap();
    assert_eq!(apply(&document, &advance(Stage::Everywhere), &program(6)).unwrap_err().code(), "too_wide");

    let code = |document: &Document, engage: Engage| by_program(document, engage).unwrap_err().code();
    assert_eq!(code(&defined(Spread::Regions), narrow()), "too_far", "without stages it would be everywhere");
    assert_eq!(code(&defined(Spread::Instances), narrow().stage(Stage::regions(["eu"]))), "too_far");
    assert_eq!(code(&staged(), narrow().stage(Stage::Everywhere)), "skips_stages");
    assert_eq!(
        code(&staged(), narrow().stage(Stage::instances(["web-7"]))),
        "skips_stages",
        "people may, programs not"
    );
    assert_eq!(code(&staged(), narrow().now()), "automation_may_not");
    assert!(by_program(&defined(Spread::Everywhere), narrow()).is_ok());
}

#[test]
fn stages_are_changed_by_one_person_and_brought_back() {
    let document = staged();
    assert_eq!(apply(&document, &stages(), &person("bo", 2)).unwrap_err().code(), "unchanged");
    assert_eq!(
        apply(&document, &Change::Stages { stages: Stages::default() }, &program(2)).unwrap_err().code(),
        "automation_may_not"
    );
    let none = apply(&document, &Change::Stages { stages: Stages::default() }, &person("bo", 2)).unwrap();
    assert!(none.stages().is_empty());
    let revert = Change::Revert { generation: document.generation() };
    let back = apply_with(&none, &revert, &person("bo", 3), |_| Some(document.clone())).unwrap();
    assert_eq!(back.stages(), document.stages());
}

#[test]
fn a_drill_ends_by_itself_within_the_hour() {
    let drill = |expires: Option<Expiry>| {
        let engage = engage(Scope::all()).trigger(Trigger::Drill).now();
        engaged(
            &staged(),
            match expires {
                Some(expires) => engage.expires(expires),
                None => engage,
            },
        )
    };
    assert!(drill(Some(Expiry::release(at(2 + 3_600)))).is_ok());
    for expires in [None, Some(Expiry::keep(at(60))), Some(Expiry::release(at(2 + 3_601)))] {
        let error = drill(expires).unwrap_err();
        assert!(error.to_string().contains("a drill ends by itself"), "{error}");
    }
}
