//! The settings of signals.

pub(super) mod builder;
pub(super) mod check;

/// The segment of requests that belong to no configured one.
pub(crate) const OTHER: &str = "other";
/// The segment of all requests where none are configured.
pub(crate) const DEFAULT: &str = "default";

/// Checked settings of signals.
///
/// Made by [`SignalsConfig::builder`] or read from a file (feature `serde`); both go through the same check.
///
/// # Examples
///
/// ```
/// use backstop::signals::SignalsConfig;
///
/// let config = SignalsConfig::builder().segments(["web", "mobile"]).build()?;
/// assert_eq!(config.segments(), ["web", "mobile", "other"]);
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "check::Settings"))]
pub struct SignalsConfig {
    segments: Vec<&'static str>,
}

impl SignalsConfig {
    /// The segments; the last one is that of requests which belong to no other.
    pub fn segments(&self) -> &[&'static str] {
        &self.segments
    }
}
