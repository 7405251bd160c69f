//! Tokens of administrators.

use crate::kill_switch::model::Sha256;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use std::fmt;

/// Prefix of a token, by which scanners for leaked secrets recognize it.
const PREFIX: &str = "bks_";

/// A secret of 256 bits that an administrator presents.
///
/// As text it is `bks_` and 43 characters of base64url. Neither `Debug` nor `Display` shows them.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Makes a token of 256 random bits. They must come from the system's source of randomness.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a token as [`reveal`](Token::reveal) writes it.
    ///
    /// # Errors
    ///
    /// Anything else: another length or prefix, padding, space around it, characters of plain base64. The error
    /// does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let digits = text.strip_prefix(PREFIX).ok_or(TokenError(()))?;
        let mut bytes = [0; 32];
        match BASE64URL.decode_slice(digits, &mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(TokenError(())),
        }
    }

    /// The token as text: the one way to see it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64URL.encode(self.0))
    }

    /// The SHA-256 of its text, as `printf %s "$TOKEN" | sha256sum` prints it.
    pub fn hash(&self) -> Sha256 {
        Sha256::of(self.reveal().as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}(hidden)")
    }
}

/// A text that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token, must be \"bks_\" and 43 characters of base64url")]
pub struct TokenError(());

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_form_of_a_token_but_the_revealed_one_shows_it() {
        let token = Token::from_bytes([0xab; 32]);
        let digits = token.reveal()[PREFIX.len()..].to_owned();
        assert_eq!(digits.len(), 43);
        for shown in [format!("{token:?}"), format!("{token:#?}"), token.to_string(), format!("{:?}", Some(&token))] {
            assert!(!shown.contains(&digits[..4]), "{shown}");
            assert!(!shown.contains("171") && !shown.contains("ab"), "{shown}");
        }
    }

    #[test]
    fn what_is_not_exactly_a_token_is_refused() {
        let good = Token::from_bytes([0xff; 32]).reveal();
        assert!(good.contains('_') && good.ends_with('8'), "{good}");
        let mut wrong = vec![
            String::new(),
            PREFIX.to_owned(),
            good[PREFIX.len()..].to_owned(),
            good.replace("bks_", "BKS_"),
            good.replace("bks_", "bks-"),
            format!("{good}="),
            format!("{good}8"),
            format!(" {good}"),
            format!("{good}\n"),
            good[..good.len() - 1].to_owned(),
            good.replace("__", "//"),
            format!("{PREFIX}{}", "é".repeat(22)),
            format!("{PREFIX}{}", "_".repeat(1 << 20)),
        ];
        // The last character carries four bits of the token; the other two have to be zero.
        wrong.push(format!("{}9", &good[..good.len() - 1]));
        for text in wrong {
            assert_eq!(Token::parse(&text).unwrap_err(), TokenError(()), "{text:.60}");
        }
    }

    #[test]
    fn the_hash_is_what_sha256sum_prints_of_the_text() {
        // printf bks_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA | sha256sum
        let hash = Token::from_bytes([0; 32]).hash();
        assert_eq!(hash.to_string(), "sha256:f3f1f11da64170b86a95c6609012c7cd2a508ae1c523b054e4b70fa4f5deca81");
    }

    proptest! {
        #[test]
        fn a_token_and_its_hash_come_back_from_their_texts(bytes: [u8; 32]) {
            let token = Token::parse(&Token::from_bytes(bytes).reveal()).unwrap();
            prop_assert_eq!(token.0, bytes);
            prop_assert_eq!(token.hash().to_string().parse::<Sha256>(), Ok(token.hash()));
        }

        #[test]
        fn a_text_that_is_taken_is_the_revealed_one(text in "bks_[A-Za-z0-9_-]{43}") {
            if let Ok(token) = Token::parse(&text) {
                prop_assert_eq!(token.reveal(), text);
            }
        }
    }
}
