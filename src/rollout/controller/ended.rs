//! Ways in which a controller's work ends.

use crate::rollout::stages::End;

/// End of a controller's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The rollout has ended.
    Done(End),
    /// The release has no traffic, and nothing here can see whether the service recovers.
    Unwatched,
    /// A person has to decide, and nothing here waits for it.
    Escalated,
}

impl Ended {
    /// The result of a rollback that was carried out without a source, for a person; `None` if a person has to decide.
    pub fn without_source(self, artifact: &str) -> Option<String> {
        match self {
            Self::Done(end) => Some(format!("{artifact} has no traffic: {}", end.as_str())),
            Self::Unwatched => Some(format!(
                "{artifact} has no traffic. Nothing here sees whether the service recovers: look at it, or go on with \
                 `backstop rollout start` and the same plan"
            )),
            Self::Escalated => None,
        }
    }
}
