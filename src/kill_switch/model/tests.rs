//! Documents from outside: accepted, rejected, and the errors.

use super::change::Change;
use super::document::{FORMAT, Settings};
use super::id::SwitchId;
use super::scope::Scope;
use super::stage::Stage;
use super::stages::Stages;
use crate::clock::Timestamp;
use crate::kill_switch::rules::two_person::Proposal;
use crate::kill_switch::*;
use proptest::prelude::*;
use std::time::Duration;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn id(text: &str) -> SwitchId {
    SwitchId::new(text).unwrap()
}

/// A document that has every field there is.
pub(crate) fn full() -> Document {
    let by = crate::kill_switch::model::author::Author::person("ana", at(0)).because("first day");
    let empty = Document::new("shop", &by).unwrap();
    let engaged = Engagement {
        scope: Scope::new().route("/recs/*").tenant("acme").region("eu").audience("beta").percent(12.5),
        stage: Stage::instances(["web-1"]),
        by: "ana".into(),
        reason: "error rate up after the release".into(),
        incident: Some("INC-7".into()),
        at: at(10),
        expires: Some(Expiry::release(at(100))),
        trigger: Trigger::Kpi(Breach::new("errors", 0.1 + 0.2, 1e-9, Duration::from_secs(60), 5_000)),
    };
    let pin = Pin { state: PinState::Engaged, by: "bo".into(), reason: "until fixed".into(), at: at(11) };
    let (by, instances) = ("cy".into(), 3);
    let drilled = DrillRecord { at: at(5), by, instances, time_to_disable_ms: 40, time_to_verify_ms: 90 };
    let definition =
        Definition::new("team-recs", "recommendations", at(1_000), OnUnknown::Allow).with_max_automatic(10.0);
    let recs = Switch {
        id: id("recs"),
        definition: definition.clone(),
        engaged: Some(engaged),
        pin: Some(pin),
        drilled: Some(drilled),
    };
    let ads = Switch { id: id("ads"), definition, engaged: None, pin: None, drilled: None };
    let retired = Tombstone { id: id("old"), at: at(1), by: "ana".into() };
    let pending = Proposal {
        number: 4,
        change: Change::Release { switch: id("recs") },
        by: "ana".into(),
        reason: "fixed".into(),
        at: at(20),
        document: empty.content_hash(),
    };
    let settings = Settings { two_person: true, stages: Stages::new([Stage::instances(["web-1"])]).unwrap() };
    let changed = empty.changed().clone();
    let (switches, retired, pending) = (vec![recs, ads], vec![retired], vec![pending]);
    let (format, store, hash) = (FORMAT, "shop".to_owned(), Sha256::NONE);
    Document { format, store, generation: 5, hash, changed, switches, retired, pending, settings }.sealed()
}

fn text() -> String {
    String::from_utf8(full().to_bytes()).unwrap()
}

fn parse(text: &str) -> Result<Document, ParseError> {
    Document::parse(text.as_bytes(), Document::SIZE_MAX)
}

#[test]
fn a_document_is_written_and_read_as_the_same_with_its_switches_in_order() {
    let document = parse(&text()).unwrap();
    assert_eq!(document, full());
    assert_eq!(document.to_bytes(), full().to_bytes());
    assert!(text().ends_with("}\n"));
    let ids: Vec<_> = document.switches().iter().map(|switch| switch.id.as_str()).collect();
    assert_eq!(ids, ["ads", "recs"]);
    assert!(document.switch("recs").unwrap().is_engaged(at(1_000)), "the pin keeps what would be over");
    assert!(document.switch("old").is_none() && document.is_retired(&id("old")));
}

#[test]
fn spaces_and_the_order_of_keys_change_nothing_and_content_changes_the_hash() {
    let value: serde_json::Value = serde_json::from_str(&text()).unwrap(); // which sorts the keys
    assert_eq!(parse(&serde_json::to_string(&value).unwrap()).unwrap(), full());
    let edited = text().replace("error rate up", "error rate Up");
    assert!(matches!(parse(&edited), Err(ParseError::WrongHash { .. })));
}

