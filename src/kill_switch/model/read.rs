//! How the parts of a document are read out of a tree: with a path for every problem.

use super::json::Node;
use super::text;
use super::text::shown;
use crate::clock::Timestamp;
use crate::config::{ConfigError, Problems};
use std::collections::{BTreeMap, BTreeSet};

/// What can be read out of a tree.
pub(crate) trait Read: Sized {
    /// Reads what is at this path. `None` means that a problem was added; a value may come with problems, too.
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self>;
}

/// # Errors
///
/// Everything that is wrong with it.
pub(crate) fn read<T: Read>(node: &Node, at: &str) -> Result<T, ConfigError> {
    let mut problems = Problems::default();
    match T::read(node, at, &mut problems) {
        Some(value) => problems.into_result(value),
        None => Err(problems.into_error()),
    }
}

/// Lets other formats read a type on its own, with the same checks.
macro_rules! deserialize_by_reading {
    ($($name:literal: $type:ty),* $(,)?) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let node = crate::kill_switch::model::json::Node::deserialize(deserializer)?;
                crate::kill_switch::model::read::read(&node, $name).map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use deserialize_by_reading;

pub(crate) fn wrong<T>(node: &Node, at: &str, allowed: &str, problems: &mut Problems) -> Option<T> {
    let given = match node {
        Node::Text(text) => shown(text),
        Node::Whole(number) => number.to_string(),
        Node::Number(number) => number.to_string(),
        other => other.kind().to_owned(),
    };
    problems.add(at.to_owned(), given, allowed);
    None
}

/// The fields of one object.
pub(crate) struct Fields<'a> {
    values: &'a BTreeMap<String, Node>,
    at: &'a str,
    pub(crate) problems: &'a mut Problems,
}

impl<'a> Fields<'a> {
    /// An object with these fields and no others.
    pub(crate) fn of(node: &'a Node, at: &'a str, known: &[&str], problems: &'a mut Problems) -> Option<Self> {
        let Node::Object(fields) = node else { return wrong(node, at, "an object", problems) };
        for field in fields.keys().filter(|field| !known.contains(&field.as_str())) {
            let allowed = format!("left out: the fields are {}", known.join(", "));
            problems.add(join(at, bare(&shown(field))), "an unknown field", allowed);
        }
        Some(Self { values: fields, at, problems })
    }

    pub(crate) fn path(&self, field: &str) -> String {
        join(self.at, field)
    }

    pub(crate) fn required<T: Read>(&mut self, field: &str) -> Option<T> {
        let at = self.path(field);
        if let Some(node) = self.values.get(field) {
            return T::read(node, &at, self.problems);
        }
        self.problems.add(at, "nothing", "given");
        None
    }

    /// The outer `None` means a problem, the inner one that the field is not there or null.
    #[expect(clippy::option_option, reason = "the outer one lets a reader stop with `?`")]
    pub(crate) fn optional<T: Read>(&mut self, field: &str) -> Option<Option<T>> {
        match self.values.get(field) {
            None | Some(Node::Null) => Some(None),
            Some(node) => T::read(node, &self.path(field), self.problems).map(Some),
        }
    }

    pub(crate) fn name(&mut self, field: &str) -> Option<String> {
        let name: String = self.required(field)?;
        text::name(&self.path(field), &name, self.problems);
        Some(name)
    }

    #[expect(clippy::option_option, reason = "as for `optional`")]
    pub(crate) fn optional_name(&mut self, field: &str) -> Option<Option<String>> {
        let name: Option<String> = self.optional(field)?;
        if let Some(name) = &name {
            text::name(&self.path(field), name, self.problems);
        }
        Some(name)
    }

    pub(crate) fn reason(&mut self, field: &str) -> Option<String> {
        let reason: String = self.required(field)?;
        text::reason(&self.path(field), &reason, self.problems);
        Some(reason)
    }

    /// What a field that is not there stands for.
    pub(crate) fn or_default<T: Read + Default>(&mut self, field: &str) -> Option<T> {
        self.optional(field).map(Option::unwrap_or_default)
    }

    /// A list whose items are called by this field of theirs, each by another name; without one, by their number.
    pub(crate) fn list<T: Read>(&mut self, field: &str, most: usize, key: &str) -> Option<Vec<T>> {
        let at = self.path(field);
        let items = match self.values.get(field) {
            Some(Node::List(items)) if items.len() <= most => items,
            Some(Node::List(items)) => {
                self.problems.add(at, format!("{} items", items.len()), format!("at most {most}"));
                return None;
            }
            other => return wrong(other.unwrap_or(&Node::Null), &at, "a list", self.problems),
        };
        let mut names = BTreeSet::new();
        let read: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(number, item)| {
                let name = match item {
                    Node::Object(fields) => fields.get(key),
                    _ => None,
                };
                let name = match name {
                    Some(Node::Text(name)) => bare(&shown(name)).to_owned(),
                    Some(Node::Whole(name)) => name.to_string(),
                    _ => number.to_string(),
                };
                if !names.insert(name.clone()) {
                    self.problems.add(format!("{at}[{name}].{key}"), &name, "there once");
                }
                T::read(item, &format!("{at}[{name}]"), self.problems)
            })
            .collect();
        read.into_iter().collect()
    }
}

