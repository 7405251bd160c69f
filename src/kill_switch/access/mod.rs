//! Access to switches: tokens, and the list of their rights.
//!
//! A token is 256 random bits. It is shown once, when it is made; afterwards only its SHA-256 is known, so a
//! list of access that leaks opens nothing. A hash without salt is enough: 256 random bits cannot be guessed.
//!
//! | verb | lets its holder |
//! |---|---|
//! | `view` | read switches, their history and the audit |
//! | `drill` | engage and release for a short time |
//! | `engage` | turn a capability off |
//! | `release` | turn it on again |
//! | `define` | define, change and retire switches |
//! | `approve` | agree to what another person proposed |
//!
//! No verb includes another. A refusal says one and the same outwardly, whatever the reason; [`Denied::code`]
//! is for the log and the metrics.
//!
//! # Examples
//!
//! ```
//! use backstop::clock::Timestamp;
//! use backstop::kill_switch::access::{AccessList, Grant, Switches, Token, Verb};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let random = [7; 32];
//! let now: Timestamp = "2026-11-20T12:00:00Z".parse()?;
//! let token = Token::from_bytes(random); // 32 bytes of the system's randomness
//! let shown_once = token.reveal();
//! let grant = Grant::new("ada", token.hash(), "2027-01-01T00:00:00Z".parse()?)
//!     .verbs([Verb::View, Verb::Engage])
//!     .switches(Switches::only(["recommendations"]));
//! let access = AccessList::new([grant], now)?;
//!
//! let actor = access.authorize(&shown_once, Verb::Engage, Some("recommendations"), now)?;
//! assert_eq!(actor.as_str(), "ada");
//! assert!(access.authorize(&shown_once, Verb::Release, Some("recommendations"), now).is_err());
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "file")]
mod edit;
mod file;
mod grant;
pub(crate) mod list;
mod token;

#[cfg(feature = "file")]
pub use edit::AccessFileError;
pub use grant::{Grant, Switches, Verb};
pub use list::{AccessList, Actor, Denied};
pub use token::{Token, TokenError};
