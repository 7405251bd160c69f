//! What stands in the log of a program with kill switches. A program of its own: what is logged where nobody listens,
//! in another test, may not be logged here.

#[path = "../support/kept.rs"]
mod kept;

use backstop::clock::Timestamp;
use backstop::kill_switch::{
    Author, Change, Definition, Editor, Engage, KillSwitches, OnUnknown, Scope, SwitchId, Target,
};
use kept::Kept;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn by(reason: &str) -> Author {
    Author::person("mira", Timestamp::now()).because(reason)
}

fn id() -> SwitchId {
    SwitchId::new("recs").unwrap()
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
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
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .without_time()
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let store = Kept::default();
        let editor = Editor::new(store.clone());
        let next_hour = Timestamp::now() + Duration::from_secs(3_600);
        let definition = Definition::new("team-recs", "recommendations", next_hour, OnUnknown::Allow);
        editor.change(&Change::Define { switch: id(), definition }, &by("new")).unwrap();
        let switches =
            KillSwitches::builder("shop").store(store.clone()).poll(Duration::from_secs(3_600)).build().unwrap();
        let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
        assert_lines(&lines, &[&["INFO", "backstop::kill_switch", "generation=2", "by=\"mira\"", "reason=\"new\""]]);

        let engage = Change::Engage(Engage::new(id(), Scope::all()));
        switches.change(&engage, &by("wrong prices")).unwrap();
        let applied: &[&str] = &["INFO", "generation=3", "what=\"engage recs\"", "reason=\"wrong prices\""];
        assert_lines(&lines, &[applied, &["WARN", "kill switch engaged", "name=\"recs\""]]);
        (0..100).for_each(|_| assert!(recs.check(&Target::new()).is_err()));
        assert_lines(&lines, &[]);

        switches.change(&Change::Release { switch: id() }, &by("fixed")).unwrap();
        assert_lines(&lines, &[&["INFO", "what=\"release recs\""], &["INFO", "kill switch released", "name=\"recs\""]]);

        store.0.overwrite(Some(b"garbage".to_vec()));
        switches.refresh();
        switches.refresh();
        assert_lines(&lines, &[&["WARN", "keep their document", "code=\"garbage\""]]);
    });
}
