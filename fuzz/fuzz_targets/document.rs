//! Whatever a store hands out: read whole or refused whole, and never at the price of an engaged switch.
#![no_main]

use backstop::clock::Timestamp;
use backstop::kill_switch::access::AccessList;
use backstop::kill_switch::{Document, ParseError, Update, audit, check_update};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

/// Between two documents of one input: no JSON has it.
const NEXT: u8 = 0xff;

fuzz_target!(|bytes: &[u8]| {
    let _ = audit::verify(bytes);
    let _ = AccessList::from_json(bytes, Timestamp::UNIX_EPOCH);
    let mut documents = bytes.splitn(2, |byte| *byte == NEXT).filter_map(read);
    let Some(current) = documents.next() else { return };
    let written = current.to_bytes();
    assert_eq!(Document::parse(&written, LIMIT).as_ref(), Ok(&current), "what is written is not what was read");
    assert!(matches!(check_update(Some(&current), &written), Ok(Update::Same)));

    let Some(next) = documents.next() else { return };
    let Ok(Update::New(next)) = check_update(Some(&current), &next.to_bytes()) else { return };
    assert_eq!(next.store(), current.store());
    assert!(next.generation() > current.generation());
    for lost in current.switches().iter().filter(|switch| switch.engaged.is_some()) {
        let id = &lost.id;
        let is_retired = next.retired().iter().any(|tombstone| tombstone.id == *id);
        assert!(is_retired || next.switch(id.as_str()).is_some(), "{id} was engaged and is gone");
    }
});

/// A hash is not found by chance: it is corrected, so that what lies behind it is reached.
fn read(bytes: &[u8]) -> Option<Document> {
    match Document::parse(bytes, LIMIT) {
        Ok(document) => Some(document),
        Err(ParseError::WrongHash { stated, actual }) => {
            let text = std::str::from_utf8(bytes).ok()?;
            Document::parse(text.replace(&stated.to_string(), &actual.to_string()).as_bytes(), LIMIT).ok()
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}
