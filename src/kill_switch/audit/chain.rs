//! The chain: how a line is made of the one before it, and how a file of them is checked.

use super::record::AuditRecord;
use crate::kill_switch::model::Sha256;
use crate::kill_switch::model::decode::without_types;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::fmt::Write as _;

/// The longest line, in bytes, with the new line at its end: 1 MiB.
pub const LINE_MAX: usize = 1 << 20;

/// Previous hash of the first line.
const NOTHING: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
/// Separator between the hashed bytes and the `hash` field.
const BEFORE_HASH: &str = ",\"hash\":\"";
/// Text after the hash.
const AFTER_HASH: &str = "\"}";

/// A line of the audit, or of a journal with facts of its own.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry<R = AuditRecord> {
    /// Its place in the chain. The first is 1.
    pub seq: u64,
    /// Body of the entry.
    pub facts: R,
    /// The hash of the entry before it; 64 zeros in the first. As [`hash`](Entry::hash) is written.
    pub prev_hash: String,
    /// `sha256:` and 64 hexadecimal digits: the SHA-256 of the line as far as the comma before `"hash"`.
    pub hash: String,
    /// The entry as one line of JSON, without the new line at its end. Control characters are escaped.
    pub line: String,
}

impl<R: DeserializeOwned> Entry<R> {
    /// Reads a line and checks it against its own hash.
    ///
    /// # Errors
    ///
    /// The problem.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        /// The two chain fields of a line. Fields that a later version adds are ignored here; they are hashed all the same.
        #[derive(serde::Deserialize)]
        struct Link {
            seq: u64,
            prev_hash: String,
        }
        let hash_at = line.len().checked_sub(BEFORE_HASH.len() + NOTHING.len() + AFTER_HASH.len());
        let (hashed, rest) =
            hash_at.and_then(|at| line.split_at_checked(at)).ok_or("it is too short for an entry of the audit")?;
        let hash = Sha256::of(hashed).to_string();
        if rest != format!("{BEFORE_HASH}{hash}{AFTER_HASH}").as_bytes() {
            return Err("its hash is not the hash of its content".to_owned());
        }
        let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
        let wrong = |error| format!("not an entry: {}", without_types(&error));
        let Link { seq, prev_hash } = serde_json::from_str(line).map_err(wrong)?;
        let facts = serde_json::from_str(line).map_err(wrong)?;
        Ok(Self { seq, facts, prev_hash, hash, line: line.to_owned() })
    }

    /// Checks that it comes right after another, or is the first.
    fn follows(&self, previous: Option<&Self>) -> Result<(), String> {
        let (seq, prev_hash) = next(previous);
        if self.seq != seq {
            return Err(format!("its seq is {}, expected {seq}: lines were removed, added or moved", self.seq));
        }
        if self.prev_hash != prev_hash {
            return Err("its prev_hash is not the hash of the line before it".to_owned());
        }
        Ok(())
    }
}

/// The seq and the `prev_hash` of whatever comes after this entry.
fn next<R>(previous: Option<&Entry<R>>) -> (u64, &str) {
    previous.map_or((1, NOTHING), |entry| (entry.seq.saturating_add(1), &entry.hash))
}

/// Makes the entry that comes after another, or the first.
pub fn append<R: Serialize>(previous: Option<&Entry<R>>, facts: R) -> Entry<R> {
    let (seq, prev_hash) = next(previous);
    // Text, numbers and values that were JSON before: nothing here can fail to be JSON.
    let told = serde_json::to_string(&facts).unwrap_or_default();
    let told = told.strip_prefix('{').and_then(|told| told.strip_suffix('}')).unwrap_or_default();
    let mut line = format!("{{\"seq\":{seq},{told},\"prev_hash\":\"{prev_hash}\"");
    let hash = Sha256::of(line.as_bytes()).to_string();
    let _ = write!(line, "{BEFORE_HASH}{hash}{AFTER_HASH}"); // as above
    Entry { seq, facts, prev_hash: prev_hash.to_owned(), hash, line }
}

/// A file whose lines follow each other.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verified {
    /// Number of entries.
    pub entries: u64,
    /// The last of them. Its [`hash`](Entry::hash), compared with one kept elsewhere, shows whether later lines were
    /// cut off, or the whole file written anew: from inside neither can be seen.
    pub last: Option<Entry>,
}

/// Problem of an audit file. Lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The last line has no end or is not JSON: its writer was killed. All lines before it are as they were.
    #[error("line {line} is incomplete, as its writer was interrupted; the lines before it are as written")]
    TornLastLine {
        /// The line.
        line: u64,
    },
    /// This line was altered, or lines before it were removed, added or moved. The chain is intact up to the line before it.
    #[error("line {line} was tampered with: {why}")]
    Tampered {
        /// The line.
        line: u64,
        /// The evidence.
        why: String,
    },
}

