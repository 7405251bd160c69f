//! Status of the switches of a program.

use crate::clock::Timestamp;
use crate::kill_switch::Switch;
use std::time::Duration;

/// Source of the document in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Source {
    /// No document was ever read.
    Nothing,
    /// The one that the program was built with.
    BakedIn,
    /// The last good one of an earlier run, on disk.
    Snapshot,
    /// The store.
    Store,
}

/// Status of the switches of a program.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Source of the document in force.
    pub source: Source,
    /// Its generation; 0 without one.
    pub generation: u64,
    /// Since when the store has not been read successfully; zero while all is well. A store that hangs shows after
    /// three times the poll.
    #[serde(rename = "stale_for_ms", serialize_with = "millis")]
    pub stale_for: Duration,
    /// Reason if the store's present document was rejected.
    pub refused: Option<String>,
    /// Documents refused since the program began.
    pub refusals: u64,
    /// Changes that this program made or refused and the audit has no entry of.
    pub unrecorded: u64,
    /// Reason if the last-good file could not be written, or another program with another store writes it.
    pub snapshot: Option<String>,
    /// Switches of the program that the document does not know.
    pub unknown: Vec<&'static str>,
    /// Switches of the program that are retired: what they turned off is on for good.
    pub retired: Vec<&'static str>,
    /// Switches whose definition has expired.
    pub expired: Vec<String>,
    /// Switches that are still engaged though the time of their engagement is over: it says
    /// [`Keep`](super::ExpiryAction::Keep), or a pin keeps it. It needs a decision.
    pub overdue: Vec<String>,
    /// Switches of the program that declare another `on_unknown` than their definition. The program's own holds.
    pub differing: Vec<&'static str>,
    /// Switches of the program that are engaged and do not block requests here that they are meant for.
    pub not_in_force: Vec<NotInForce>,
}

/// A switch that is engaged and does not block requests here that it is meant for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct NotInForce {
    /// The switch.
    pub switch: &'static str,
    /// The reason, and what to do: a sentence after the name.
    pub why: String,
}

fn millis<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl Status {
    /// Warnings for readiness, a sentence each; none of them takes traffic away. Empty
    /// while all is well.
    pub fn warnings(&self) -> Vec<String> {
        let of = |what: &str, names: &[String]| names.iter().map(|name| format!("kill switch {name} {what}")).collect();
        let own = |names: &[&'static str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let doubts = self.not_in_force.iter().map(|NotInForce { switch, why }| format!("kill switch {switch} {why}"));
        // Where no document can be read, to define the switch is no help.
        let is_unread = self.source == Source::Nothing && self.refused.is_some();
        let unknown = if is_unread { &[][..] } else { &self.unknown };
        let told: [Vec<String>; 6] = [
            doubts.collect(),
            of("has an expired definition: define it anew with a later date, or retire it", &self.expired),
            of("is still engaged after its expiry: release or extend it", &self.overdue),
            of("is not in the document: define it", &own(unknown)),
            of("is retired, so it blocks nothing any more: remove its gate from the program", &own(&self.retired)),
            of(
                "declares another on_unknown in the program than in its definition: change one of them",
                &own(&self.differing),
            ),
        ];
        let store = (!self.stale_for.is_zero()).then(|| match &self.refused {
            Some(why) => format!("kill switches could not read their store for {:?}: {why}", self.stale_for),
            None if self.source == Source::Store => {
                format!("kill switches could not read their store for {:?}", self.stale_for)
            }
            None => format!("kill switches found no document in their store for {:?}", self.stale_for),
        });
        let refused = self.refused.as_ref().filter(|_| self.stale_for.is_zero());
        let refused = refused.map(|why| {
            format!("the document in the store was rejected, and the kill switches keep the one before: {why}")
        });
        let unrecorded = (self.unrecorded > 0)
            .then(|| format!("{} changes of kill switches were not written to the audit", self.unrecorded));
        let told = store.into_iter().chain(refused).chain(told.into_iter().flatten());
        told.chain(unrecorded).chain(self.snapshot.clone()).collect()
    }
}

/// Returns whether a switch is engaged for longer than its engagement said.
pub(super) fn is_overdue(switch: &Switch, now: Timestamp) -> bool {
    let expires = switch.engaged.as_ref().and_then(|engaged| engaged.expires);
    expires.is_some_and(|expiry| expiry.at <= now) && switch.is_engaged(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Status {
        Status {
            source: Source::Store,
            generation: 7,
            stale_for: Duration::ZERO,
            refused: None,
            refusals: 0,
            unrecorded: 0,
            snapshot: None,
            unknown: Vec::new(),
            retired: Vec::new(),
            expired: Vec::new(),
            overdue: Vec::new(),
            differing: Vec::new(),
            not_in_force: Vec::new(),
        }
    }

    #[test]
    fn what_somebody_should_look_at_is_told_and_nothing_else() {
        assert_eq!(well().warnings(), [""; 0]);
        let expired = Status { expired: vec!["recs".into()], overdue: vec!["ads".into()], ..well() };
        let told = expired.warnings();
        assert!(
            told[0].starts_with("kill switch recs has an expired definition")
                && told[1].contains("ads is still engaged after its expiry")
        );
        let odd = Status { unknown: vec!["a"], differing: vec!["b"], unrecorded: 2, ..well() };
        let told = odd.warnings();
        assert!(told.len() == 3 && told[2] == "2 changes of kill switches were not written to the audit", "{told:?}");
        let (stale_for, refused) = (Duration::from_secs(9), Some("no such file".to_owned()));
        let stale = Status { stale_for, refused: refused.clone(), ..well() };
        assert_eq!(stale.warnings(), ["kill switches could not read their store for 9s: no such file"]);
        let empty = Status { stale_for, source: Source::Nothing, ..well() };
        assert_eq!(empty.warnings(), ["kill switches found no document in their store for 9s"]);
        let (retired, snapshot) = (vec!["recs"], Some("the snapshot cannot be written".to_owned()));
        let told = Status { snapshot, retired, ..well() }.warnings();
        assert!(told[0].contains("recs is retired") && told[1].contains("snapshot"), "{told:?}");
        let nothing =
            Status { stale_for, refused: refused.clone(), source: Source::Nothing, unknown: vec!["a"], ..well() };
        assert_eq!(nothing.warnings().len(), 1, "to define it is no help where it cannot be read");
        let why = "is engaged, but 3 requests passed".to_owned();
        let doubtful = Status { not_in_force: vec![NotInForce { switch: "recs", why }], ..well() };
        assert_eq!(doubtful.warnings(), ["kill switch recs is engaged, but 3 requests passed"]);
        let kept = Status { refused, ..well() };
        assert_eq!(
            kept.warnings(),
            ["the document in the store was rejected, and the kill switches keep the one before: no such file"]
        );
    }
}
