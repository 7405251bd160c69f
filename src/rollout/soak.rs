//! Soak of a stage: passed, held, or still watching.
//!
//! ```text
//!            all good for `soak` without a break ──▶ Passed
//!  Watching ─┤
//!            └─ one bad `strikes` times in a row, or not good in time ──▶ Held
//! ```

use std::time::Duration;

/// Finding of a check at a stage.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// All is well.
    Good,
    /// It is not there yet, and why: an instance that has not applied the document. Only time makes it bad.
    Waiting(String),
    /// Something is wrong, and what.
    Bad(String),
}

/// Limits of a soak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rollout) struct Patience {
    pub(in crate::rollout) soak: Duration,
    pub(in crate::rollout) strikes: u32,
    pub(in crate::rollout) time_limit: Duration,
    /// Interval between two rounds of checks.
    pub(in crate::rollout) look_every: Duration,
}

/// Result of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rollout) enum Outcome {
    Watching,
    Passed,
    /// The check, and its finding.
    Held {
        check: String,
        why: String,
    },
}

/// One stage as it is looked at. Times count from when it was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rollout) struct Soak {
    patience: Patience,
    good_since: Option<Duration>,
    /// Bad findings in a row, for each check.
    strikes: Vec<u32>,
}

impl Soak {
    pub(in crate::rollout) fn new(patience: Patience, checks: usize) -> Self {
        Self { patience, good_since: None, strikes: vec![0; checks] }
    }

    /// Forgets what was seen.
    #[cfg(feature = "rollout")]
    pub(in crate::rollout) fn begin_anew(&mut self) {
        *self = Self::new(self.patience, self.strikes.len());
    }

    /// Takes what every check found at one look, each with its name.
    pub(in crate::rollout) fn look(&mut self, at: Duration, findings: &[(String, Finding)]) -> Outcome {
        let held = |check: &str, why: String| Outcome::Held { check: check.to_owned(), why };
        let mut first_bad = None;
        for ((check, finding), strikes) in findings.iter().zip(&mut self.strikes) {
            *strikes = if matches!(finding, Finding::Bad(_)) { strikes.saturating_add(1) } else { 0 };
            match finding {
                Finding::Bad(why) if *strikes >= self.patience.strikes => {
                    return held(check, format!("{why} ({strikes} times in a row)"));
                }
                Finding::Bad(why) | Finding::Waiting(why) => {
                    first_bad.get_or_insert((check, why));
                }
                Finding::Good => {}
            }
        }
        let Some((check, why)) = first_bad else {
            let since = *self.good_since.get_or_insert(at);
            let is_long_enough = at.saturating_sub(since) >= self.patience.soak;
            return if is_long_enough { Outcome::Passed } else { Outcome::Watching };
        };
        self.good_since = None;
        if at >= self.patience.time_limit {
            return held(check, format!("{why} (checks did not pass within {:?})", self.patience.time_limit));
        }
        Outcome::Watching
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        soak: Duration::from_secs(3),
        strikes: 2,
        time_limit: Duration::from_secs(10),
        look_every: Duration::ZERO,
    };

    /// Results of looks at these seconds: `g`ood, `w`aiting or `b`ad for each check.
    fn outcome(looks: &[(u64, &str)]) -> Outcome {
        let mut soak = Soak::new(PATIENCE, looks.first().map_or(0, |(_, all)| all.len()));
        let mut outcome = Outcome::Watching;
        for (second, findings) in looks {
            assert_eq!(outcome, Outcome::Watching, "still watching");
            let finding = |(number, letter)| {
                let finding = match letter {
                    'g' => Finding::Good,
                    'w' => Finding::Waiting("slow".into()),
                    _ => Finding::Bad("503".into()),
                };
                (format!("check-{number}"), finding)
            };
            let findings: Vec<_> = findings.chars().enumerate().map(finding).collect();
            outcome = soak.look(Duration::from_secs(*second), &findings);
        }
        outcome
    }

    fn held(check: &str, why: &str) -> Outcome {
        Outcome::Held { check: check.into(), why: why.into() }
    }

    #[test]
    fn a_stage_passes_after_it_was_good_for_as_long_without_a_break() {
        assert_eq!(outcome(&[(0, "g"), (2, "g")]), Outcome::Watching);
        assert_eq!(outcome(&[(0, "g"), (3, "g")]), Outcome::Passed);
        assert_eq!(outcome(&[(0, "g"), (2, "b"), (3, "g"), (5, "g")]), Outcome::Watching, "it begins anew");
        assert_eq!(outcome(&[(0, "gg"), (2, "gw"), (3, "gg"), (6, "gg")]), Outcome::Passed);
        assert_eq!(outcome(&[(9, "g"), (12, "g")]), Outcome::Passed, "good past the limit is good");
    }

    #[test]
    fn a_check_that_is_bad_in_a_row_holds_the_stage_whatever_the_others_say() {
        assert_eq!(outcome(&[(0, "gb"), (1, "gb")]), held("check-1", "503 (2 times in a row)"));
        assert_eq!(outcome(&[(0, "bg"), (1, "gb"), (2, "bg")]), Outcome::Watching, "not the same one in a row");
    }

    #[test]
    fn what_is_not_well_in_time_holds_the_stage() {
        assert_eq!(outcome(&[(0, "w"), (9, "w"), (10, "w")]), held("check-0", "slow (checks did not pass within 10s)"));
        assert_eq!(outcome(&[(0, "w"), (9, "w"), (10, "g")]), Outcome::Watching);
    }
}
