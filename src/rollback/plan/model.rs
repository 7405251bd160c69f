//! Values of a plan.

use crate::clock::Timestamp;
use crate::named_enum::named;
use std::time::Duration;

/// A checked release plan, from [`Plan::parse`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// Name of the service.
    pub service: String,
    /// The artifact that is released.
    pub artifact: String,
    /// The last good artifact, which a rollback returns to.
    pub previous: String,
    /// The team or person that answers for the release.
    pub owner: String,
    /// Time after which the plan may no longer start a rollout.
    pub expires: Timestamp,
    /// File of the policy, relative to the plan.
    pub policy: String,
    /// Time from the decision to roll back until recovery.
    pub budget: Duration,
    /// Whether the previous artifact must not receive the traffic again.
    pub forward_fix_only: bool,
    /// Kill switches that may be engaged.
    pub switches: Vec<String>,
    /// Conditions under which the operator stops and calls.
    pub stop_when: Vec<String>,
    /// Mover of the traffic; `None` if another controller moves it.
    pub traffic: Option<Traffic>,
    /// Condition for the first stage, besides instances that are ready: [`Gate::Auto`] or [`Gate::Manual`].
    pub start: Gate,
    /// Stages, by ascending weight; the last one is 100 %.
    pub stages: Vec<Stage>,
    /// Commands after the last stage, in order: with them the release becomes the stable version.
    pub promote: Vec<Action>,
    /// Actions of a rollback, in the order of execution.
    pub rollback: Vec<Action>,
    /// Changes of data; never empty.
    pub data: Vec<DataChange>,
    /// Migrations, background jobs and caches that may lag behind a rollback.
    pub lag: Vec<Lag>,
    /// Commands that save evidence before the canary is scaled down.
    pub preserve: Vec<Preserve>,
    /// Signs of recovery.
    pub recovery: Recovery,
    /// Whom to call.
    pub escalation: Escalation,
    /// Stable instances that can carry all of the traffic.
    pub instances_for_full_traffic: Option<u32>,
    /// Receivers of alerts.
    pub alerts: Vec<Alert>,
}

named! {
    /// Mechanism that moves traffic.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum TrafficKind {
        /// `HAProxy`, through its runtime socket.
        Haproxy = "haproxy",
        /// nginx, through its configuration and a reload.
        Nginx = "nginx",
        /// A command.
        Command = "command",
        /// An HTTP endpoint.
        Webhook = "webhook",
    }

    /// The name in a plan.
    as_str
}

named! {
    /// Way of taking all traffic from the canary at once.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Cut {
        /// Weight 0: clients with a sticky cookie may stay.
        Weight = "weight",
        /// Weight 0, and sticky clients move as well.
        Drain = "drain",
        /// Maintenance: open connections end, too. A person ends it.
        Maint = "maint",
    }

    /// The name in a plan.
    as_str
}

/// Names of services: each has a folder.
pub(crate) const SERVICE: &str = "1 to 128 letters, digits and -_. of ASCII, not beginning with a dot";

/// Whether a service may have this name.
pub(crate) fn is_service(name: &str) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    (1..=128).contains(&name.len()) && !name.starts_with('.') && name.chars().all(is_part)
}

/// Most attempts at one weight of the traffic.
pub(crate) const MOVE_ATTEMPTS: u32 = 6;

/// Mover of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// The mechanism.
    pub kind: TrafficKind,
    /// The command, for [`TrafficKind::Command`].
    pub argv: Vec<String>,
    /// The command that exits with 0 if the weight is in force, for [`TrafficKind::Command`].
    pub verify: Option<Vec<String>>,
    /// The endpoint, for [`TrafficKind::Webhook`].
    pub url: Option<String>,
    /// The runtime socket, for [`TrafficKind::Haproxy`]: a path, or `127.0.0.1:9999`.
    pub socket: String,
    /// The backend, for [`TrafficKind::Haproxy`].
    pub backend: String,
    /// Servers of the release: names for `HAProxy`, addresses for nginx.
    pub canary: Vec<String>,
    /// Servers of the previous version.
    pub stable: Vec<String>,
    /// A break-glass rollback, for [`TrafficKind::Haproxy`].
    pub cut: Cut,
    /// The file that nginx includes in an `upstream`, for [`TrafficKind::Nginx`].
    pub file: String,
    /// The command that checks nginx's configuration.
    pub check: Vec<String>,
    /// The command that has nginx read its configuration again.
    pub reload: Vec<String>,
    /// A page behind the traffic: requests are counted by version to read a weight back.
    pub probe: Option<String>,
    /// Text in each answer of the release to `probe`, and in none of the previous version.
    pub probe_text: String,
    /// Time limit of a move with its read-back.
    pub timeout: Duration,
}