/// Checks every line of a file: its hash, and that it follows the line before it.
///
/// # Errors
///
/// The first line that is wrong.
pub fn verify(bytes: &[u8]) -> Result<Verified, AuditError> {
    let mut verified = Verified { entries: 0, last: None };
    each(bytes, |entry| verified = Verified { entries: verified.entries + 1, last: Some(entry.clone()) })?;
    Ok(verified)
}

/// Checks every line as [`verify`] does, and takes each in order.
pub(crate) fn each<R: DeserializeOwned>(bytes: &[u8], mut take: impl FnMut(&Entry<R>)) -> Result<(), AuditError> {
    let (mut number, mut previous) = (0, None);
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        number += 1;
        let ended = line.strip_suffix(b"\n");
        let line = ended.unwrap_or(line);
        let entry = match entry(line, previous.as_ref()) {
            Ok(entry) if ended.is_some() => entry,
            Err(why) if lines.peek().is_some() || !is_torn(line) => {
                return Err(AuditError::Tampered { line: number, why });
            }
            _ => return Err(AuditError::TornLastLine { line: number }),
        };
        take(&entry);
        previous = Some(entry);
    }
    Ok(())
}

fn entry<R: DeserializeOwned>(line: &[u8], previous: Option<&Entry<R>>) -> Result<Entry<R>, String> {
    if line.len() >= LINE_MAX {
        return Err(format!("the line has {} bytes, at most {LINE_MAX} are allowed", line.len()));
    }
    let entry = Entry::<R>::parse(line)?;
    entry.follows(previous)?;
    Ok(entry)
}

