//! Where engagements begin and how far they go: stages of the document, and what it leaves to programs and drills.

use super::cases::{at, breach, engage, id, person, program};
use super::*;
use crate::kill_switch::document::{Definition, Expiry, OnUnknown};
use crate::kill_switch::{Scope, Spread, Stage, Stages};

fn one() -> Stage {
    Stage::instances(["web-1"])
}

fn stages() -> Change {
    Change::Stages { stages: Stages::new([one(), Stage::regions(["eu"])]).unwrap() }
}

fn defined(spread: Spread) -> Document {
    let empty = Document::new("shop", &person("ana", 0)).unwrap();
    let definition = Definition::new("team", "a thing", Timestamp::MAX, OnUnknown::Allow);
    let definition = definition.max_automatic(10.0).max_automatic_spread(spread);
    apply(&empty, &Change::Define { switch: id("recs"), definition }, &person("ana", 0)).unwrap()
}

fn staged() -> Document {
    apply(&defined(Spread::Regions), &stages(), &person("ana", 1)).unwrap()
}

fn engaged(document: &Document, engage: Engage) -> Result<Document, ChangeError> {
    apply(document, &Change::Engage(engage), &person("ana", 2))
}

fn stage_of(document: &Document) -> Stage {
    document.switch("recs").unwrap().engaged().unwrap().stage().clone()
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
        assert_eq!((stage_of(&document), document.changed().what()), (stage, "engage recs now"));
    }
    assert_eq!(stage_of(&engaged(&staged(), engage(Scope::all()).now()).unwrap()), Stage::Everywhere);
    let other = Stage::instances(["web-7"]);
    assert_eq!(stage_of(&engaged(&staged(), engage(Scope::all()).stage(other.clone())).unwrap()), other);
}

#[test]
fn what_is_engaged_already_keeps_the_stage_that_it_has_come_to() {
    let tenant = |name: &str| engage(Scope::new().tenant("acme").tenant(name));
    let document = engaged(&staged(), tenant("a").now()).unwrap();
    let wider = engaged(&document, engage(Scope::all())).unwrap();
    assert_eq!(stage_of(&wider), Stage::Everywhere);
    let two = apply(&document, &Change::TwoPerson { required: true }, &person("ana", 3)).unwrap();
    let wider = engaged(&two, engage(Scope::all())).unwrap();
    assert_eq!(wider.changed().proposed(), None, "nobody is let in again, so it takes one person");
}

#[test]
fn automation_begins_at_the_first_stage_and_goes_no_further_than_it_may() {
    let narrow = || engage(Scope::new().percent(10.0)).trigger(breach());
    let by_program = |document: &Document, engage: Engage| apply(document, &Change::Engage(engage), &program(2));
    let advance = |stage| Change::Advance { switch: id("recs"), stage };
    let document = by_program(&staged(), narrow()).unwrap();
    assert_eq!(stage_of(&document), one());
    let document = apply(&document, &advance(Stage::regions(["eu"])), &program(3)).unwrap();
    let refused = apply(&document, &advance(Stage::Everywhere), &program(4)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "automation engages recs on some regions at most: name fewer or have a person do it"
    );

    let code = |document: &Document, engage: Engage| by_program(document, engage).unwrap_err().code();
    assert_eq!(code(&defined(Spread::Regions), narrow()), "too_far", "without stages it would be everywhere");
    assert_eq!(code(&defined(Spread::Instances), narrow().stage(Stage::regions(["eu"]))), "too_far");
    assert_eq!(code(&staged(), narrow().stage(Stage::Everywhere)), "skips_stages");
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