named! {
    /// Condition for the next stage, besides the verdict `continue`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Gate {
        /// The minimum of time and samples.
        Auto = "auto",
        /// An approval, or the end of `max` without a rejection.
        Timed = "timed",
        /// An approval.
        Manual = "manual",
    }

    /// The name in a plan.
    as_str
}

/// A stage of the rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stage {
    /// Share of the traffic in percent, 1 to 100.
    pub weight: u32,
    /// Shortest duration.
    pub min: Duration,
    /// Longest duration; a stage that is not decided by then ends the rollout.
    pub max: Duration,
    /// Least number of canary requests.
    pub samples: u32,
    /// Condition for the next stage.
    pub gate: Gate,
}

named! {
    /// Kind of a rollback action.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum ActionKind {
        /// Engages a kill switch.
        KillSwitch = "kill_switch",
        /// Turns a feature flag off.
        Flag = "flag",
        /// Moves the traffic to the previous version.
        TrafficShift = "traffic_shift",
        /// Removes the instances of the new version.
        ScaleDown = "scale_down",
        /// Pins the deployment to the previous version.
        VersionPin = "version_pin",
        /// Makes the release the stable version: in `[[promote]]` alone.
        Promote = "promote",
    }

    /// The name in a plan.
    as_str
}

impl ActionKind {
    /// Returns whether the action hands the service over to the previous version.
    pub const fn is_return(self) -> bool {
        matches!(self, Self::TrafficShift | Self::ScaleDown | Self::VersionPin)
    }
}

/// An action of a rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Action {
    /// Its kind.
    pub kind: ActionKind,
    /// The program and its arguments; no shell reads them.
    pub argv: Vec<String>,
    /// The command that exits with 0 when the action has taken effect.
    pub verify: Option<Vec<String>>,
    /// Time limit of the command and its verification together.
    pub timeout: Duration,
    /// Whether the command may run twice.
    pub idempotent: bool,
}

named! {
    /// Kind of a change of data.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum DataKind {
        /// Nothing changes.
        None = "none",
        /// Something new that the previous version does not see.
        Additive = "additive",
        /// The new shape beside the old one; both are written.
        Expand = "expand",
        /// The old shape is removed.
        Contract = "contract",
        /// Data is removed or overwritten.
        Destructive = "destructive",
    }

    /// The name in a plan.
    as_str
}

/// A change of data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataChange {
    /// Its kind.
    pub kind: DataKind,
    /// The change in words.
    pub change: Option<String>,
    /// Whether the previous version works on the changed data.
    pub reversible: bool,
    /// Snapshot or backup from before the change.
    pub backup: Option<String>,
}

named! {
    /// Kind of a part that follows a rollback later.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum LagKind {
        /// A migration of data.
        Migration = "migration",
        /// A background job.
        Job = "job",
        /// A cache.
        Cache = "cache",
    }

    /// The name in a plan.
    as_str
}

/// A part that may follow a rollback later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// Its kind.
    pub kind: LagKind,
    /// Its name.
    pub name: String,
    /// Longest delay.
    pub up_to: Option<Duration>,
}

/// A command that saves evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preserve {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Time limit.
    pub timeout: Duration,
}

/// Signs of recovery.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recovery {
    /// The metric that confirms recovery.
    pub metric: String,
    /// Largest ratio of the error rate to the one before the rollout.
    pub errors: f64,
    /// Largest ratio of the p99 latency to the one before the rollout.
    pub p99: f64,
    /// Time for which both have to hold.
    pub lasts: Duration,
}

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Escalation {
    /// Names with their numbers or channels, in the order of calling.
    pub contacts: Vec<String>,
    /// Time after the decision at which they are called if the service has not recovered.
    pub after: Duration,
}

named! {
    /// Shape of an alert.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum AlertKind {
        /// `PagerDuty`, Events API version 2.
        Pagerduty = "pagerduty",
        /// Slack, or anything that reads `text`.
        Slack = "slack",
        /// JSON with a field for each fact.
        Generic = "generic",
    }

    /// The name in a plan.
    as_str
}

named! {
    /// Urgency of an alert.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Level {
        /// For the record.
        Info = "info",
        /// To be read today.
        Notify = "notify",
        /// Wakes a person.
        Page = "page",
    }

    /// The name in a plan.
    as_str
}

/// A receiver of alerts.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alert {
    /// The shape.
    pub kind: AlertKind,
    /// The endpoint, or `env:NAME`: a variable that holds it. A secret.
    pub url: String,
    /// The routing key, or `env:NAME`, for [`AlertKind::Pagerduty`]. A secret.
    pub key: Option<String>,
    /// The least urgent level that is sent.
    pub level: Level,
}

/// Without its secrets.
impl std::fmt::Debug for Alert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alert").field("kind", &self.kind).field("level", &self.level).finish_non_exhaustive()
    }
}
