//! The largest documents: they are made, read and put into force.

use super::super::apply::apply;
use crate::clock::{Clock, Timestamp};
use crate::kill_switch::model::tests::full;
use crate::kill_switch::model::{Author, Change, Definition, Document, Engage, OnUnknown, Scope, Switch, SwitchId};
use crate::kill_switch::{ChangeError, CompiledScope, Target};

fn define(number: usize) -> Change {
    let definition = Definition::new("team-of-the-feature", "one capability of many", Timestamp::MAX, OnUnknown::Allow);
    Change::Define { switch: SwitchId::new(&format!("capability-{number:04}")).unwrap(), definition }
}

fn by() -> Author {
    Author::person("ana", Timestamp::from_second(1_800_000_000).unwrap()).because("a test")
}

/// A document of so many switches.
fn of(switches: usize) -> Document {
    let mut document = full();
    let new = |number| match define(number) {
        Change::Define { switch: id, definition } => Switch { id, definition, engaged: None, pin: None, drilled: None },
        _ => unreachable!("it is a definition"),
    };
    document.settings.two_person = false;
    document.switches = (0..switches).map(new).collect();
    document.pending.clear();
    document.sealed()
}

#[test]
fn ten_thousand_tenants_are_engaged_in_a_document_of_five_thousand_switches() {
    let clock = Clock::system();
    let timed = |what: &str, begun| println!("{what}: {:?}", clock.now().saturating_duration_since(begun));
    let document = apply(&of(4_999), &define(4_999), &by()).unwrap();
    assert!(matches!(apply(&document, &define(5_000), &by()), Err(ChangeError::TooMany { most: 5_000, .. })));
    let tenant = |number| format!("tenant-of-some-length-{number:05}");
    let scope = (0..10_000).fold(Scope::new(), |scope, number| scope.tenant(tenant(number)));
    let (id, begun) = (SwitchId::new("capability-0042").unwrap(), clock.now());
    let document = apply(&document, &Change::Engage(Engage::new(id.clone(), scope.clone())), &by()).unwrap();
    timed("engage", begun);
    let (bytes, begun) = (document.to_bytes(), clock.now());
    assert_eq!(Document::parse(&bytes, Document::SIZE_MAX).unwrap(), document);
    timed(&format!("parse {} bytes", bytes.len()), begun);
    let (begun, rule) = (clock.now(), CompiledScope::new(&id, &scope));
    timed("compile", begun);
    let (name, begun) = (tenant(7_777), clock.now());
    let target = Target::new().tenant(&name);
    let inside = (0..10_000).filter(|_| rule.matches(&target, &mut target.key_hash())).count();
    timed("10,000 requests", begun);
    assert_eq!(inside, 10_000);
    assert!(!rule.matches(&Target::new().tenant("another"), &mut target.key_hash()));
    let one_more = scope.tenant("one-more");
    assert_eq!(one_more.check().unwrap_err().problems()[0].value(), "10001 values");
}
