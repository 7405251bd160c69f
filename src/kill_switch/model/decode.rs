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
        let (inner, message) = (error.inner(), without_types(error.inner()));
        if inner.is_data() && !message.starts_with("duplicate field") {
            let field = if path == "." { "document".to_owned() } else { path };
            DecodeError::Structure(ConfigError::of(Problem::new(field, message, "")))
        } else {
            DecodeError::Syntax(message)
        }
    })?;
    deserializer.end().map_err(|error| DecodeError::Syntax(error.to_string()))?;
    Ok(decoded)
}

/// The message of an error without the names of Rust types: `expected struct Raw` is an object.
pub(crate) fn without_types(error: &serde_json::Error) -> String {
    let message = error.to_string();
    for kind in ["expected struct variant ", "expected struct ", "expected enum "] {
        if let Some((before, after)) = message.split_once(kind) {
            let after = after.trim_start_matches(|char: char| char.is_alphanumeric() || matches!(char, '_' | ':'));
            return format!("{before}expected an object{after}");
        }
    }
    message.replace("expected u64", "expected a whole number from 0")
}

const TIME: &str = "a time since 1970 like 2026-01-31T12:00:00Z";

/// Deserializes a time of RFC 3339 since 1970.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
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
pub(crate) fn check_time(at: &str, time: Timestamp, problems: &mut Problems) {
    if time < Timestamp::UNIX_EPOCH {
        problems.add(at.to_owned(), time, TIME);
    }
}

/// The problems of a value inside a larger one, without the heading of an error of their own.
pub(crate) fn inner(error: &ConfigError) -> String {
    error.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct At {
        #[serde(deserialize_with = "time")]
        at: Timestamp,
        #[serde(default)]
        inner: Option<Box<At>>,
    }

    fn read(time: &str) -> Result<At, DecodeError> {
        decode(serde_json::json!({ "at": time }).to_string().as_bytes())
    }

    #[test]
    fn times_are_rfc_3339_and_nothing_else() {
        for fine in ["2026-01-31T12:00:00Z", "2026-01-31t12:00:00.000000001z", "2026-01-31T12:00:00+02:00"] {
            assert!(read(fine).is_ok(), "{fine}");
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
            let Err(DecodeError::Structure(error)) = read(wrong) else { panic!("{wrong}") };
            assert_eq!(error.problems()[0].field(), "at");
            assert!(error.to_string().contains("a time since 1970 like"), "{error}");
        }
    }

    #[test]
    fn a_time_comes_back_as_it_was_written() {
        for time in [Timestamp::UNIX_EPOCH, Timestamp::MAX, Timestamp::from_millisecond(1).unwrap()] {
            assert_eq!(read(&time.to_string()).unwrap().at, time);
        }
    }

    #[test]
    fn a_duplicate_key_is_rejected_at_any_depth_and_however_it_is_written() {
        let at = r#""at":"2026-01-31T12:00:00Z""#;
        let escaped = r#""\u0061t":"2026-01-31T12:00:00Z""#;
        for twice in [
            format!("{{{at},{at}}}"),
            format!("{{{at},{escaped}}}"),
            format!(r#"{{{at},"inner":{{{at},"inner":null,{escaped}}}}}"#),
        ] {
            let result = decode::<At>(twice.as_bytes());
            assert!(matches!(&result, Err(DecodeError::Syntax(message)) if message.contains("`at`")), "{result:?}");
        }
        assert!(decode::<At>(format!(r#"{{{at},"inner":{{{at}}}}}"#).as_bytes()).is_ok());
    }

    #[test]
    fn no_message_names_a_type_of_rust() {
        let at = r#""at":"2026-01-31T12:00:00Z""#;
        for (wrong, message) in [
            ("null".to_owned(), "document: invalid type: null, expected an object at line 1 column 4"),
            (
                format!(r#"{{{at},"inner":7}}"#),
                "inner: invalid type: integer `7`, expected an object at line 1 column 38",
            ),
        ] {
            let Err(DecodeError::Structure(error)) = decode::<At>(wrong.as_bytes()) else { panic!("{wrong}") };
            assert_eq!(error.problems()[0].to_string(), message);
        }
    }

    #[test]
    fn depth_and_leftovers_are_rejected() {
        let at = r#""at":"2026-01-31T12:00:00Z""#;
        let deep = |levels: usize| format!(r#"{{{at},"inner":"#).repeat(levels) + "null" + &"}".repeat(levels);
        assert!(decode::<At>(deep(100).as_bytes()).is_ok());
        for wrong in [deep(129), deep(100_000), format!("{{{at}}} {{}}"), format!("{{{at}}}x"), String::new()] {
            assert!(matches!(decode::<At>(wrong.as_bytes()), Err(DecodeError::Syntax(_))));
        }
    }
}
