//! Properties that hold after any sequence of changes by any author.

use super::cases::{at, breach, define, id, person, program};
use crate::kill_switch::model::engagement::Expiry;
use crate::kill_switch::model::id::SwitchId;
use crate::kill_switch::model::records::PinState;
use crate::kill_switch::model::scope::Scope;
use crate::kill_switch::model::stage::Stage;
use crate::kill_switch::model::stages::Stages;
use crate::kill_switch::rules::apply::*;
use crate::kill_switch::rules::lookup::{self, in_force};
use crate::kill_switch::rules::update::{Update, check_update};
use crate::kill_switch::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Change(Box<Change>),
    /// Back to one of the earlier documents.
    Revert(prop::sample::Index),
    /// One of what is pending, or nothing.
    Approve(prop::sample::Index),
}

fn switch() -> impl Strategy<Value = SwitchId> {
    prop::sample::select(vec![id("a"), id("b"), id("c")])
}

fn scope() -> impl Strategy<Value = Scope> {
    let narrow = Scope::new().percent(5.0);
    prop::sample::select(vec![Scope::all(), Scope::new(), Scope::new().tenant("t"), narrow, Scope::new().percent(50.0)])
}

fn stage() -> impl Strategy<Value = Stage> {
    let many = (0..60).map(|number| format!("i{number}"));
    let regions =
        Stage::Regions { regions: ["r".to_owned()].into(), instances: (40..99).map(|n| format!("i{n}")).collect() };
    prop::sample::select(vec![
        Stage::instances(["i"]),
        Stage::instances(many),
        Stage::regions(["r"]),
        regions,
        Stage::Everywhere,
    ])
}

fn engaging() -> impl Strategy<Value = Change> {
    let expires = prop::option::of((0..400_i64, any::<bool>()));
    let trigger = prop::sample::select(vec![Trigger::Human, breach(), breach(), Trigger::Drill]);
    let stage = prop::option::of((stage(), any::<bool>()));
    (switch(), scope(), stage, expires, trigger).prop_map(|(switch, scope, stage, expires, trigger)| {
        let is_drill = trigger == Trigger::Drill;
        let engage = Engage::new(switch, scope).trigger(trigger);
        let engage = match stage {
            Some((stage, true)) => engage.stage(stage).now(),
            Some((stage, false)) => engage.stage(stage),
            None => engage,
        };
        let expires = if is_drill { expires.or(Some((400, true))).map(|(second, _)| (second, true)) } else { expires };
        Change::Engage(match expires {
            Some((second, true)) => engage.expires(Expiry::release(at(second))),
            Some((second, false)) => engage.expires(Expiry::keep(at(second))),
            None => engage,
        })
    })
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop::sample::select(vec![PinState::Released, PinState::Engaged]);
    let change = prop_oneof![
        3 => switch().prop_map(|switch| define(switch.as_str())),
        1 => switch().prop_map(|switch| Change::Retire { switch }),
        8 => engaging(),
        2 => (switch(), stage()).prop_map(|(switch, stage)| Change::Advance { switch, stage }),
        3 => switch().prop_map(|switch| Change::Release { switch }),
        1 => (switch(), 0..400_i64).prop_map(|(switch, second)| Change::Extend { switch, until: at(second) }),
        2 => (switch(), state).prop_map(|(switch, state)| Change::Pin { switch, state }),
        1 => switch().prop_map(|switch| Change::Unpin { switch }),
        1 => any::<bool>().prop_map(|required| Change::TwoPerson { required }),
        1 => any::<bool>().prop_map(|any| {
            let stages = any.then(|| Stage::instances(["i"]));
            Change::Stages { stages: Stages::new(stages).unwrap() }
        }),
        1 => (0..40_u64).prop_map(|number| Change::Reject { number }),
        1 => (switch(), any::<u64>()).prop_map(|(switch, instances)| {
            Change::Drilled { switch, instances, time_to_disable_ms: 1, time_to_verify_ms: u64::MAX }
        }),
    ];
    prop_oneof![
        12 => change.prop_map(|change| Step::Change(Box::new(change))),
        1 => any::<prop::sample::Index>().prop_map(Step::Revert),
        2 => any::<prop::sample::Index>().prop_map(Step::Approve),
    ]
}

fn by(who: u8, second: i64) -> Author {
    match who {
        0 => program(second),
        1 => person("ana", second),
        2 => person("ana", second).break_glass(),
        _ => person("bo", second),
    }
}

