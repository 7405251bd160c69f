//! The token of controllers.

use super::answer::problem;
use crate::config::{ConfigError, Problem};
use crate::kill_switch::Sha256;
use axum::response::Response;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap};
use subtle::ConstantTimeEq as _;

/// Least and most bytes of a token.
const SHORTEST: usize = 16;
const LONGEST: usize = 1_000;

/// A secret that controllers or people present: in `metadata.token` of a hook, or as `Authorization: Bearer`.
///
/// It is compared in constant time, and neither kept as text nor shown by `Debug`.
#[derive(Clone)]
pub struct HookToken(Sha256);

impl HookToken {
    /// A token of 16 to 1,000 bytes.
    ///
    /// # Errors
    ///
    /// A text of another length.
    pub fn new(text: &str) -> Result<Self, ConfigError> {
        if !(SHORTEST..=LONGEST).contains(&text.len()) {
            let allowed = format!("{SHORTEST} to {LONGEST} bytes");
            return Err(ConfigError::of(Problem::new("token", format!("{} bytes", text.len()), allowed)));
        }
        Ok(Self(Sha256::of(text.as_bytes())))
    }

    /// Checks that one of these is it.
    ///
    /// # Errors
    ///
    /// The answer to a request without it: 401, or 403 for another one.
    pub(super) fn check(&self, metadata: Option<&str>, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer =
            header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some(presented) = metadata.or(bearer.map(|(_, token)| token)) else {
            let detail = "a token is required, as Authorization: Bearer, or in metadata.token of a hook";
            return Err(Box::new(problem(StatusCode::UNAUTHORIZED, "no_token", detail)));
        };
        let hash = Sha256::of(presented.as_bytes());
        if hash.as_bytes().ct_eq(self.0.as_bytes()).into() {
            return Ok(());
        }
        Err(Box::new(problem(StatusCode::FORBIDDEN, "wrong_token", "the token is not the one for this request")))
    }
}

impl std::fmt::Debug for HookToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookToken(hidden)")
    }
}
