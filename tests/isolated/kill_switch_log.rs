//! What stands in the log of a program with kill switches. A program of its own: what is logged where nobody listens,
//! in another test, may not be logged here.

#[path = "../support/kept.rs"]
mod kept;
#[path = "../support/lines.rs"]
mod lines;

use backstop::clock::Timestamp;
use backstop::kill_switch::{
    Author, Change, Definition, Editor, Engage, KillSwitches, OnUnknown, Scope, SwitchId, Target,
};
use kept::Kept;
use lines::{Lines, with_log};
use std::time::Duration;

fn by(reason: &str) -> Author {
    Author::person("mira", Timestamp::now()).because(reason)
}

fn id() -> SwitchId {
    SwitchId::new("recs").unwrap()
}

fn assert_lines(lines: &Lines, expected: &[&[&str]]) {
    let lines = lines.take();
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, parts) in lines.iter().zip(expected) {
        for part in *parts {
            assert!(line.contains(part), "no {part} in: {line}");
        }
    }
}

#[test]
fn a_change_is_told_with_who_and_why_and_a_request_is_not() {
    with_log(|lines| {
        let store = Kept::default();
        let editor = Editor::new(store.clone());
        let next_hour = Timestamp::now() + Duration::from_secs(3_600);
        let definition = Definition::new("team-recs", "recommendations", next_hour, OnUnknown::Allow);
        editor.change(&Change::Define { switch: id(), definition }, &by("new")).unwrap();
        let switches =
            KillSwitches::builder("shop").store(store.clone()).poll(Duration::from_secs(3_600)).build().unwrap();
        let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
        assert_lines(lines, &[&["INFO", "backstop::kill_switch", "generation=2", "by=\"mira\"", "reason=\"new\""]]);

        let engage = Change::Engage(Engage::new(id(), Scope::all()));
        switches.change(&engage, &by("wrong prices")).unwrap();
        let applied: &[&str] = &["INFO", "generation=3", "what=\"engage recs\"", "reason=\"wrong prices\""];
        assert_lines(lines, &[applied, &["WARN", "kill switch engaged", "name=\"recs\""]]);
        (0..100).for_each(|_| assert!(recs.check(&Target::new()).is_err()));
        assert_lines(lines, &[]);

        switches.change(&Change::Release { switch: id() }, &by("fixed")).unwrap();
        assert_lines(lines, &[&["INFO", "what=\"release recs\""], &["INFO", "kill switch released", "name=\"recs\""]]);

        store.0.overwrite(Some(b"garbage".to_vec()));
        switches.refresh();
        switches.refresh();
        assert_lines(lines, &[&["WARN", "kill switches keep the one before", "code=\"garbage\""]]);
    });
}
