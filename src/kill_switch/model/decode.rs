//! Decoding of JSON with serde: the first error of the structure names its path.
//!
//! Ranges are not part of it: they are checked afterwards, all at once.

use crate::clock::Timestamp;
use crate::config::{ConfigError, Problem, Problems};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

/// Bytes that could not be decoded.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// They are not JSON, or have a key twice; the message has line and column.
    Syntax(String),
    /// They are JSON of another structure.
    Structure(ConfigError),
}

/// Decodes JSON.
///
/// # Errors
///
/// The first problem.
pub(crate) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let decoded = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        match error.into_inner() {
            inner if inner.is_data() && !inner.to_string().starts_with("duplicate field") => {
                let field = if path == "." { "document".to_owned() } else { path };
                DecodeError::Structure(ConfigError::of(Problem::new(field, inner, "")))
            }
            inner => DecodeError::Syntax(inner.to_string()),
        }
    })?;
    deserializer.end().map_err(|error| DecodeError::Syntax(error.to_string()))?;
    Ok(decoded)
}

const TIME: &str = "a time since 1970 like 2026-01-31T12:00:00Z";

/// Deserializes a time of RFC 3339 since 1970.
pub(in crate::kill_switch) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The parser also knows other forms, with the name of a time zone for one: RFC 3339 does not.
    let bytes = text.as_bytes();
    let is_rfc = (20..=35).contains(&bytes.len())
        && bytes[4] == b'-'
        && bytes[10].eq_ignore_ascii_case(&b'T')
        && bytes[13] == b':'
        && bytes.iter().all(|byte| byte.is_ascii_digit() || b"-+.:TtZz".contains(byte));
    match text.parse::<Timestamp>() {
        Ok(time) if is_rfc && time >= Timestamp::UNIX_EPOCH => Ok(time),
        _ => Err(D::Error::custom(format_args!("{} is not {TIME}", super::text::shown(&text)))),
    }
}

/// Checks a time that comes from code: only a time that can be written and read again is allowed.
pub(in crate::kill_switch) fn check_time(at: &str, time: Timestamp, problems: &mut Problems) {
    if time < Timestamp::UNIX_EPOCH {
        problems.add(at.to_owned(), time, TIME);
    }
}

/// The problems of a value inside a larger one, without the heading of an error of their own.
pub(in crate::kill_switch) fn inner(error: &ConfigError) -> String {
    error.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
