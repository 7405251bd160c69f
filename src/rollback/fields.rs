//! Reader of a document's fields that collects every problem instead of stopping at the first.
//!
//! A field that was asked for is known; when a table has been read, those that are left over are reported, with the
//! known name that is nearest.

use crate::clock::Timestamp;
use crate::config::{ConfigError, Problem, Problems};
use humantime_serde::re::humantime;
use serde_path_to_error::Segment as Step;
use std::fmt::{Display, Write as _};
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::{Table, Value};

/// Longest name or value that a problem quotes, in characters.
const SHOWN_MAX: usize = 60;

/// Reads TOML, or JSON where the text begins with a brace.
pub(crate) fn table_of(text: &str) -> Result<Table, ConfigError> {
    let text = without_bom(text);
    if text.trim_start().starts_with('{') {
        return json_table(text).map_err(ConfigError::of);
    }
    text.parse().map_err(|error: toml::de::Error| {
        let message = format!("this is no TOML document: {error}");
        ConfigError::of(Problem::new("document", message.trim_end(), ""))
    })
}

fn json_table(text: &str) -> Result<Table, Problem> {
    let json = &mut serde_json::Deserializer::from_str(text);
    // A `Table` would take the last one of two equal keys.
    let read = serde_path_to_error::deserialize(&mut *json);
    let problem = |message: String| Problem::new("document", message, "");
    match read {
        Ok(Value::Table(table)) => {
            json.end().map_err(|error| problem(format!("this is no JSON document: {error}")))?;
            Ok(table)
        }
        Ok(_) => Err(problem("this is no JSON object".to_owned())),
        Err(error) if error.inner().to_string().starts_with("invalid type: null") => {
            Err(Problem::new(path_of(error.path()), "null", "a value; leave the field out for its default"))
        }
        Err(error) => Err(problem(format!("this is no JSON document: {}", error.inner()))),
    }
}

/// A text without the byte order mark that some editors begin it with.
pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Path of a field, with its names as a problem quotes them.
pub(crate) fn path_of(path: &serde_path_to_error::Path) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Seq { index } => _ = write!(out, "[{index}]"),
            Step::Map { key } | Step::Enum { variant: key } => {
                out.push_str(if out.is_empty() { "" } else { "." });
                out.push_str(&shown(key));
            }
            Step::Unknown => {}
        }
    }
    out
}

/// A table that is being read.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    path: String,
    table: Table,
    known: Vec<&'static str>,
    /// After "unknown field".
    suffix: String,
    problems: &'a mut Problems,
}

