//! Errors of changes, and what to do instead.

use crate::config::ConfigError;
use crate::kill_switch::model::{PinState, Sha256, Spread, SwitchId};

/// Error of a change that was not made, and what to do instead. The document stays as it is.
#[derive(Clone, Debug, PartialEq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeError {
    /// Values of the change are out of range: all of them at once.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
    /// There is no such switch.
    #[error("no switch {switch} in the document: check the name, or define it first")]
    UnknownSwitch {
        /// The id that was given.
        switch: SwitchId,
    },
    /// The switch is retired, and ids are never used again.
    #[error("{switch} is retired, and the name of a retired switch is never used again: choose another name")]
    Retired {
        /// The id that was given.
        switch: SwitchId,
    },
    /// The switch is engaged, and this must not replace that.
    #[error("{switch} is engaged already: {instead}")]
    AlreadyEngaged {
        /// The switch.
        switch: SwitchId,
        /// The alternative.
        instead: &'static str,
    },
    /// Engaging would turn the capability on again for some for whom it is off.
    #[error(
        "{by} engaged {switch} for more requests, longer or on more instances; this change would release the rest: \
         extend that engagement (--add), or replace it (--replace)"
    )]
    Narrows {
        /// The switch.
        switch: SwitchId,
        /// Author of the present engagement.
        by: String,
    },
    /// Two scopes that differ in more than one dimension are no one scope.
    #[error(
        "{switch} is engaged for a scope that differs in more than one dimension (tenant, route, region, audience, percent): \
         give one scope that covers both, with --replace"
    )]
    CannotAdd {
        /// The switch.
        switch: SwitchId,
    },
    /// The switch is not engaged.
    #[error("{switch} is not engaged, and this change needs an engagement: engage it first")]
    NotEngaged {
        /// The switch.
        switch: SwitchId,
    },
    /// The switch is pinned.
    #[error("{switch} is pinned {state} by {by}: a person has to unpin it first")]
    Pinned {
        /// The switch.
        switch: SwitchId,
        /// State that the pin keeps.
        state: PinState,
        /// Name of the author of the pin.
        by: String,
    },
    /// The switch has no pin.
    #[error("{switch} has no pin: nothing to remove")]
    NotPinned {
        /// The switch.
        switch: SwitchId,
    },
    /// The stage would not go on.
    #[error(
        "a stage of {switch} can only grow: name all instances or regions of the present stage, and at least one more"
    )]
    NotWider {
        /// The switch.
        switch: SwitchId,
    },
    /// The engagement has no end that could be later.
    #[error("the engagement of {switch} has no expiry: nothing to extend")]
    NoExpiry {
        /// The switch.
        switch: SwitchId,
    },
    /// A program asked for what only people do.
    #[error("automation may not {verb}: a person has to")]
    AutomationMayNot {
        /// The change, or what it comes to.
        verb: &'static str,
    },
    /// A program asked for more than the definition leaves to programs.
    #[error(
        "automation may engage {switch} for at most {allowed} % of the keys: narrow the scope, or have a person engage it"
    )]
    TooWide {
        /// The switch.
        switch: SwitchId,
        /// Limit of the definition, in percent; 0 allows nothing.
        allowed: f64,
    },
    /// A program asked for more of the fleet than the definition leaves to programs.
    #[error("automation may engage {switch} on {} at most: choose a narrower stage, or have a person engage it", .allowed.words())]
    TooFar {
        /// The switch.
        switch: SwitchId,
        /// Limit of the definition.
        allowed: Spread,
    },
    /// The engagement would leave out stages that the document lays down.
    #[error(
        "{switch} is engaged stage by stage, and this change skips a stage: leave the stage out, name instances, or skip all with --now"
    )]
    SkipsStages {
        /// The switch.
        switch: SwitchId,
    },
    /// There is no such proposal.
    #[error("no proposal {number} is pending: it was approved, rejected or never made")]
    UnknownProposal {
        /// The number that was given.
        number: u64,
    },
    /// The approver is the author of the proposal.
    #[error("{by} made proposal {number} and may not approve it: another person has to")]
    SamePerson {
        /// The proposal.
        number: u64,
        /// Name of the person.
        by: String,
    },
    /// The document changed after the approver saw it.
    #[error(
        "the document changed since it was read for this approval (hash then {seen}, now {current}): read it again, then approve"
    )]
    StaleApproval {
        /// Hash that the approver has seen.
        seen: Sha256,
        /// Hash of the document.
        current: Sha256,
    },
    /// The same waits for approval already.
    #[error("proposal {number} asks for the same change: have another person approve that one")]
    AlreadyProposed {
        /// The proposal.
        number: u64,
    },
    /// Everything is as the change wants it.
    #[error("nothing to change: the document already has these values")]
    Unchanged,
    /// A document holds no more of these.
    #[error("the document would have more than {most} {what}: retire switches, or approve or reject proposals, first")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// Number that it holds.
        most: usize,
    },
    /// The document would have too many bytes.
    #[error(
        "the document would have {size} bytes, at most {most} are allowed: list fewer values in scopes, or retire switches"
    )]
    TooLarge {
        /// Number of bytes that it would have.
        size: usize,
        /// Largest number allowed.
        most: usize,
    },
    /// The earlier document is not there, or is not what it should be.
    #[error("generation {generation} is not in the history of this store: choose one that `history` lists")]
    UnknownRevision {
        /// The generation that was given.
        generation: u64,
    },
    /// A revert would undo more than its author named.
    #[error(
        "a revert to generation {generation} also undoes changes that you did not name: {undone}; \
         to undo them as well, add {names}"
    )]
    UndoesMore {
        /// The generation to go back to.
        generation: u64,
        /// The changes that it undoes, with their authors.
        undone: String,
        /// The names that are allowed.
        names: String,
    },
    /// The generations are used up.
    #[error("no generation is left after this one: begin a new store")]
    LastGeneration,
}

impl ChangeError {
    /// A stable name for metrics, logs and exit codes.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
