//! Report and errors of a drill.

use super::stats::PhaseReport;
use crate::clock::Timestamp;
use crate::kill_switch::{Change, SwitchId};
use crate::reject::BoxError;
use std::fmt;
use std::time::Duration;

/// Report of a drill.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct DrillReport {
    /// Times until the capability was off.
    pub disable: PhaseReport,
    /// Times until the capability was on again.
    pub restore: PhaseReport,
    /// The generation that it is recorded in; `None` if an instance never answered.
    pub generation: Option<u64>,
}

impl DrillReport {
    /// Returns whether it went off and on again, everywhere and within the limits.
    pub const fn is_pass(&self) -> bool {
        self.disable.is_pass && self.restore.is_pass
    }

    pub(crate) fn record(&self, switch: &SwitchId) -> Option<Change> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.restore.time_to_verify.max.and(self.restore.time_to_disable.max)?;
        Some(Change::Drilled {
            switch: switch.clone(),
            instances: self.disable.instances as u64,
            time_to_disable_ms: millis(self.disable.time_to_disable.max?),
            time_to_verify_ms: millis(self.disable.time_to_verify.max?),
        })
    }
}

impl fmt::Display for DrillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "off: {}; on again: {}", self.disable.sentence, self.restore.sentence)
    }
}

/// Error of a drill that has no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrillError {
    /// Without an instance a drill has no effect to measure.
    #[error("a drill needs at least one instance, none was given")]
    NoInstances,
    /// It was not engaged, as far as is known.
    #[error("the drill did not begin: {why}{}", .ends.map(|ends| format!("; if it engaged the switch, that ends by itself at {ends}")).unwrap_or_default())]
    NotEngaged {
        /// Error of the store.
        #[source]
        why: BoxError,
        /// End of the engagement, if it may be in force and could not be released.
        ends: Option<Timestamp>,
    },
    /// Another person changed the switch during the drill. That change is kept.
    #[error("{by} changed {switch} during the drill: the drill stopped and left the switch as {by} set it")]
    Interrupted {
        /// The switch.
        switch: SwitchId,
        /// Name of the actor.
        by: String,
    },
    /// The store did not take the release.
    #[error("{switch} could not be released after the drill, its engagement ends by itself at {ends}: {why}")]
    NotReleased {
        /// The switch.
        switch: SwitchId,
        /// Error of the store.
        #[source]
        why: BoxError,
        /// End of the engagement.
        ends: Timestamp,
    },
    /// The drill is over and the switch released, but that it took place is not in the document.
    #[error("the drill is over, but could not be recorded: {0}")]
    NotRecorded(#[source] BoxError),
}
