//! Report and errors of a staged engagement.

use crate::config::ConfigError;
use crate::kill_switch::{Stage, SwitchId};
use crate::reject::BoxError;

/// A staged engagement that went all the way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct StagedReport {
    /// The generation that it ended in.
    pub generation: u64,
    /// The stages that it went through, each of which was well.
    pub stages: Vec<Stage>,
}

/// Error of a staged engagement that did not reach everywhere. It stays engaged at its stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagedError {
    /// There is no check.
    #[error("a staged engagement needs at least one check: give one, or use a plain engage")]
    NoChecks,
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It could not be engaged; the switch is as it was.
    #[error("nothing was engaged: {0}")]
    NotEngaged(#[source] BoxError),
    /// Whether it was engaged is not known, and the document cannot be read.
    #[error("the switch may be engaged, but the document cannot be read to check: {0}")]
    Unknown(#[source] BoxError),
    /// It takes two persons, as it gives something back.
    #[error("nothing was engaged: the change takes two persons and is pending as proposal {number}")]
    Waits {
        /// The proposal's number.
        number: u64,
    },
    /// A check failed. The engagement stays at its stage.
    #[error("{switch} is held at the stage {stage}, as a check failed: {check}: {why}")]
    Held {
        /// The switch.
        switch: SwitchId,
        /// The stage that it has reached.
        stage: Stage,
        /// The check.
        check: String,
        /// Finding of the check.
        why: String,
    },
    /// Another author changed the switch meanwhile. That change stands.
    #[error("{by} changed {switch} during the stages: no further stage was set, and the switch is as {by} set it")]
    Interrupted {
        /// The switch.
        switch: SwitchId,
        /// Name of the actor.
        by: String,
    },
    /// The stage was well, and the store did not take the next one, as far as is known.
    #[error(
        "{switch} passed its checks at the stage {stage}, but the next stage could not be set, so it stays there: {why}"
    )]
    NotAdvanced {
        /// The switch.
        switch: SwitchId,
        /// The stage that it has reached.
        stage: Stage,
        /// Error of the store.
        #[source]
        why: BoxError,
    },
}
