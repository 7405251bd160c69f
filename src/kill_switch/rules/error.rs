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
    #[error("unknown switch {switch}: define it first")]
    UnknownSwitch {
        /// The id that was given.
        switch: SwitchId,
    },
    /// The switch is retired, and ids are never used again.
    #[error("{switch} is retired, and ids are never used again: choose another one")]
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
        "{switch} is engaged by {by} for more, for longer or in more places, and this would turn it on again for the rest: \
         add to it (--add), or replace it (--replace)"
    )]
    Narrows {
        /// The switch.
        switch: SwitchId,
        /// Author of the present engagement.
        by: String,
    },
    /// Two scopes that differ in more than one dimension are no one scope.
    #[error(
        "{switch} is engaged for a scope that differs in more than one dimension: name all in one scope, and replace the \
         engagement (--replace)"
    )]
    CannotAdd {
        /// The switch.
        switch: SwitchId,
    },
    /// The switch is not engaged.
    #[error("{switch} is not engaged: engage it first, with a scope and a reason")]
    NotEngaged {
        /// The switch.
        switch: SwitchId,
    },
    /// Somebody pinned the switch.
    #[error("{switch} is pinned {state} by {by}: have a person unpin it first")]
    Pinned {
        /// The switch.
        switch: SwitchId,
        /// State that the pin keeps.
        state: PinState,
        /// Name of the author of the pin.
        by: String,
    },
    /// The switch has no pin.
    #[error("{switch} is not pinned: there is nothing to take away")]
    NotPinned {
        /// The switch.
        switch: SwitchId,
    },
    /// The stage would not go on.
    #[error("the stage of {switch} only goes on: name all instances or regions it has come to, and more")]
    NotWider {
        /// The switch.
        switch: SwitchId,
    },
    /// The engagement has no end that could be later.
    #[error("the engagement of {switch} never ends: there is nothing to extend")]
    NoExpiry {
        /// The switch.
        switch: SwitchId,
    },
    /// A program asked for what only people do.
    #[error("automation does not {verb}: have a person do it")]
    AutomationMayNot {
        /// The change, or what it comes to.
        verb: &'static str,
    },
    /// A program asked for more than the definition leaves to programs.
    #[error("automation engages {switch} for at most {allowed} %: narrow the scope or have a person do it")]
    TooWide {
        /// The switch.
        switch: SwitchId,
        /// Limit of the definition, in percent; 0 allows nothing.
        allowed: f64,
    },
    /// A program asked for more of the fleet than the definition leaves to programs.
    #[error("automation engages {switch} on {} at most: name fewer or have a person do it", .allowed.words())]
    TooFar {
        /// The switch.
        switch: SwitchId,
        /// Limit of the definition.
        allowed: Spread,
    },
    /// The engagement would leave out stages that the document lays down.
    #[error("{switch} goes through the stages of the document: leave the stage out, name instances, or say now")]
    SkipsStages {
        /// The switch.
        switch: SwitchId,
    },
    /// There is no such proposal.
    #[error("unknown proposal {number}: it was approved or rejected, or never made")]
    UnknownProposal {
        /// The number that was given.
        number: u64,
    },
    /// Somebody approved what they proposed.
    #[error("{by} made the proposal {number}: another person has to approve it")]
    SamePerson {
        /// The proposal.
        number: u64,
        /// Name of the person.
        by: String,
    },
    /// The document changed after the approver saw it.
    #[error("the approver saw the document {seen}, and it is {current} now: look again")]
    StaleApproval {
        /// Hash that the approver has seen.
        seen: Sha256,
        /// Hash of the document.
        current: Sha256,
    },
    /// The same waits for approval already.
    #[error("the same waits as proposal {number}: have another person approve it")]
    AlreadyProposed {
        /// The proposal.
        number: u64,
    },
    /// Everything is as the change wants it.
    #[error("nothing would change: it is so already")]
    Unchanged,
    /// A document holds no more of these.
    #[error("a document holds at most {most} {what}: retire, approve or reject some")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// Number that it holds.
        most: usize,
    },
    /// The document would have too many bytes.
    #[error(
        "the document would have {size} bytes, and at most {most} are allowed: name fewer values or retire switches"
    )]
    TooLarge {
        /// Number of bytes that it would have.
        size: usize,
        /// Largest number allowed.
        most: usize,
    },
    /// The earlier document is not there, or is not what it should be.
    #[error("generation {generation} is not in the history of this store: choose one that is")]
    UnknownRevision {
        /// The generation that was given.
        generation: u64,
    },
    /// A revert would undo more than its author named.
    #[error(
        "going back to generation {generation} undoes more than was named: {undone}; to do so, name every switch and \
         everybody else whose change it undoes: {names}"
    )]
    UndoesMore {
        /// The generation to go back to.
        generation: u64,
        /// The changes that it undoes, with their authors.
        undone: String,
        /// What to name.
        names: String,
    },
    /// The generations are used up.
    #[error("this is the last possible generation: begin a new store")]
    LastGeneration,
}

impl ChangeError {
    /// A stable name for metrics, logs and exit codes.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
