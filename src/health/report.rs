//! Report that a probe gets: values, with no text of an error.

use super::state::{Reason, Role, Status};
use std::time::Duration;

/// Checks of a role at one moment, as a probe gets them.
///
/// It has names, states and times. Errors of your checks may contain addresses and passwords: they go to the log and to
/// [listeners](super::Health::subscribe) alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// Failing if a check fails, pending if one has no result, passing otherwise.
    pub status: Status,
    /// The checks in the order of the builder. Readiness has those of startup as well, which are a part of it.
    pub checks: Vec<CheckReport>,
}

/// One check at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CheckReport {
    /// The name of the check.
    pub name: &'static str,
    /// Its role.
    pub role: Role,
    /// Its state.
    pub status: Status,
    /// Reason of the last failure, until it passes: also of a failure below the threshold.
    pub reason: Option<Reason>,
    /// Failures in a row.
    pub failures: u32,
    /// Age of the last result; `None` before the first.
    #[cfg_attr(feature = "serde", serde(rename = "age_ms", serialize_with = "millis"))]
    pub age: Option<Duration>,
    /// Duration of the run that it is from.
    #[cfg_attr(feature = "serde", serde(rename = "took_ms", serialize_with = "millis"))]
    pub took: Option<Duration>,
}

impl Report {
    pub(super) fn new(checks: Vec<CheckReport>) -> Self {
        let has = |status: &Status| checks.iter().any(|check| check.status == *status);
        let status = [Status::Failing, Status::Pending].into_iter().find(has);
        Self { status: status.unwrap_or(Status::Passing), checks }
    }
}

#[cfg(feature = "serde")]
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn millis<S: serde::Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)), serializer)
}