/// Without the quotes.
fn bare(shown: &str) -> &str {
    shown.trim_matches('"')
}

fn join(at: &str, field: &str) -> String {
    if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") }
}

/// One of a few words.
pub(crate) fn word<T: Copy>(node: &Node, at: &str, words: &[(&str, T)], problems: &mut Problems) -> Option<T> {
    if let Node::Text(text) = node
        && let Some((_, value)) = words.iter().find(|(word, _)| word == text)
    {
        return Some(*value);
    }
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    wrong(node, at, &format!("one of {}", words.join(", ")), problems)
}

/// A word alone, or an object whose only key is one: how serde writes an enum.
pub(crate) fn tagged<'a>(
    node: &'a Node,
    at: &str,
    words: &[&str],
    problems: &mut Problems,
) -> Option<(&'a str, &'a Node)> {
    let found = match node {
        Node::Text(word) => Some((word.as_str(), &Node::Null)),
        Node::Object(fields) if fields.len() == 1 => fields.iter().next().map(|(word, inner)| (word.as_str(), inner)),
        _ => None,
    };
    match found {
        Some((word, inner)) if words.contains(&word) => Some((word, inner)),
        Some((word, _)) => {
            problems.add(at.to_owned(), shown(word), format!("one of {}", words.join(", ")));
            None
        }
        None => wrong(node, at, &format!("one of {}", words.join(", ")), problems),
    }
}

impl Read for bool {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        if let Node::Bool(value) = node { Some(*value) } else { wrong(node, at, "true or false", problems) }
    }
}

impl Read for u64 {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        if let Node::Whole(value) = node { Some(*value) } else { wrong(node, at, "a whole number from 0", problems) }
    }
}

impl Read for f64 {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        match node {
            Node::Whole(value) => Some(*value as Self),
            Node::Number(value) => Some(*value),
            _ => wrong(node, at, "a number", problems),
        }
    }
}

/// Whoever reads a text checks it as well: see `text.rs`.
impl Read for String {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        if let Node::Text(text) = node { Some(text.clone()) } else { wrong(node, at, "a text", problems) }
    }
}

impl Read for BTreeSet<String> {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let Node::List(items) = node else { return wrong(node, at, "a list of texts", problems) };
        let mut set = Self::new();
        for item in items {
            set.insert(String::read(item, at, problems)?);
        }
        Some(set)
    }
}

const TIME: &str = "a time since 1970 like 2026-01-31T12:00:00Z";

impl Read for Timestamp {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let Node::Text(text) = node else { return wrong(node, at, TIME, problems) };
        // The parser also knows other forms, with the name of a time zone for one: RFC 3339 does not.
        let bytes = text.as_bytes();
        let is_rfc = (20..=35).contains(&bytes.len())
            && bytes[4] == b'-'
            && bytes[10].eq_ignore_ascii_case(&b'T')
            && bytes[13] == b':'
            && bytes.iter().all(|byte| byte.is_ascii_digit() || b"-+.:TtZz".contains(byte));
        match text.parse::<Self>() {
            Ok(time) if is_rfc && time >= Self::UNIX_EPOCH => Some(time),
            _ => wrong(node, at, TIME, problems),
        }
    }
}

/// Checks a time that comes from code: only what can be written and read again is allowed.
pub(crate) fn time(at: &str, time: Timestamp, problems: &mut Problems) {
    if time < Timestamp::UNIX_EPOCH {
        problems.add(at.to_owned(), time, TIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_and_nothing_else() {
        let is_read = |text: &str| read::<Timestamp>(&Node::Text(text.into()), "at").is_ok();
        for fine in ["2026-01-31T12:00:00Z", "2026-01-31t12:00:00.000000001z", "2026-01-31T12:00:00+02:00"] {
            assert!(is_read(fine), "{fine}");
        }
        for wrong in [
            "",
            "2026-01-31",
            "2026-01-31 12:00:00Z",
            "2026-01-31T12:00:00",
            "20260131T120000Z         ",
            "2026-01-31T12:00:00Z[UTC]",
            "1969-12-31T23:59:59Z",
            "-002026-01-31T12:00:00Z",
            "2026-02-30T12:00:00Z",
            "１２３４５６７",
            "1700000000",
        ] {
            assert!(!is_read(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_time_comes_back_as_it_was_written() {
        for time in [Timestamp::UNIX_EPOCH, Timestamp::MAX, Timestamp::from_millisecond(1).unwrap()] {
            assert_eq!(read::<Timestamp>(&Node::Text(time.to_string()), "at").unwrap(), time);
        }
    }
}
