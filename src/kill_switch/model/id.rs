//! The name of a switch, which is never used twice.

use super::decode;
use super::text::shown;
use crate::config::{ConfigError, Problem};
use std::fmt;
use std::str::FromStr;

const ALLOWED: &str = "1 to 128 of a-z, 0-9, '.', '_' and '-', a letter or digit first, without \"..\"";

/// The name of a switch: 1 to 128 of `a-z`, `0-9`, `.`, `_` and `-`, beginning with a letter or digit.
///
/// An id always means the same thing. One that is retired is kept as a [tombstone](crate::kill_switch::Tombstone) and
/// refused when it is defined again: a flag that was used again once cost its owner 440 million dollars in 45 minutes.
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::SwitchId;
///
/// let id: SwitchId = "recommendations".parse()?;
/// assert_eq!(id.as_str(), "recommendations");
/// assert!("../etc/passwd".parse::<SwitchId>().is_err());
/// # Ok::<_, backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct SwitchId(Box<str>);

impl SwitchId {
    /// Makes an id of a text.
    ///
    /// # Errors
    ///
    /// Anything else than 1 to 128 of the allowed characters; `..` is refused wherever it stands.
    pub fn new(id: &str) -> Result<Self, ConfigError> {
        if is_allowed(id) { Ok(Self(id.into())) } else { Err(ConfigError::of(Problem::new("id", shown(id), ALLOWED))) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=128).contains(&id.len())
        && id.bytes().all(|byte| is_plain(byte) || b"._-".contains(&byte))
        && id.bytes().next().is_some_and(is_plain)
        && !id.contains("..")
}

impl fmt::Display for SwitchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SwitchId {
    type Err = ConfigError;

    fn from_str(id: &str) -> Result<Self, ConfigError> {
        Self::new(id)
    }
}

impl TryFrom<String> for SwitchId {
    type Error = String;

    fn try_from(id: String) -> Result<Self, String> {
        Self::new(&id).map_err(|error| decode::inner(&error))
    }
}

impl AsRef<str> for SwitchId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for SwitchId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_could_not_be_a_path_an_option_or_a_shell_word() {
        for wrong in
            ["", ".", "..", "a..b", "-a", "_a", ".a", "A", "a/b", "a b", "ä", "a\n", "a\0", "$a", &"x".repeat(129)]
        {
            assert!(SwitchId::new(wrong).is_err(), "{wrong:?}");
        }
        for fine in ["a", "0", "a.b_c-d", "recs-2026.v2", &"x".repeat(128)] {
            assert_eq!(SwitchId::new(fine).unwrap().as_str(), fine);
        }
    }
}
