//! Names of rollouts: the one that is judged, and those that it superseded.

use crate::clock::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Time for which a superseded name is refused. Later it is a new rollout of an old version.
const REFUSED: Duration = Duration::from_secs(600);
/// Most superseded names that are known.
const SUPERSEDED_MAX: usize = 100;
/// Longest name, in bytes.
pub(crate) const NAME_MAX: usize = 200;

/// The rollout that is judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// Rises with every rollout.
    pub(crate) number: u64,
    pub(crate) current: Option<String>,
    /// The last name, also while the rollout after it has none.
    last: Option<String>,
    superseded: VecDeque<(String, Instant)>,
}

/// Effect of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// It is the one that is judged.
    Current,
    /// The rollout that is judged had no name.
    Adopted,
    /// A new rollout begins.
    Begun,
    /// It was superseded.
    Superseded,
}

impl Names {
    /// Names the rollout that a controller means.
    pub(crate) fn name(&self, name: &str, now: Instant) -> (Named, Self) {
        let mut next = self.clone();
        next.superseded.retain(|(_, at)| now.saturating_duration_since(*at) < REFUSED);
        let named = match &self.current {
            Some(current) if current == name => Named::Current,
            _ if next.superseded.iter().any(|(superseded, _)| superseded == name) => Named::Superseded,
            Some(_) => {
                next.number += 1;
                Named::Begun
            }
            None => Named::Adopted,
        };
        if matches!(named, Named::Begun | Named::Adopted) {
            next.supersede(name, now);
        }
        (named, next)
    }

    /// Begins a rollout, also one of the same name.
    pub(crate) fn begin(&self, name: Option<&str>, now: Instant) -> Self {
        let mut next = self.clone();
        next.number += 1;
        match name {
            Some(name) => next.supersede(name, now),
            None => next.current = None,
        }
        next
    }

    fn supersede(&mut self, name: &str, now: Instant) {
        self.superseded.retain(|(superseded, _)| superseded != name);
        if let Some(last) = self.last.replace(name.to_owned()).filter(|last| last != name) {
            self.superseded.push_back((last, now));
            if self.superseded.len() > SUPERSEDED_MAX {
                self.superseded.pop_front();
            }
        }
        self.current = Some(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_new_name_begins_a_rollout_and_the_old_one_is_refused_for_a_time() {
        let (effect, names) = Names::default().name("a", at(0));
        assert_eq!((effect, names.number), (Named::Adopted, 0), "it gives the first one a name");
        assert_eq!(names.name("a", at(1)).0, Named::Current);
        let (effect, names) = names.name("b", at(2));
        assert_eq!((effect, names.number), (Named::Begun, 1));
        let (effect, names) = names.name("a", at(3));
        assert_eq!((effect, names.current.as_deref()), (Named::Superseded, Some("b")));
        assert_eq!(names.name("a", at(700)).0, Named::Begun, "the old version once more");
    }

    #[test]
    fn a_rollout_that_is_tried_again_after_an_abort_keeps_its_name() {
        let (_, names) = Names::default().name("a", at(0));
        let names = names.begin(None, at(60));
        assert_eq!((names.number, names.current.as_deref()), (1, None));
        let (effect, names) = names.name("a", at(61));
        assert_eq!((effect, names.number), (Named::Adopted, 1));
        let names = names.begin(None, at(120));
        let (effect, names) = names.name("b", at(121));
        assert_eq!(effect, Named::Adopted);
        assert_eq!(names.name("a", at(122)).0, Named::Superseded);
    }

    #[test]
    fn superseded_names_are_bounded() {
        let mut names = Names::default();
        for i in 0..1_000 {
            (_, names) = names.name(&i.to_string(), at(0));
        }
        assert_eq!(names.superseded.len(), SUPERSEDED_MAX);
    }
}
