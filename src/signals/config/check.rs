//! Checks of a configuration, from a builder or from a file.

use super::{DEFAULT, OTHER, SignalsConfig};
use crate::config::{ConfigError, Problems, intern};

const SEGMENTS_MAX: usize = 32;

/// Settings as they are given.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(deny_unknown_fields, default))]
pub(crate) struct Settings {
    pub(super) segments: Vec<String>,
}

impl Settings {
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub(crate) fn check(self) -> Result<SignalsConfig, ConfigError> {
        let mut problems = Problems::default();
        let count = self.segments.len();
        problems.require(count <= SEGMENTS_MAX, "segments", count, format!("at most {SEGMENTS_MAX} names"));
        let mut segments = Vec::with_capacity(count + 1);
        for name in self.segments.iter().take(SEGMENTS_MAX) {
            let is_new = name != OTHER && !segments.contains(&&**name);
            problems.require(
                is_new,
                "segments",
                format_args!("\"{name}\""),
                "a name that is not there by itself or twice",
            );
            match intern("segments", name) {
                Ok(name) => segments.push(name),
                Err(error) => problems.extend(error),
            }
        }
        segments.push(if segments.is_empty() { DEFAULT } else { OTHER });
        problems.into_result(SignalsConfig { segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Result<SignalsConfig, ConfigError> {
        Settings { segments: names.iter().map(|name| (*name).to_owned()).collect() }.check()
    }

    #[test]
    fn every_bad_name_is_reported_at_once() {
        let error = of(&["web", "web", "other", ""]).unwrap_err();
        assert_eq!(error.problems().len(), 3, "{error}");
        assert!(of(&["x"; 33]).is_err());
    }

    #[test]
    fn without_segments_there_is_one() {
        assert_eq!(of(&[]).unwrap().segments(), ["default"]);
        assert_eq!(of(&["web"]).unwrap().segments(), ["web", "other"]);
    }
}
