//! Decision: roll back, or fix forward.
//!
//! | rollback | cause | fix | decision |
//! |---|---|---|---|
//! | not safe | any | any | forward, after containing the damage |
//! | safe | known | simple | forward, with the time budget as the deadline |
//! | safe | known | complex | back |
//! | safe | unknown | any | back: a fix for an unknown cause is a guess |
//!
//! Severity does not change the direction but the pace: whether traffic is drained or cut, and whether a forward fix may
//! use the whole budget while users see errors.

use super::plan::Plan;
use crate::named_enum::named;

/// Extent of the damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Few users notice: under 0.5 % of the requests fail, say.
    Low,
    /// Clearly worse than before, such as three times the errors, but most requests succeed.
    Moderate,
    /// Many users notice, more than 1 % of the requests fail, or money or data is at risk.
    High,
}

/// Effort of the fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fix {
    /// A line or a setting, reviewed and live within the time budget of the plan.
    Simple,
    /// Anything else.
    Complex,
}

/// Whether the previous version can take over again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feasibility {
    /// It works on the data as it is now.
    Safe,
    /// It does not: [`Plan::feasibility`] says so if the plan is forward-fix only.
    ForwardFixOnly,
}

named! {
    /// Direction of a decision.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Direction {
        /// Return to the previous version.
        RollBack = "roll back",
        /// Release a fix.
        RollForward = "roll forward",
    }

    /// The direction in words.
    as_str
}

/// Known facts of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Extent of the damage.
    pub severity: Severity,
    /// Whether the cause is known, not merely suspected.
    pub is_cause_known: bool,
    /// Effort of the fix.
    pub fix: Fix,
    /// Whether the previous version can take over again.
    pub feasibility: Feasibility,
}

/// Direction with its reasons and next steps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The direction.
    pub direction: Direction,
    /// The reasons, a sentence each.
    pub reasons: Vec<String>,
    /// The next steps, in order, a sentence each.
    pub steps: Vec<String>,
}

impl Decision {
    /// Decides by the table of this module.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::rollback::decision::{Decision, Direction, Feasibility, Fix, Severity, Situation};
    ///
    /// // Three times the errors, "database timeout", no change of the schema.
    /// let decision = Decision::of(Situation {
    ///     severity: Severity::Moderate,
    ///     is_cause_known: false,
    ///     fix: Fix::Complex,
    ///     feasibility: Feasibility::Safe,
    /// });
    /// assert_eq!(decision.direction, Direction::RollBack);
    /// assert_eq!(decision.reasons[0], "The previous version works on the data as it is now.");
    /// ```
    #[must_use]
    pub fn of(situation: Situation) -> Self {
        let (direction, reasons, steps): (_, &[&str], &[&str]) = match situation {
            Situation { feasibility: Feasibility::ForwardFixOnly, severity, .. } => forward_only(severity),
            Situation { is_cause_known: true, fix: Fix::Simple, severity, .. } => (
                Direction::RollForward,
                &[
                    "The cause is known, and a simple fix is live as soon as a rollback would be.",
                    "The fix removes the cause; a rollback only postpones it.",
                ],
                if severity == Severity::Low {
                    &[
                        "Hold the rollout at its stage.",
                        "Release the fix.",
                        "If it is not live within the budget, roll back.",
                    ]
                } else {
                    &[
                        "Hold the rollout at its stage.",
                        "Engage the plan's kill switches until the fix is live: users see errors now.",
                        "Release the fix.",
                        "If it is not live within the budget, roll back.",
                    ]
                },
            ),
            Situation { is_cause_known, severity, .. } => (
                Direction::RollBack,
                if is_cause_known {
                    &[
                        "The previous version works on the data as it is now.",
                        "The fix is complex: users would wait for it, and fixes under pressure bring new faults.",
                    ]
                } else {
                    &[
                        "The previous version works on the data as it is now.",
                        "The cause is unknown: a fix would be a guess.",
                    ]
                },
                if severity == Severity::High {
                    &["Set the canary's weight to 0 at once, without a drain.", "Run the rest of the rollback.", AFTER]
                } else {
                    &["Run the rollback; connections may drain.", AFTER]
                },
            ),
        };
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self { direction, reasons: owned(reasons), steps: owned(steps) }
    }
}

