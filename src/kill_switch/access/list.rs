//! List of grants, and the check of a token against it.

use super::grant::{Grant, Switches, Verb};
use super::token::Token;
use crate::clock::Timestamp;
use crate::config::{ConfigError, Problems};
use crate::kill_switch::model::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable};

/// Maximum number of grants: a request is compared with each.
pub(super) const GRANTS_MAX: usize = 1_000;
/// Live tokens of an actor: the present one and its successor.
const LIVE_MAX: usize = 2;
/// Maximum length of an actor's name and of a switch's id, in bytes.
const NAME_MAX: usize = 128;

/// All grants there are. They have been checked together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessList {
    pub(super) grants: Vec<Grant>,
}

impl AccessList {
    /// Checks grants together: 1,000 at most, no two for one token, and two live ones for an actor at most, so
    /// that a token can be replaced while the old one still works.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn new(grants: impl IntoIterator<Item = Grant>, now: Timestamp) -> Result<Self, ConfigError> {
        let grants: Vec<_> = grants.into_iter().collect();
        let mut problems = Problems::default();
        let numbered: Vec<_> = (1..).zip(&grants).collect();
        check(&mut problems, &numbered, now);
        problems.into_result(Self { grants })
    }

    /// The grants, in the order in which they were given.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The holder of this token, if it has the verb for the switch now.
    ///
    /// `None` for the switch asks for what concerns no one switch in particular. The text is compared with every
    /// grant, in a time that does not depend on which of them it belongs to.
    ///
    /// # Errors
    ///
    /// The reason, which must not be shown to the client.
    pub fn authorize(&self, token: &str, verb: Verb, switch: Option<&str>, now: Timestamp) -> Result<Actor, Denied> {
        let grant = self.live_grant(token, now)?;
        if !grant.verbs.contains(&verb) {
            Err(Denied::WrongVerb)
        } else if !grant.switches.contains(switch) {
            Err(Denied::WrongSwitch)
        } else {
            Ok(Actor(grant.actor.as_str().into()))
        }
    }

    /// The actor of this token; `None` if it is unknown or expired.
    pub fn whose(&self, token: &str, now: Timestamp) -> Option<Actor> {
        self.live_grant(token, now).ok().map(|grant| Actor(grant.actor.as_str().into()))
    }

    /// The switches for which the holder of this token has the verb.
    ///
    /// # Errors
    ///
    /// As [`authorize`](Self::authorize).
    pub fn switches_of(&self, token: &str, verb: Verb, now: Timestamp) -> Result<&Switches, Denied> {
        let grant = self.live_grant(token, now)?;
        if grant.verbs.contains(&verb) { Ok(&grant.switches) } else { Err(Denied::WrongVerb) }
    }

    fn live_grant(&self, token: &str, now: Timestamp) -> Result<&Grant, Denied> {
        let parsed = Token::parse(token);
        let hash = parsed.as_ref().map_or(Sha256::NONE, Token::hash);
        let mut place = u64::MAX;
        for (here, grant) in (0_u64..).zip(&self.grants) {
            place.conditional_assign(&here, grant.token.equals(&hash));
        }
        let is_token = Choice::from(u8::from(parsed.is_ok()));
        place.conditional_assign(&u64::MAX, !is_token);
        let Some(grant) = usize::try_from(place).ok().and_then(|place| self.grants.get(place)) else {
            return Err(if token.is_empty() { Denied::NoToken } else { Denied::Unknown });
        };
        if grant.is_live(now) { Ok(grant) } else { Err(Denied::Expired) }
    }
}

/// Name of an actor, as the audit keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor(Arc<str>);

impl Actor {
    /// The name, as the grant has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reason of a denial. All have the same text, so that a stranger learns nothing from the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[error("not authorized")]
#[non_exhaustive]
pub enum Denied {
    /// No token was presented.
    NoToken,
    /// The text is not a token, or the token is unknown.
    Unknown,
    /// The token has expired.
    Expired,
    /// The token lacks the verb.
    WrongVerb,
    /// The token lacks the switch.
    WrongSwitch,
}

impl Denied {
    /// The reason in one word, for the log and the metrics; not for the answer.
    pub fn code(self) -> &'static str {
        self.into()
    }
}

