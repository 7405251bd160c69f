//! Effect of an engagement on this instance, and why it does not block requests that it is meant for.

use super::compiled_scope::{DIMENSIONS, Match};
use crate::sync::{AtomicU64, Ordering};
use std::fmt;

/// Requests without one inside that make a scope doubtful; of a share of the keys, as many more. A tenant may be idle; a
/// busy service rarely is.
const ASKED_MIN: u64 = 1_000;

/// Requests that were held against one scope.
#[derive(Default)]
pub(crate) struct Effect {
    asked: AtomicU64,
    inside: AtomicU64,
    undecided: AtomicU64,
    /// Every dimension that any of them lacked, a bit each.
    missing: AtomicU64,
}

impl Effect {
    pub(crate) fn count(&self, found: Match) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match found {
            Match::Inside => drop(self.inside.fetch_add(1, Ordering::Relaxed)),
            Match::Outside => {}
            Match::Undecided(missing) => {
                self.undecided.fetch_add(1, Ordering::Relaxed);
                self.missing.fetch_or(missing.into(), Ordering::Relaxed);
            }
        }
    }

    /// The reason, if there is one; `share_of` is the scope's share of so many requests.
    pub(crate) fn doubt(&self, share_of: impl FnOnce(u64) -> u64) -> Option<Doubt> {
        let [asked, inside, undecided, missing] =
            [&self.asked, &self.inside, &self.undecided, &self.missing].map(|count| count.load(Ordering::Relaxed));
        if undecided > 0 {
            return Some(Doubt::Undecided { requests: undecided, missing });
        }
        (inside == 0 && share_of(asked) >= ASKED_MIN).then_some(Doubt::NobodyInside { requests: asked })
    }
}

/// Reason why an engaged switch does not block requests that it is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    Undecided { requests: u64, missing: u64 },
    NobodyInside { requests: u64 },
    Elsewhere { stage: String, instance: String },
}

impl Doubt {
    /// The same for the same reason, whatever its figures; 0 is none.
    pub(crate) const fn kind(&self) -> u64 {
        match self {
            Self::Undecided { missing, .. } => *missing,
            Self::NobodyInside { .. } => 1 << 8,
            Self::Elsewhere { .. } => 1 << 9,
        }
    }
}

/// A sentence after the name of the switch.
impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecided { requests, missing } => {
                let names: Vec<_> = (0..).zip(DIMENSIONS).filter(|(bit, _)| missing >> bit & 1 == 1).collect();
                let names: Vec<_> = names.into_iter().map(|(_, name)| format!("no {name}")).collect();
                let names = names.join(" and ");
                write!(f, "is engaged, but {requests} requests passed because they state {names}: ")?;
                f.write_str("state it in the gate's target, or engage the switch without it")
            }
            Self::NobodyInside { requests } => {
                write!(f, "is engaged, but none of {requests} requests was in its scope: ")?;
                f.write_str("compare the scope with what the gate's target states")
            }
            Self::Elsewhere { stage, instance } => {
                write!(f, "is engaged only on {stage}, but this instance is {instance}: ")?;
                f.write_str("advance the stage, or check the names in it")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_that_is_missing_is_told() {
        let effect = Effect::default();
        effect.count(Match::Inside);
        assert_eq!(effect.doubt(|asked| asked), None);
        effect.count(Match::Undecided(0b10));
        effect.count(Match::Undecided(0b1_0000));
        let doubt = effect.doubt(|asked| asked).unwrap();
        assert!(doubt.to_string().contains("2 requests passed because they state no tenant and no key"), "{doubt}");
    }

    #[test]
    fn a_scope_that_many_requests_were_outside_of_is_doubtful_until_one_is_inside() {
        let effect = Effect::default();
        (1..ASKED_MIN).for_each(|_| effect.count(Match::Outside));
        assert_eq!(effect.doubt(|asked| asked), None);
        effect.count(Match::Outside);
        assert!(effect.doubt(|asked| asked).unwrap().to_string().contains("none of 1000 requests"));
        effect.count(Match::Inside);
        assert_eq!(effect.doubt(|asked| asked), None);
    }
}
