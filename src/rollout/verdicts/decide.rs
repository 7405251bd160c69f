//! Answers to each question of a controller, by the verdict.

use crate::rollback::Decision;

/// First steps that are allowed without data: one, and one more if the controller could not take it.
const FIRST_STEPS: u64 = 2;
/// Requests of the canary below which there is no data: probes and a person's try are no traffic.
const STRAY: f64 = 50.0;

/// A question of a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    Rollback,
    ConfirmRollout,
    ConfirmTrafficIncrease,
    ConfirmPromotion,
}

impl Hook {
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Rollback, "rollback"),
        (Self::ConfirmRollout, "confirm-rollout"),
        (Self::ConfirmTrafficIncrease, "confirm-traffic-increase"),
        (Self::ConfirmPromotion, "confirm-promotion"),
    ];

    /// Returns whether the answer is yes. `requests` of the canary so far; `steps` were allowed without data before.
    pub(super) fn is_yes(self, decision: Decision, requests: f64, steps: u64) -> bool {
        match (self, decision) {
            (Self::Rollback, decision) => decision == Decision::Rollback,
            (_, Decision::Continue) | (Self::ConfirmRollout, Decision::Collecting) => true,
            // Without a first step there is never data.
            (Self::ConfirmTrafficIncrease, Decision::Collecting) => requests < STRAY && steps < FIRST_STEPS,
            (_, Decision::Collecting | Decision::Pause | Decision::Rollback) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Collecting, Continue, Pause, Rollback};

    #[test]
    fn each_question_has_an_answer_for_each_decision() {
        let answers =
            |hook: Hook| [Continue, Collecting, Pause, Rollback].map(|decision| hook.is_yes(decision, 100.0, 0));
        assert_eq!(answers(Hook::Rollback), [false, false, false, true]);
        assert_eq!(answers(Hook::ConfirmRollout), [true, true, false, false]);
        assert_eq!(answers(Hook::ConfirmTrafficIncrease), [true, false, false, false]);
        assert_eq!(answers(Hook::ConfirmPromotion), [true, false, false, false]);
    }

    #[test]
    fn the_first_step_of_traffic_needs_no_data_and_the_next_ones_do() {
        let is_yes = |requests, steps| Hook::ConfirmTrafficIncrease.is_yes(Collecting, requests, steps);
        assert!(is_yes(0.0, 0) && is_yes(0.0, 1));
        assert!(is_yes(1.0, 0), "a stray request is no traffic");
        assert!(!is_yes(0.0, 2) && !is_yes(50.0, 0));
        assert!(!Hook::ConfirmTrafficIncrease.is_yes(Pause, 0.0, 0));
        assert!(!Hook::ConfirmPromotion.is_yes(Collecting, 0.0, 0));
    }
}
