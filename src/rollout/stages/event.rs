//! Inputs and outputs of a rollout.

use crate::rollback::Decision;
use crate::rollback::plan::Level;
use crate::rollout::redact::clean;
use crate::rollout::soak::Finding;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An input of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The rollout begins.
    Started {
        /// The person.
        by: String,
        /// The reason, required for an artifact that was rolled back before.
        reason: Option<String>,
    },
    /// A new process goes on: what was being done is not known to be done.
    Resumed,
    /// The journal cannot be used: where the rollout was is not known.
    Lost {
        /// The cause.
        why: String,
    },
    /// A look at both arms.
    Looked(Look),
    /// An action ended.
    Finished {
        /// Key of the action.
        key: u64,
        /// Its outcome.
        outcome: Outcome,
    },
    /// The weight was read back.
    Weight {
        /// The reading.
        reading: Reading,
    },
    /// A person's command.
    Asked {
        /// Its identity: a command is carried out once.
        id: String,
        /// The command.
        ask: Ask,
        /// The person.
        by: String,
        /// The reason.
        reason: String,
    },
    /// Time has passed.
    Clock,
}

impl Event {
    /// Without secrets in texts of people, sources and programs: what follows from it is written down and sent on.
    pub(crate) fn redacted(mut self) -> Self {
        let hide = |text: &mut String| *text = clean(text);
        match &mut self {
            Self::Started { reason, .. } => reason.iter_mut().for_each(hide),
            Self::Finished { outcome: Outcome::Failed { why, .. }, .. }
            | Self::Weight { reading: Reading::Differs { why } | Reading::Unknown { why } }
            | Self::Lost { why } => hide(why),
            Self::Asked { reason, .. } => hide(reason),
            Self::Looked(Look { sentence, recovery, .. }) => {
                hide(sentence);
                if let Finding::Waiting(why) | Finding::Bad(why) = recovery {
                    hide(why);
                }
            }
            Self::Finished { .. } | Self::Weight { .. } | Self::Resumed | Self::Clock => {}
        }
        self
    }
}

/// A look at both arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The verdict's decision.
    pub decision: Decision,
    /// The verdict's sentence.
    pub sentence: String,
    /// Instances of the release; `None` if not measured.
    pub canary: Option<Ready>,
    /// Instances of the previous version; `None` if not measured.
    pub stable: Option<Ready>,
    /// Requests to the release since its stage began, as far as this process saw them.
    pub samples: f64,
    /// Requests to the previous version in the same time.
    #[serde(default)]
    pub others: f64,
    /// Time of the stage in which looks had data and a verdict of `continue`, as far as this process saw it.
    #[serde(default)]
    pub watched: Duration,
    /// Whether errors and latency are those of before the rollout.
    pub recovery: Finding,
}

/// Instances by readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Those that are ready.
    pub ready: u32,
    /// All of them.
    pub total: u32,
}

impl Ready {
    /// Returns whether there are instances and all of them are ready.
    pub const fn is_whole(self) -> bool {
        self.total > 0 && self.ready >= self.total
    }
}

/// Outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and seen to have taken effect where that can be seen.
    Done,
    /// Failed, or took hold in part.
    Failed {
        /// The cause, and the part that did not take hold.
        why: String,
        /// Whether trying again is of no use.
        is_final: bool,
    },
}

/// The weight in force, compared with the one that was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reading {
    /// As set.
    Same,
    /// Another one.
    Differs {
        /// The difference.
        why: String,
    },
    /// Not readable.
    Unknown {
        /// The cause.
        why: String,
    },
}

/// A person's command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask {
    /// Opens the gate, or decides against a pause.
    Approve,
    /// Ends the rollout: traffic returns.
    Reject,
    /// No further stage; a verdict still rolls back.
    Pause,
    /// Ends a pause; tries again what a person was called for.
    Resume,
    /// Traffic returns.
    Rollback {
        /// Break-glass: weight 0 at once, before everything else and without a look at the previous version.
        cut: bool,
    },
    /// No automatic decision, not even a rollback: a maintenance window.
    Disable {
        /// Its length.
        seconds: u64,
    },
    /// Ends the window.
    Enable,
    /// Another release takes the place of this one.
    Supersede {
        /// The other artifact.
        artifact: String,
    },
}

impl Ask {
    /// The command's name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Rollback { .. } => "rollback",
            Self::Disable { .. } => "disable",
            Self::Enable => "enable",
            Self::Supersede { .. } => "supersede",
        }
    }
}

/// An output of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Does the job, after every job before it has ended. The key is unique in the rollout.
    Do {
        /// The idempotency key.
        key: u64,
        /// The job.
        job: Job,
    },
    /// Interrupts the job in progress; its outcome is of no interest any more.
    Cancel,
    /// Reports to people.
    Alert {
        /// The urgency.
        level: Level,
        /// The report.
        text: String,
    },
    /// Starts the judge's stage of this weight.
    Stage {
        /// Share of the traffic in percent.
        weight: u32,
    },
    /// Overrides the judge's verdict.
    Override {
        /// The person.
        by: String,
        /// The reason.
        reason: String,
    },
    /// Answers the person's command.
    Answer {
        /// Whether it was accepted.
        is_accepted: bool,
        /// The answer.
        text: String,
    },
}

/// Something that takes time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Sets the canary's weight and reads it back.
    Move {
        /// Share of the traffic in percent.
        weight: u32,
        /// Break-glass.
        cut: bool,
    },
    /// Runs a command of the plan.
    Run {
        /// The command.
        step: Step,
        /// Whether an interrupted run may have done it: its `verify` is asked first.
        is_again: bool,
    },
}

/// A step of a rollback or promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "place", rename_all = "snake_case")]
pub enum Step {
    /// The weight 0.
    Weight,
    /// An action of `[[rollback]]`, by its place.
    Rollback(usize),
    /// A command of `[[preserve]]`, by its place.
    Preserve(usize),
    /// A command of `[[promote]]`, by its place.
    Promote(usize),
}