/// Whether an interrupted writer may have left this: the beginning of a line or garbage in its place, but nothing
/// after the end of an entry. There the end of its line was changed.
pub(super) fn is_torn(line: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(line).into_iter::<IgnoredAny>();
    !matches!(values.next(), Some(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts(number: usize) -> AuditRecord {
        let at = format!("2026-11-20T12:00:{number:02}Z").parse().unwrap();
        let scope = serde_json::json!({ "percent": 0.1 });
        AuditRecord { scope_after: Some(scope), ..AuditRecord::new(at, "ada", "engage", 3) }
    }

    fn lines(reasons: &[&str]) -> Vec<String> {
        let mut last: Option<Entry> = None;
        let entries = reasons.iter().enumerate().map(|(i, reason)| {
            let facts = AuditRecord { reason: Some((*reason).to_owned()), ..facts(i) };
            let entry = append(last.as_ref(), facts);
            last = Some(entry.clone());
            format!("{}\n", entry.line)
        });
        entries.collect()
    }

    fn tampered_line(lines: &[String]) -> u64 {
        match verify(lines.concat().as_bytes()).unwrap_err() {
            AuditError::Tampered { line, .. } => line,
            torn @ AuditError::TornLastLine { .. } => panic!("{torn}"),
        }
    }

    #[test]
    fn what_was_appended_verifies_and_comes_back() {
        let facts = AuditRecord {
            reason: Some("\"\n\r\0\u{1b}[31m ü".to_owned()),
            trigger: Some(serde_json::json!({ "kpi": { "value": 0.1 + 0.2, "threshold": 1e-300 } })),
            approvers: vec!["bo".to_owned()],
            ..facts(1)
        };
        let entry = append(Some(&append(None, facts.clone())), facts.clone());
        assert!(!entry.line.chars().any(char::is_control), "{}", entry.line);
        let read = Entry::<AuditRecord>::parse(entry.line.as_bytes()).unwrap();
        assert_eq!((read.seq, read.line, read.hash), (2, entry.line, entry.hash));
        assert_eq!((read.facts.reason.as_ref(), read.prev_hash), (facts.reason.as_ref(), entry.prev_hash));
        let all = lines(&["a", "b", "c"]);
        let verified = verify(all.concat().as_bytes()).unwrap();
        assert_eq!((verified.entries, &*verified.last.unwrap().line), (3, all[2].trim_end()));
        assert_eq!(verify(b"").unwrap(), Verified { entries: 0, last: None });
    }

    #[test]
    fn a_hash_can_be_checked_without_this_library() {
        // printf '%s' "${line%,\"hash\":*}" | sha256sum
        let line = lines(&["a"]).remove(0);
        let told = concat!(
            r#"{"seq":1,"at":"2026-11-20T12:00:00Z","by":"ada","what":"engage","change":null,"#,
            r#""switch":null,"reason":"a","#,
            r#""incident":null,"scope_before":null,"scope_after":{"percent":0.1},"trigger":null,"#,
            r#""proposed_by":null,"approvers":[],"#,
            r#""break_glass":false,"generation":3,"#,
            r#""prev_hash":"sha256:0000000000000000000000000000000000000000000000000000000000000000""#,
        );
        let hash = "47b0f5e0e83cbbb36aacee18730627d099821594bd4375fd29ec8c205a6cbfa7";
        assert_eq!(line, format!("{told},\"hash\":\"sha256:{hash}\"}}\n"));
    }

    #[test]
    fn a_line_removed_added_or_moved_is_found_where_it_is_missed() {
        let all = lines(&["a", "b", "c", "d", "e"]);
        for i in 0..4 {
            let due = i as u64 + 1;
            let mut removed = all.clone();
            removed.remove(i);
            assert_eq!(tampered_line(&removed), due);
            let mut swapped = all.clone();
            swapped.swap(i, i + 1);
            assert_eq!(tampered_line(&swapped), due);
            let mut doubled = all.clone();
            doubled.insert(i, all[i].clone());
            assert_eq!(tampered_line(&doubled), due + 1);
            let mut empty = all.clone();
            empty.insert(i, "\n".to_owned());
            assert_eq!(tampered_line(&empty), due);
        }
    }

    #[test]
    fn a_line_with_a_new_hash_is_missed_by_the_next() {
        let mut all = lines(&["a", "b", "c"]);
        all[1] = lines(&["a", "B"]).remove(1);
        assert_eq!(tampered_line(&all), 3);
        // Another chain of the same length gives nothing away but its last hash.
        let other = lines(&["a", "B", "c"]).concat();
        let last = |text: &str| verify(text.as_bytes()).unwrap().last.unwrap().hash;
        assert_ne!(last(&other), last(&lines(&["a", "b", "c"]).concat()));
    }

    #[test]
    fn a_tail_cut_within_a_line_is_torn_and_between_lines_unseen() {
        let all = lines(&["a", "b", "c"]).concat();
        let (mut entries, mut start) = (0, 0);
        for end in 0..=all.len() {
            if all[..end].ends_with('\n') {
                (entries, start) = (entries + 1, end);
            }
            match verify(&all.as_bytes()[..end]) {
                Ok(verified) => assert_eq!((verified.entries, end), (entries, start)),
                Err(error) => assert_eq!(error, AuditError::TornLastLine { line: entries + 1 }),
            }
        }
    }

    #[test]
    fn garbage_is_torn_at_the_end_and_tampering_before_it() {
        let all = lines(&["a", "b"]);
        for garbage in ["{\"seq\":3\n", "\0\0\0\n", "\n", "\u{fffd}"] {
            let last = format!("{}{garbage}", all.concat());
            assert_eq!(verify(last.as_bytes()), Err(AuditError::TornLastLine { line: 3 }));
        }
        let torn_line_kept = vec![all[0].clone(), "{\"seq\"\n".to_owned(), all[1].clone()];
        assert_eq!(tampered_line(&torn_line_kept), 2);
        let other_json = vec![all.concat(), "{}\n".to_owned()];
        assert_eq!(tampered_line(&other_json), 3);
    }

    #[test]
    fn a_line_above_a_mebibyte_is_refused() {
        let short = "x".repeat(LINE_MAX - 1_000);
        assert!(verify(lines(&[&short]).concat().as_bytes()).is_ok());
        assert_eq!(tampered_line(&lines(&["a", &"x".repeat(LINE_MAX)])), 2);
    }

    #[test]
    fn fields_of_a_later_version_are_hashed_and_no_error() {
        let line = lines(&["a"]).remove(0);
        let (told, _) = line.split_once(BEFORE_HASH).unwrap();
        let told = told.replace("\"by\"", "\"mood\": 1.50, \"by\"");
        let hash = Sha256::of(told.as_bytes()).to_string();
        assert!(verify(format!("{told}{BEFORE_HASH}{hash}{AFTER_HASH}\n").as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn one_bit_changed_anywhere_is_found(
            reasons in proptest::collection::vec(".{0,20}", 1..5),
            is_torn: bool,
            at: proptest::sample::Index,
            bit in 0..8_u32,
        ) {
            let reasons: Vec<_> = reasons.iter().map(String::as_str).collect();
            let mut bytes = lines(&reasons).concat().into_bytes();
            let at = at.index(bytes.len());
            let line = bytes[..at].split(|byte| *byte == b'\n').count() as u64;
            if is_torn {
                bytes.extend(b"{\"seq\":");
            }
            bytes[at] ^= 1 << bit;
            match verify(&bytes) {
                Ok(_) => prop_assert!(false, "not found"),
                Err(AuditError::Tampered { line: found, .. }) => prop_assert_eq!(found, line),
                // A torn last line looks the same as a forged one.
                Err(AuditError::TornLastLine { .. }) => prop_assert_eq!(line, reasons.len() as u64),
            }
        }
    }
}
