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

/// Error of a staged engagement that did not reach everywhere. It stays engaged where it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagedError {
    /// There is no check.
    #[error("a staged engagement needs at least one check; without one, engage")]
    NoChecks,
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It could not be engaged; the switch is as it was.
    #[error("nothing was engaged: {0}")]
    NotEngaged(#[source] BoxError),
    /// Whether it was engaged is not known, and the document cannot be read.
    #[error("it may be engaged, and the document cannot be read to see: {0}")]
    Unknown(#[source] BoxError),
    /// It takes two persons, as it gives something back.
    #[error("it takes two persons, and waits as proposal {number}")]
    Waits {
        /// The proposal's number.
        number: u64,
    },
    /// A check was not good. The engagement stays where it is.
    #[error("{switch} is held at {stage}: {check}: {why}")]
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
    #[error("{by} changed {switch} meanwhile: it was left so")]
    Interrupted {
        /// The switch.
        switch: SwitchId,
        /// Name of the actor.
        by: String,
    },
    /// The stage was well, and the store did not take the next one, as far as is known.
    #[error("{switch} is well at {stage}, and could not be taken further: {why}")]
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