/// The change of an approval is that of its proposal.
fn what_is_done<'a>(old: &'a Document, change: &'a Change) -> &'a Change {
    match change {
        Change::Approve { number, .. } => &lookup::proposal(old, *number).unwrap().change,
        other => other,
    }
}

fn assert_sound(old: &Document, new: &Document, change: &Change, by: &Author, earlier: Option<&Document>) {
    assert_eq!(new.generation(), old.generation() + 1);
    assert_eq!(Document::parse(&new.to_bytes(), Document::SIZE_MAX).as_ref(), Ok(new));
    assert_eq!(check_update(Some(old), &new.to_bytes()), Ok(Update::New(Box::new(new.clone()))));

    let done = what_is_done(old, change);
    let is_revert = matches!(done, Change::Revert { .. }) && new.changed().proposed.is_none();
    for tombstone in old.retired() {
        assert!(new.is_retired(&tombstone.id) || is_revert, "an id is used again");
    }
    let is_drill_of = |engaged: &Engagement| engaged.trigger == Trigger::Drill && engaged.by == by.name;
    let is_alone = old.is_two_person() && !by.break_glass && !matches!(change, Change::Approve { .. });
    for was in old.switches() {
        let is = new.switch(was.id.as_str());
        assert!(is.is_some() || new.is_retired(&was.id), "an id is free again");
        let Some(engaged) = in_force(was, by) else { continue };
        let is_kept = is.and_then(|switch| switch.engaged.as_ref()).is_some_and(|now| now.covers(engaged));
        let by_program = by.kind == ActorKind::Automation;
        assert!(is_kept || !by_program, "released by automation");
        let is_need = engaged.trigger == Trigger::Drill && matches!(done, Change::Engage(_));
        assert!(is_kept || !is_alone || is_drill_of(engaged) || is_need, "released by one person");
        assert!(is.is_some_and(|is| is.pin == was.pin) || !by_program, "a pin was overridden by automation");
    }
    if let (true, Some(earlier)) = (is_revert, earlier) {
        assert_eq!((new.switches(), new.is_two_person()), (earlier.switches(), earlier.is_two_person()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_changes_keeps_the_document_sound(
        steps in prop::collection::vec((step(), 0..4_u8, 0..12_i64), 1..40),
    ) {
        let mut history = vec![Document::new("shop", &person("ana", 0)).unwrap()];
        let mut second = 0;
        for (step, who, later) in steps {
            second += later;
            let by = by(who, second);
            let old = history.last().unwrap().clone();
            let change = match step {
                Step::Change(change) => *change,
                Step::Revert(index) => Change::Revert { generation: index.get(&history).generation() },
                Step::Approve(_) if old.pending().is_empty() => continue,
                Step::Approve(index) => {
                    Change::Approve { number: index.get(old.pending()).number, document: old.content_hash() }
                }
            };
            let find = |generation: u64| history.iter().find(|document| document.generation() == generation).cloned();
            let earlier = earlier_generation(&old, &change).and_then(find);
            match apply_with(&old, &change, &by, find) {
                Ok(new) => {
                    assert_sound(&old, &new, &change, &by, earlier.as_ref());
                    history.push(new);
                }
                Err(error) => prop_assert!(error.to_string().contains(": "), "no word on what to do: {error}"),
            }
        }
    }

    #[test]
    fn a_revert_can_be_taken_back_at_once(
        steps in prop::collection::vec((step(), 0..12_i64), 1..30),
        to: prop::sample::Index,
    ) {
        let mut history = vec![Document::new("shop", &person("ana", 0)).unwrap()];
        for (number, (step, later)) in steps.into_iter().enumerate() {
            let (Step::Change(change), Ok(number)) = (step, i64::try_from(number)) else { continue };
            let by = person("ana", number * 12 + later).break_glass();
            history.extend(apply(history.last().unwrap(), &change, &by));
        }
        let (now, to) = (history.last().unwrap(), to.get(&history));
        let by = person("bo", 999).break_glass();
        let back = |from: &Document, to: &Document| {
            apply_with(from, &Change::Revert { generation: to.generation() }, &by, |_| Some(to.clone()))
        };
        if let Ok(reverted) = back(now, to) {
            prop_assert_eq!(reverted.switches(), to.switches());
            let again = back(&reverted, now).unwrap();
            prop_assert_eq!(again.switches(), now.switches());
            prop_assert!(now.retired().iter().all(|tombstone| again.is_retired(&tombstone.id)));
        }
    }
}
