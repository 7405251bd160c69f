//! Shared parts of every mechanism's configuration: checked values, and errors that report every problem at once.
//!
//! Setters take plain values and never fail; `build()` and `serde` go through the same check, which collects
//! every [`Problem`] instead of stopping at the first.
//!
//! # Examples
//!
//! ```
//! use backstop::CircuitBreaker;
//!
//! let error = CircuitBreaker::builder("payments")
//!     .failure_rate_threshold(1.2)
//!     .minimum_calls(0)
//!     .build()
//!     .unwrap_err();
//! assert_eq!(error.problems().len(), 2);
//! assert_eq!(
//!     error.problems()[0].to_string(),
//!     "failure_rate_threshold: 1.2 is not allowed, must be above 0 and at most 1",
//! );
//! ```

mod builder;

pub(crate) use builder::{builder, defaults, setters};

use crate::clock::Clock;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// A share of a whole: above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct Ratio(f64);

impl Ratio {
    /// Returns the ratio of a number above 0 and at most 1.
    ///
    /// # Errors
    ///
    /// Any other number, including NaN, is rejected rather than clamped.
    pub fn new(value: f64) -> Result<Self, ConfigError> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self(value))
        } else {
            Err(ConfigError::of(Problem::new("ratio", value, "above 0 and at most 1")))
        }
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }

    pub(crate) const fn half() -> Self {
        Self(0.5)
    }
}

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    field: Cow<'static, str>,
    value: String,
    allowed: String,
}

impl Problem {
    pub(crate) fn new(
        field: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), value: value.to_string(), allowed: allowed.into() }
    }

    /// The setting's name, as the builder and a configuration file spell it.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The value that was given.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The values that are allowed; empty if [`value`](Self::value) is a sentence that includes them.
    pub fn allowed(&self) -> &str {
        &self.allowed
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.allowed {
            "" => write!(f, "{}: {}", self.field, self.value),
            allowed => write!(f, "{}: {} is not allowed, must be {allowed}", self.field, self.value),
        }
    }
}

/// All problems of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(crate) fn of(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }

    /// The same problems, with a common prefix removed from their fields.
    #[cfg(feature = "kill-switch")]
    pub(crate) fn without_prefix(mut self, prefix: &str) -> Self {
        for problem in &mut self.problems {
            if let Some(field) = problem.field.strip_prefix(prefix) {
                problem.field = field.to_owned().into();
            }
        }
        self
    }

    /// Every problem, in the order of the settings; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid configuration: ")?;
        for (i, problem) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Marks a builder whose `build` returns settings alone.
#[derive(Clone, Copy, Debug)]
pub struct ConfigOnly(pub(crate) ());

/// Marks a builder whose `build` returns a mechanism of this name.
#[derive(Clone, Debug)]
pub struct Named {
    name: String,
    pub(crate) clock: Clock,
}

impl Named {
    pub(crate) fn new(name: String) -> Self {
        Self { name, clock: Clock::system() }
    }

    /// Checks the name and combines both results; problems of the name come first.
    pub(crate) fn with<T>(&self, settings: Result<T, ConfigError>) -> Result<(&'static str, T), ConfigError> {
        let mut problems = Problems::default();
        let name = intern("name", &self.name).unwrap_or_else(|error| {
            problems.extend(error);
            ""
        });
        match settings {
            Ok(settings) => problems.into_result((name, settings)),
            Err(error) => {
                problems.extend(error);
                Err(problems.into_error())
            }
        }
    }
}

/// Collects problems while a configuration is checked.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        value: impl fmt::Display,
        allowed: impl Into<String>,
    ) {
        self.0.push(Problem::new(field, value, allowed));
    }

    pub(crate) fn ratio(&mut self, field: &'static str, value: f64) -> Ratio {
        Ratio::new(value).unwrap_or_else(|_| {
            self.add(field, value, "above 0 and at most 1");
            Ratio::half()
        })
    }

    /// Adds a problem unless the value `is_allowed`.
    pub(crate) fn require(
        &mut self,
        is_allowed: bool,
        field: &'static str,
        value: impl fmt::Display,
        allowed: impl Into<String>,
    ) {
        if !is_allowed {
            self.add(field, value, allowed);
        }
    }

    /// Checks a count, if there is one.
    pub(crate) fn count(&mut self, field: &'static str, value: impl Into<Option<u32>>, least: u32, most: u32) {
        if let Some(value) = value.into() {
            self.require((least..=most).contains(&value), field, value, format!("from {least} to {most}"));
        }
    }

    /// Checks a duration, if there is one.
    pub(crate) fn not_zero(&mut self, field: &'static str, value: impl Into<Option<Duration>>) {
        let is_zero = value.into().is_some_and(|value| value.is_zero());
        self.require(!is_zero, field, "0s", "longer than 0");
    }

    pub(crate) fn into_result<T>(self, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() { Ok(value) } else { Err(ConfigError { problems: self.0 }) }
    }

    /// The error; call it only after a problem was added.
    pub(crate) fn into_error(self) -> ConfigError {
        ConfigError { problems: self.0 }
    }

    pub(crate) fn extend(&mut self, error: ConfigError) {
        self.0.extend(error.problems);
    }
}

/// The longest name, in bytes. Names become metric labels and log fields.
const NAME_MAX: usize = 128;

/// Leaks a name, once per distinct name.
///
/// Names come from code and configuration, so there are few; a name without a reference count keeps a rejection
/// cheap. Non-ASCII names are allowed, control characters are not.
pub(crate) fn intern(field: &'static str, name: &str) -> Result<&'static str, ConfigError> {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

    if name.trim().is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        let shown: String = name.chars().take(32).flat_map(char::escape_debug).collect();
        let allowed = format!("1 to {NAME_MAX} bytes, not blank and without control characters");
        return Err(ConfigError::of(Problem::new(field, format!("\"{shown}\""), allowed)));
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return Ok(known);
    }
    let kept: &'static str = Box::leak(name.into());
    names.insert(kept);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_rejects_other_numbers() {
        for wrong in [f64::NAN, 0.0, -0.0, -0.1, 1.000_000_1, f64::INFINITY] {
            assert!(Ratio::new(wrong).is_err(), "{wrong}");
        }
        assert!(Ratio::new(1.0).is_ok());
        assert!(Ratio::new(f64::MIN_POSITIVE).is_ok());
    }

    #[test]
    fn a_name_is_kept_once_and_a_bad_one_is_shown_escaped() {
        let first = intern("name", &String::from("orders")).unwrap();
        let again = intern("name", &String::from("orders")).unwrap();
        assert!(std::ptr::eq(first, again));
        let error = intern("name", "a\nb").unwrap_err();
        assert_eq!(error.problems()[0].value(), "\"a\\nb\"");
        assert!(intern("name", "").is_err() && intern("name", " \u{2003}").is_err());
        assert!(intern("name", &"x".repeat(129)).is_err());
    }
}