/// Adds everything that is wrong with these grants, which have numbers.
pub(super) fn check(problems: &mut Problems, grants: &[(usize, &Grant)], now: Timestamp) {
    if grants.len() > GRANTS_MAX {
        problems.add("grants", grants.len(), format!("{GRANTS_MAX} at most"));
        return;
    }
    let mut tokens = BTreeSet::new();
    let mut live: BTreeMap<&str, usize> = BTreeMap::new();
    for &(number, grant) in grants {
        let whose = Whose { number, actor: &grant.actor };
        if !is_name(&grant.actor) {
            problems.add(
                "grants.actor",
                &whose,
                format!("1 to {NAME_MAX} bytes, not blank and without control characters"),
            );
        }
        if grant.token == Sha256::NONE {
            problems.add("grants.token", &whose, "the hash of a token");
        } else if !tokens.insert(grant.token.to_string()) {
            problems.add("grants.token", &whose, "another one than those of the grants before");
        }
        if grant.verbs.is_empty() {
            problems.add("grants.verbs", &whose, "one verb at least");
        }
        if let Switches::Only(ids) = &grant.switches
            && (ids.is_empty() || ids.len() > GRANTS_MAX || !ids.iter().all(|id| is_name(id)))
        {
            problems.add("grants.switches", &whose, format!("\"all\" or a list of 1 to {GRANTS_MAX} ids of switches"));
        }
        if grant.is_live(now) {
            let count = live.entry(&grant.actor).or_default();
            *count += 1;
            if *count == LIVE_MAX + 1 {
                problems.add("grants.expires", &whose, format!("past, as {LIVE_MAX} grants of the actor are live"));
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= NAME_MAX && !text.chars().any(char::is_control)
}

/// The grant of a problem, with its name escaped and cut.
pub(super) struct Whose<'a> {
    pub(super) number: usize,
    pub(super) actor: &'a str,
}

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actor: String = self.actor.chars().take(32).flat_map(char::escape_debug).collect();
        write!(f, "that of grant {} (\"{actor}\")", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u8) -> Timestamp {
        format!("2026-11-20T{hour:02}:00:00Z").parse().unwrap()
    }

    fn token(number: u8) -> Token {
        Token::from_bytes([number; 32])
    }

    fn grant(actor: &str, number: u8) -> Grant {
        Grant::new(actor, token(number).hash(), at(12)).verbs([Verb::View, Verb::Engage]).switches(Switches::All)
    }

    fn fields(error: &ConfigError) -> Vec<&str> {
        error.problems().iter().map(crate::config::Problem::field).collect()
    }

    #[test]
    fn a_token_is_good_for_its_verbs_and_switches_until_it_expires() {
        let only = grant("bo", 2).switches(Switches::only(["recs"]));
        let list = AccessList::new([grant("ada", 1), only], at(10)).unwrap();
        let ask = |number, verb, switch, hour| list.authorize(&token(number).reveal(), verb, switch, at(hour));
        assert_eq!(ask(1, Verb::Engage, Some("any"), 11).unwrap().as_str(), "ada");
        assert_eq!(ask(1, Verb::Engage, None, 11).unwrap().as_str(), "ada");
        assert_eq!(ask(1, Verb::Engage, Some("any"), 12), Err(Denied::Expired));
        assert_eq!(ask(1, Verb::Release, Some("any"), 11), Err(Denied::WrongVerb));
        assert_eq!(ask(2, Verb::View, Some("recs"), 11).unwrap().as_str(), "bo");
        assert_eq!(ask(2, Verb::View, Some("recs2"), 11), Err(Denied::WrongSwitch));
        assert_eq!(ask(2, Verb::View, None, 11), Err(Denied::WrongSwitch));
        assert_eq!(ask(3, Verb::View, None, 11), Err(Denied::Unknown));
    }

    #[test]
    fn each_verb_is_granted_alone() {
        for granted in Verb::ALL {
            let list = AccessList::new([grant("ada", 1).verbs([granted])], at(10)).unwrap();
            for asked in Verb::ALL {
                let answer = list.authorize(&token(1).reveal(), asked, None, at(10));
                assert_eq!(answer.is_ok(), granted == asked, "{granted:?} {asked:?}");
            }
        }
    }

    #[test]
    fn every_place_in_the_list_is_found_and_nothing_else_is() {
        let names: Vec<_> = (0..100).map(|number| format!("actor {number}")).collect();
        let grants = (0..).zip(&names).map(|(number, name)| grant(name, number));
        let list = AccessList::new(grants, at(10)).unwrap();
        for (number, name) in (0..).zip(&names) {
            let actor = list.authorize(&token(number).reveal(), Verb::View, None, at(10)).unwrap();
            assert_eq!(actor.as_str(), name);
        }
        let text = token(1).reveal();
        let long = "x".repeat(1 << 20);
        for wrong in ["bks_", &text[4..], &text[..46], &long, "Bearer", "sha256:", &token(1).hash().to_string()] {
            assert_eq!(list.authorize(wrong, Verb::View, None, at(10)), Err(Denied::Unknown));
        }
        assert_eq!(list.authorize("", Verb::View, None, at(10)), Err(Denied::NoToken));
        assert_eq!(AccessList::default().authorize(&text, Verb::View, None, at(10)), Err(Denied::Unknown));
    }

    #[test]
    fn a_stranger_cannot_tell_one_refusal_from_another() {
        let all = [Denied::NoToken, Denied::Unknown, Denied::Expired, Denied::WrongVerb, Denied::WrongSwitch];
        assert!(all.iter().all(|denied| denied.to_string() == "not authorized"));
        let codes: BTreeSet<_> = all.iter().map(|denied| denied.code()).collect();
        assert_eq!(codes.len(), all.len());
    }

    #[test]
    fn an_actor_has_two_live_tokens_and_any_number_of_expired_ones() {
        let past = |number| Grant { expires: at(9), ..grant("ada", number) };
        let two = vec![past(1), past(2), past(3), grant("ada", 4), grant("ada", 5), grant("bo", 6)];
        assert!(AccessList::new(two.clone(), at(10)).is_ok());
        let error = AccessList::new(two, at(8)).unwrap_err();
        assert_eq!(fields(&error), ["grants.expires"], "{error}");
    }

    #[test]
    fn a_grant_without_a_token_is_refused_and_opens_nothing() {
        let none = Grant { token: Sha256::NONE, ..grant("ada", 1) };
        assert_eq!(fields(&AccessList::new([none.clone()], at(10)).unwrap_err()), ["grants.token"]);
        let list = AccessList { grants: vec![none] };
        assert_eq!(list.authorize("", Verb::View, None, at(10)), Err(Denied::NoToken));
        assert_eq!(list.authorize("bks_", Verb::View, None, at(10)), Err(Denied::Unknown));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let grants = [
            grant("a\nb", 1).verbs([]),
            grant("", 1).switches(Switches::only([""; 0])),
            grant(&"x".repeat(129), 2).switches(Switches::only(["a\tb"])),
        ];
        let error = AccessList::new(grants, at(10)).unwrap_err();
        let all = "grants.actor grants.verbs grants.actor grants.token grants.switches grants.actor grants.switches";
        assert_eq!(fields(&error).join(" "), all);
        assert_eq!(error.problems()[0].value(), "that of grant 1 (\"a\\nb\")");
        let many = (0..=1_000).map(|_| grant("ada", 1));
        assert_eq!(fields(&AccessList::new(many, at(10)).unwrap_err()), ["grants"]);
    }
}