#[test]
fn a_problem_is_called_by_the_way_to_it() {
    for (from, to, field) in [
        ("\"reason\": \"error rate up after the release\"", "\"reason\": \" \"", "switches[recs].engaged.reason"),
        ("\"percent\": 12.5", "\"percent\": 0", "switches[recs].engaged.scope.percent"),
        ("\"percent\": 12.5", "\"percent\": 12.5, \"plan\": 1", "switches[1].engaged.scope.plan"),
        ("\"web-1\"", "", "settings.stages"),
        ("\"samples\": 5000", "\"samples\": -1", "switches[1].engaged.trigger.kpi.samples"),
        ("\"samples\": 5000", "\"samples\": 1.5", "switches[1].engaged.trigger.kpi.samples"),
        ("\"window_seconds\": 60", "\"window_seconds\": 604801", "switches[recs].engaged.trigger.window_seconds"),
        ("\"then\": \"release\"", "\"then\": \"Release\"", "switches[1].engaged.expires.then"),
        ("\"state\": \"engaged\"", "\"state\": \"released\"", "switches[recs].pin.state"),
        ("\"id\": \"recs\"", "\"id\": \"../recs\"", "switches[1].id"),
        ("\"id\": \"recs\"", "\"id\": \"ads\"", "switches[ads]"),
        ("\"id\": \"old\"", "\"id\": \"ads\"", "retired[ads].id"),
        ("\"number\": 4", "\"number\": 6", "pending[6].number"),
        ("\"release\": {", "\"resume\": {", "pending[0].change"),
        ("\"generation\": 5", "\"generation\": 0", "generation"),
        ("\"generation\": 5", "\"generation\": 9007199254740992", "generation"),
        ("\"generation\": 5", "\"generation\": 18446744073709551616", "generation"),
        ("\"two_person\": true", "\"two_person\": \"true\"", "settings.two_person"),
        ("\"two_person\": true", "\"persons\": true", "settings"),
        ("\"stages\": [", "\"stages\": [1, ", "settings.stages[0]"),
        ("\"store\": \"shop\"", "\"store\": \"\"", "store"),
        ("\"on_unknown\": \"allow\"", "\"on_unknown\": \"maybe\"", "switches[0].definition.on_unknown"),
    ] {
        assert!(text().contains(from), "{from}");
        let error = parse(&text().replace(from, to)).unwrap_err();
        let ParseError::Invalid(error) = error else { panic!("{to}: {error}") };
        let said = error.problems().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(said.iter().any(|said| said.starts_with(field)), "{field}: {error}");
    }
}

#[test]
fn all_problems_are_told_at_once_and_no_more_than_a_hundred() {
    let broken = text().replace("\"shop\"", "\"\"").replace("12.5", "0").replace("\"bo\"", "\"\"");
    let Err(ParseError::Invalid(error)) = parse(&broken) else { panic!("taken") };
    let fields: Vec<_> = error.problems().iter().map(|problem| problem.field().to_owned()).collect();
    assert_eq!(fields, ["store", "switches[recs].engaged.scope.percent", "switches[recs].pin.by"]);

    let mut many = full();
    many.switches.clear();
    let tombstone = |number: usize| format!(r#"{{"id":"x{number}","at":"2026-01-01T00:00:00Z","by":""}}"#);
    let retired = (0..500).map(tombstone).collect::<Vec<_>>().join(",");
    let text = String::from_utf8(many.to_bytes()).unwrap();
    let (before, rest) = text.split_once("\"retired\": [").unwrap();
    let (_, after) = rest.split_once(']').unwrap();
    let Err(ParseError::Invalid(error)) = parse(&format!("{before}\"retired\": [{retired}]{after}")) else {
        panic!("taken")
    };
    assert_eq!(error.problems().len(), 101);
    assert_eq!(error.problems()[100].value(), "500 problems");
}

#[test]
fn other_refusals_come_before_the_fields() {
    let limit = Document::parse(text().as_bytes(), text().len() - 1);
    assert_eq!(limit, Err(ParseError::TooLarge { size: text().len(), limit: text().len() - 1 }));
    let format = text().replace("\"format\": 1", "\"format\": 2, \"more\": true");
    assert_eq!(parse(&format), Err(ParseError::UnknownFormat { format: 2 }));
    let twice = text().replace("\"format\": 1", "\"format\": 1, \"format\": 1");
    let Err(ParseError::Syntax { message }) = parse(&twice) else { panic!("taken") };
    assert!(message.starts_with("duplicate field `format` at line"), "{message}");
    for wrong in ["", "null", "[]", "\"\"", "{}", "0", "\u{feff}{}"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_document_that_ends_early_is_refused_at_every_byte() {
    let bytes = full().to_bytes();
    for end in 0..bytes.len() - 2 {
        assert!(Document::parse(&bytes[..end], Document::SIZE_MAX).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Document::parse(&bytes, Document::SIZE_MAX).is_err());
    }

    #[test]
    fn a_changed_byte_is_refused_or_changes_nothing(place: prop::sample::Index, byte: u8) {
        let mut bytes = full().to_bytes();
        *place.get_mut(&mut bytes) = byte;
        if let Ok(document) = Document::parse(&bytes, Document::SIZE_MAX) {
            prop_assert_eq!(document, full());
        }
    }

    #[test]
    fn pieces_cut_out_doubled_or_swapped_are_survived(from: prop::sample::Index, len in 0..200_usize, to: prop::sample::Index) {
        let mut bytes = full().to_bytes();
        let from = from.index(bytes.len());
        let piece: Vec<u8> = bytes.drain(from..(from + len).min(bytes.len())).collect();
        let _ = Document::parse(&bytes, Document::SIZE_MAX);
        let to = to.index(bytes.len() + 1);
        bytes.splice(to..to, piece.iter().copied().chain(piece.iter().copied()));
        let _ = Document::parse(&bytes, Document::SIZE_MAX);
    }
}
