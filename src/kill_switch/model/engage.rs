//! The change that takes a capability away, with all that can be said about it.

use super::engagement::check_incident;
use super::{Expiry, Scope, Stage, SwitchId, Trigger};
use crate::config::Problems;

/// Engages a switch: scope, first stage, end and reason.
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::{Change, Engage, Scope, Stage, SwitchId};
///
/// let engage = Engage::new(SwitchId::new("recommendations")?, Scope::new().tenant("acme"))
///     .stage(Stage::instances(["web-1"]))
///     .incident("INC-1204");
/// assert_eq!(Change::Engage(engage).to_string(), "engage recommendations");
/// # Ok::<_, backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "apply it to a document"]
pub struct Engage {
    pub(crate) switch: SwitchId,
    pub(crate) scope: Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<Stage>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) now: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) replace: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) add: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Expiry>,
    #[serde(default)]
    pub(crate) trigger: Trigger,
}

impl Engage {
    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        self.scope.check_at(&format!("{at}.scope"), problems);
        if let Some(stage) = &self.stage {
            stage.check_at(&format!("{at}.stage"), problems);
        }
        if self.add && self.replace {
            problems.add(format!("{at}.add"), "with replace", "one of the two");
        }
        check_incident(at, self.incident.as_deref(), problems);
        self.trigger.check_at(&format!("{at}.trigger"), problems);
    }

    /// From the first of the document's [`Stages`](crate::kill_switch::Stages) on, without an end, by a person's
    /// decision.
    pub fn new(switch: SwitchId, scope: Scope) -> Self {
        let (incident, expires, trigger) = (None, None, Trigger::default());
        Self { switch, scope, stage: None, now: false, replace: false, add: false, incident, expires, trigger }
    }

    /// For whom.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// First stage. Default: at the first of the document's [`Stages`](crate::kill_switch::Stages), which is
    /// everywhere if it has none; at the present stage if the switch is engaged already.
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stage = Some(stage);
        self
    }

    /// Skips the document's [`Stages`](crate::kill_switch::Stages): everywhere at once, or at the
    /// [`stage`](Self::stage) given. The history and the audit record it. Only people may.
    pub fn now(mut self) -> Self {
        self.now = true;
        self
    }

    /// Replaces an engagement that it does not cover, which turns the capability on again for the rest. Default: refused.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Adds to the engagement: what is engaged already stays so, until the later of both ends. The two scopes may differ in
    /// one dimension.
    pub fn add(mut self) -> Self {
        self.add = true;
        self
    }

    /// A link to the incident, or its number: 1 to 512 bytes. Default: none.
    pub fn incident(mut self, incident: impl Into<String>) -> Self {
        self.incident = Some(incident.into());
        self
    }

    /// Expiry, and the action then. Default: none.
    pub fn expires(mut self, expires: Expiry) -> Self {
        self.expires = Some(expires);
        self
    }

    /// The trigger. Default: a human.
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }
}
