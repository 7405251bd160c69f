//! SHA-256 hashes as text: `sha256:` and 64 hexadecimal digits.

use crate::config::{ConfigError, Problem};
use sha2::Digest as _;
use std::fmt;
use std::str::FromStr;
use subtle::{Choice, ConstantTimeEq};

const PREFIX: &str = "sha256:";
const ALLOWED: &str = "\"sha256:\" and 64 of 0-9 and a-f";

/// A SHA-256 hash, written `sha256:` and 64 lower-case hexadecimal digits.
///
/// It identifies the content of a document, an entry of the audit, and a token. It is no secret; two are compared in
/// constant time.
#[derive(Clone, Copy, Eq)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// 256 zero bits: the hash of no content that is known.
    pub(crate) const NONE: Self = Self([0; 32]);

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    pub(crate) fn of(content: &[u8]) -> Self {
        Self(sha2::Sha256::digest(content).into())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time.
    pub(crate) fn equals(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for Sha256 {
    fn eq(&self, other: &Self) -> bool {
        self.equals(other).into()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = ConfigError;

    /// # Errors
    ///
    /// A text of another form. Its value is not repeated: it may be a secret in the wrong place.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        digits(text).map(Self).ok_or_else(|| ConfigError::of(Problem::new("hash", "a text of another form", ALLOWED)))
    }
}

fn digits(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix(PREFIX)?.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (Sha256(bytes).to_string() == text).then_some(bytes) // the parser also takes capitals and signs
}

impl<'de> serde::Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        digits(&text).map(Self).ok_or_else(|| serde::de::Error::custom(format_args!("not a hash, must be {ALLOWED}")))
    }
}

impl serde::Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_in_one_way_only() {
        let hash = Sha256::of(b"abc");
        let text = hash.to_string();
        assert_eq!(text, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(text.parse::<Sha256>().unwrap(), hash);
        for wrong in [&text[7..], &text[..70], &text.to_uppercase(), &format!("{text}0"), &text.replace('a', "é"), ""]
        {
            assert!(wrong.parse::<Sha256>().is_err(), "{wrong}");
        }
    }
}
