//! One switch: what it is, and whether it is engaged.

use super::{DrillRecord, Engagement, Percent, Pin, PinState, Spread, SwitchId, Trigger, decode, percent, text};
use crate::clock::Timestamp;
use crate::config::{ConfigError, Problems};

/// One switch of a document.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Switch {
    /// Its name.
    pub id: SwitchId,
    /// The definition.
    pub definition: Definition,
    /// The engagement; `None` while it is released. See also [`is_engaged`](Self::is_engaged).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engaged: Option<Engagement>,
    /// The pin, which keeps automation and other people from changing the switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// The last drill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drilled: Option<DrillRecord>,
}

impl Switch {
    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        self.definition.check_at(&format!("{at}.definition"), problems);
        if let Some(engaged) = &self.engaged {
            engaged.check_at(&format!("{at}.engaged"), problems);
        }
        if let Some(pin) = &self.pin {
            pin.check_at(&format!("{at}.pin"), problems);
            if (pin.state == PinState::Engaged) != self.engaged.is_some() {
                problems.add(format!("{at}.pin.state"), pin.state, "the state of the switch");
            }
        }
        if let Some(drilled) = &self.drilled {
            text::name(&format!("{at}.drilled.by"), &drilled.by, problems);
        }
    }

    /// Index of the trigger behind the switch's present state; `None` if nothing is engaged any more.
    pub(crate) fn trigger_index(&self, now: Timestamp) -> Option<usize> {
        let trigger = &self.engaged.as_ref()?.trigger;
        // A pin keeps an engagement that has expired.
        Some(if self.is_engaged(now) { trigger.index() } else { Trigger::Expiry.index() })
    }

    /// Whether it is engaged at this time: an engagement may say that it releases at some time, and a pin keeps it.
    pub fn is_engaged(&self, now: Timestamp) -> bool {
        self.is_pinned(PinState::Engaged) || self.engaged.as_ref().is_some_and(|engaged| !engaged.is_over(now))
    }

    pub(crate) fn is_pinned(&self, state: PinState) -> bool {
        self.pin.as_ref().is_some_and(|pin| pin.state == state)
    }
}

/// Definition of a switch: its owner, what it disables, and its state before a document is known.
///
/// The `with_` methods accept every value; [`check`](Self::check) reports every problem, and so does the change that uses it.
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::{Definition, OnUnknown, Severity};
///
/// let expires = "2027-01-31T00:00:00Z".parse().expect("a time");
/// let definition = Definition::new("team-recs", "the recommendations on every page", expires, OnUnknown::Allow)
///     .with_severity(Severity::High)
///     .with_max_automatic(10.0);
/// definition.check()?;
/// # Ok::<_, backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
#[must_use = "pass it to a change"]
pub struct Definition {
    /// The owner.
    pub owner: String,
    /// The capability that it disables.
    pub disables: String,
    /// Severity of an engagement.
    pub severity: Severity,
    /// State while no document is known.
    pub on_unknown: OnUnknown,
    /// Expiry of the definition, which then needs a review. Past it there is an alert, and nothing changes.
    #[serde(deserialize_with = "decode::time")]
    pub expires: Timestamp,
    #[serde(default, deserialize_with = "percent::normalized", skip_serializing_if = "Option::is_none")]
    max_automatic: Option<f64>,
    /// Largest spread for automation, if it may engage the switch.
    #[serde(default, skip_serializing_if = "Spread::is_instances")]
    pub max_automatic_spread: Spread,
}

impl Definition {
    /// The owner (1 to 128 bytes), the capability it disables (1 to 512 characters), the date of its review
    /// again, and what holds while nothing is known.
    pub fn new(
        owner: impl Into<String>,
        disables: impl Into<String>,
        expires: Timestamp,
        on_unknown: OnUnknown,
    ) -> Self {
        let (owner, disables) = (owner.into(), disables.into());
        let (severity, max_automatic_spread) = (Severity::default(), Spread::default());
        Self { owner, disables, severity, on_unknown, expires, max_automatic: None, max_automatic_spread }
    }

    /// Severity of an engagement. Default: medium.
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// The widest share, in percent, for which automation may engage it. Valid: 0.0001 to 100. Default: none, which
    /// leaves the switch to people.
    pub fn with_max_automatic(mut self, percent: f64) -> Self {
        self.max_automatic = Some(Percent::new(percent).map_or(percent, Percent::get));
        self
    }

    /// Largest spread for automation. Default: some instances.
    pub fn with_max_automatic_spread(mut self, spread: Spread) -> Self {
        self.max_automatic_spread = spread;
        self
    }

    /// Returns whether its review is due.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires
    }

    /// The widest share for which automation may engage it; `None` is not at all.
    pub fn max_automatic(&self) -> Option<Percent> {
        self.max_automatic.and_then(|percent| Percent::new(percent).ok())
    }

    /// Adds its problems.
    ///
    /// # Errors
    ///
    /// Every value that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        self.check_at("definition", &mut problems);
        problems.into_result(())
    }

    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        text::name(&format!("{at}.owner"), &self.owner, problems);
        text::reason(&format!("{at}.disables"), &self.disables, problems);
        decode::check_time(&format!("{at}.expires"), self.expires, problems);
        if let Some(percent) = self.max_automatic
            && Percent::new(percent).is_err()
        {
            problems.add(format!("{at}.max_automatic"), percent, percent::ALLOWED);
        }
    }
}

/// Severity of an engaged switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Severity {
    /// Users do not notice.
    Low,
    /// Some notice.
    #[default]
    Medium,
    /// Everybody notices.
    High,
    /// It costs money by the minute.
    Critical,
}

/// State of a switch while no document is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OnUnknown {
    /// The capability is on.
    Allow,
    /// The capability is off.
    Block,
}