impl<'a> Fields<'a> {
    /// Reads a document by `read`, which asks for each field.
    pub(crate) fn read<T>(table: Table, problems: &'a mut Problems, read: impl FnOnce(&mut Fields<'_>) -> T) -> T {
        let mut fields = Fields { path: String::new(), table, known: Vec::new(), suffix: String::new(), problems };
        let value = read(&mut fields);
        fields.finish();
        value
    }

    fn finish(self) {
        for name in self.table.keys() {
            let near = near(name, &self.known).map_or_else(String::new, |near| format!(", did you mean \"{near}\"?"));
            let path = format!("{}{}", self.path, shown(name));
            self.problems.add(path, format!("unknown field{}{near}", self.suffix), "");
        }
    }

    /// Reports a field that is missing, to be called before it is read; returns whether it is there.
    pub(crate) fn need(&mut self, name: &str, hint: &str) -> bool {
        let is_given = self.table.contains_key(name);
        if !is_given {
            let path = format!("{}{name}", self.path);
            self.problems.add(path, format!("required: {hint}"), "");
        }
        is_given
    }

    /// Adds a problem of a field.
    pub(crate) fn wrong(&mut self, name: &str, value: impl Display, allowed: impl Into<String>) {
        let path = format!("{}{name}", self.path);
        self.problems.add(path, shown(&value.to_string()), allowed);
    }

    /// Whether a field is there and was not read yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Reports each of these fields that is there: it must be absent for this reason.
    pub(crate) fn refuse(&mut self, names: &[&'static str], reason: &str) {
        for name in names {
            self.take(name, &format!("absent {reason}"), |_| None::<()>);
        }
    }

    /// Names the kind of table that does not have an unknown field.
    pub(crate) fn of_kind(&mut self, kind: impl Display) {
        self.suffix = format!(" of kind {kind}");
    }

    /// Leaves unknown fields unreported: it is not known what the table is.
    pub(crate) fn skip_rest(&mut self) {
        self.table.clear();
    }

    fn take<T>(&mut self, name: &'static str, allowed: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        self.known.push(name);
        let value = self.table.remove(name)?;
        let read = read(&value);
        if read.is_none() {
            self.wrong(name, value, allowed);
        }
        read
    }

    /// A text that is not empty and has no control characters.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.take(name, "a text without control characters, not empty", plain)
    }

    /// A text; empty, and reported, where it is missing.
    pub(crate) fn required(&mut self, name: &'static str, hint: &str) -> String {
        self.need(name, hint);
        self.text(name).unwrap_or_default()
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let allowed = "a list of texts without control characters, none of them empty";
        self.take(name, allowed, |value| value.as_array()?.iter().map(plain).collect())
    }

    /// A command: a program and its arguments, which may be empty.
    pub(crate) fn argv(&mut self, name: &'static str) -> Option<Vec<String>> {
        let allowed = "a program and its arguments, as [\"program\", \"argument\"], without control characters";
        self.take(name, allowed, |value| {
            let words = value.as_array()?.iter().map(|word| word.as_str().filter(|word| is_plain(word)));
            let words: Vec<_> = words.map(|word| word.map(str::to_owned)).collect::<Option<_>>()?;
            words.first().is_some_and(|program| !program.trim().is_empty()).then_some(words)
        })
    }

    /// A duration above 0.
    pub(crate) fn duration(&mut self, name: &'static str) -> Option<Duration> {
        self.take(name, "a duration above 0, such as \"30s\", \"5m\" or \"1h 30m\"", |value| {
            let duration = humantime::parse_duration(value.as_str()?).ok()?;
            (!duration.is_zero()).then_some(duration)
        })
    }

    /// A time.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        self.take(name, "a time with its zone, such as \"2027-01-31T00:00:00Z\"", |value| match value {
            Value::Datetime(time) => time.to_string().parse().ok(),
            value => value.as_str()?.parse().ok(),
        })
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.take(name, "true or false", Value::as_bool)
    }

    /// A whole number.
    pub(crate) fn whole(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.take(name, &allowed, |value| {
            u32::try_from(value.as_integer()?).ok().filter(|number| range.contains(number))
        })
    }

    /// A number.
    pub(crate) fn number(&mut self, name: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let allowed = format!("a number from {} to {}", say(*range.start()), say(*range.end()));
        self.take(name, &allowed, |value| {
            let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64))?;
            range.contains(&number).then_some(number)
        })
    }

    /// A number of at least 1.
    pub(crate) fn factor(&mut self, name: &'static str) -> Option<f64> {
        self.number(name, 1.0..=1_000.0)
    }

    /// A duration in a range of seconds.
    pub(crate) fn seconds(&mut self, name: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let ends = [range.start(), range.end()].map(|seconds| show(Duration::from_secs_f64(*seconds)));
        let allowed = format!("a duration from {} to {}, such as \"30s\" or \"5m\"", ends[0], ends[1]);
        self.take(name, &allowed, |value| {
            let seconds = humantime::parse_duration(value.as_str()?).ok()?.as_secs_f64();
            range.contains(&seconds).then_some(seconds)
        })
    }

    /// One of some names.
    pub(crate) fn choice<T: Copy + Display>(&mut self, name: &'static str, all: &[T]) -> Option<T> {
        let names: Vec<_> = all.iter().map(ToString::to_string).collect();
        let allowed = format!("one of {}", names.join(", "));
        let at = |value: &Value| names.iter().position(|name| Some(name.as_str()) == value.as_str());
        self.take(name, &allowed, |value| at(value).map(|at| all[at]))
    }

    /// The field `kind`: one of some names.
    pub(crate) fn kind<T: Copy + Display>(&mut self, all: &[T]) -> Option<T> {
        let names: Vec<_> = all.iter().map(ToString::to_string).collect();
        self.need("kind", &format!("one of {}", names.join(", ")));
        self.choice("kind", all)
    }

    /// The command `argv`; empty, and reported, where it is missing.
    pub(crate) fn command(&mut self) -> Vec<String> {
        self.need("argv", "a program and its arguments, as [\"program\", \"argument\"]");
        self.argv("argv").unwrap_or_default()
    }

    /// A table, read by `read`.
    pub(crate) fn table<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Fields<'_>) -> T) -> Option<T> {
        let table = self.take(name, "a table", |value| value.as_table().cloned())?;
        Some(self.inner(&format!("{name}."), table, read))
    }

    /// A list of tables, each read by `read`.
    pub(crate) fn tables<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Fields<'_>) -> T,
    ) -> Option<Vec<T>> {
        let tables = self.take(name, "a list of tables", |value| {
            value.as_array()?.iter().map(|value| value.as_table().cloned()).collect::<Option<Vec<_>>>()
        })?;
        let tables = tables.into_iter().enumerate();
        Some(tables.map(|(at, table)| self.inner(&format!("{name}[{at}]."), table, &mut read)).collect())
    }

    fn inner<T>(&mut self, step: &str, table: Table, read: impl FnOnce(&mut Fields<'_>) -> T) -> T {
        let path = format!("{}{step}", self.path);
        let mut fields = Fields { path, table, known: Vec::new(), suffix: String::new(), problems: self.problems };
        let value = read(&mut fields);
        fields.finish();
        value
    }
}

/// A number as a problem quotes it: large ones have more digits than anyone reads.
pub(crate) fn say(value: f64) -> String {
    if value.abs() > 1e17 { format!("{value:e}") } else { value.to_string() }
}

/// `5m`, `1m 30s`.
pub(crate) fn show(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn plain(value: &Value) -> Option<String> {
    value.as_str().filter(|text| is_plain(text) && !text.trim().is_empty()).map(str::to_owned)
}

/// A name or value as a problem quotes it: short, and harmless in a terminal.
pub(crate) fn shown(text: &str) -> String {
    shown_to(text, SHOWN_MAX)
}

/// The same of at most so many characters.
pub(crate) fn shown_to(text: &str, most: usize) -> String {
    let escaped: String = text
        .chars()
        .take(most)
        .flat_map(|char| {
            let is_control = char.is_control();
            let escaped = is_control.then(|| char.escape_debug());
            escaped.into_iter().flatten().chain((!is_control).then_some(char))
        })
        .collect();
    if text.chars().count() > most { format!("{escaped}..") } else { escaped }
}

/// The known name with the fewest edits, if they are few for its length.
fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let known = known.iter().map(|known| (edits(name, known), *known));
    known.min().filter(|(edits, known)| *edits <= known.len().div_ceil(3).min(3)).map(|(_, known)| known)
}

/// Number of characters to insert, remove or replace (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<_> = other.chars().collect();
    let mut row: Vec<_> = (0..=other.len()).collect();
    for (i, char) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, wanted) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(char != *wanted);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