const AFTER: &str = "Find the cause afterwards: the fault is still in the new version.";

fn forward_only(severity: Severity) -> (Direction, &'static [&'static str], &'static [&'static str]) {
    let steps: &[&str] = if severity == Severity::Low {
        &[
            "Hold the rollout at its stage: no more traffic for the new version.",
            "Release the fix through the same stages.",
        ]
    } else {
        &[
            "Hold the rollout at its stage: no more traffic for the new version.",
            "Engage the plan's kill switches and turn its flags off.",
            "If the damage still grows, set the traffic of the affected routes to 0 with a maintenance answer, for both \
             versions.",
            "Call the owner: restoring a backup loses later writes and is the owner's decision.",
            "Release the fix.",
        ]
    };
    let reasons = &[
        "The previous version does not work on the data as it is now: it would fail, or damage the data.",
        "The release can only be fixed forward, however complex the fix is.",
    ];
    (Direction::RollForward, reasons, steps)
}

impl Plan {
    /// Returns whether the previous version can take over again.
    pub fn feasibility(&self) -> Feasibility {
        let is_safe = !self.forward_fix_only && self.data.iter().all(|change| change.reversible);
        if is_safe { Feasibility::Safe } else { Feasibility::ForwardFixOnly }
    }

    /// Decides about this release, and names the kill switches that the plan may use.
    #[must_use]
    pub fn decide(&self, severity: Severity, is_cause_known: bool, fix: Fix) -> Decision {
        let mut decision = Decision::of(Situation { severity, is_cause_known, fix, feasibility: self.feasibility() });
        if !self.switches.is_empty() {
            decision.steps.push(format!("Kill switches of this release: {}.", self.switches.join(", ")));
        }
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{FORWARD, FULL};
    use super::*;

    const SEVERITIES: [Severity; 3] = [Severity::Low, Severity::Moderate, Severity::High];

    fn all() -> impl Iterator<Item = (Severity, bool, Fix)> {
        let known = |severity| [(severity, true), (severity, false)];
        SEVERITIES
            .into_iter()
            .flat_map(known)
            .flat_map(|(severity, is_known)| [(severity, is_known, Fix::Simple), (severity, is_known, Fix::Complex)])
    }

    #[test]
    fn a_forward_fix_only_release_is_never_rolled_back() {
        let plan = Plan::parse(FORWARD).unwrap();
        for (severity, is_cause_known, fix) in all() {
            let decision = plan.decide(severity, is_cause_known, fix);
            assert_eq!(decision.direction, Direction::RollForward);
            let text = [decision.reasons, decision.steps].concat().join(" ").to_lowercase();
            assert!(!text.contains("roll back") && !text.contains("rollback"), "{text}");
            assert!(text.contains("hold the rollout"), "{text}");
        }
    }

    #[test]
    fn a_safe_release_is_rolled_back_unless_a_known_cause_has_a_simple_fix() {
        let plan = Plan::parse(FULL).unwrap();
        for (severity, is_cause_known, fix) in all() {
            let decision = plan.decide(severity, is_cause_known, fix);
            let is_forward = is_cause_known && fix == Fix::Simple;
            assert_eq!(
                decision.direction == Direction::RollForward,
                is_forward,
                "{severity:?} {is_cause_known} {fix:?}"
            );
            let ends =
                is_forward && decision.steps.iter().any(|step| step.contains("not live within the budget, roll back"));
            assert_eq!(ends, is_forward, "a forward fix has a deadline");
            let is_cut = decision.steps.iter().any(|step| step.contains("without a drain"));
            assert_eq!(is_cut, !is_forward && severity == Severity::High);
            assert_eq!(decision.steps.last().unwrap(), "Kill switches of this release: new-checkout.");
        }
    }
}
