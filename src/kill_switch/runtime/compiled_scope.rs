//! A scope as a request is held against it.

use crate::kill_switch::model::percent::Share;
use crate::kill_switch::model::{KeyHash, Scope, SwitchId};
use crate::kill_switch::target::Target;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Up to here comparing one after the other is faster than halving.
const FEW: usize = 8;

/// The dimensions of a target, in the order of the bits of [`Match::Undecided`].
pub(crate) const DIMENSIONS: [&str; 5] = ["route", "tenant", "region", "audience", "key"];

/// Result of holding a request against a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Inside,
    Outside,
    /// Nothing that the request states is outside, and it lacks these dimensions.
    Undecided(u8),
}

/// A scope compiled for one switch: asking it allocates nothing, except for a route with escapes in it.
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::{CompiledScope, Scope, SwitchId, Target};
///
/// let rule = CompiledScope::new(&SwitchId::new("recs")?, &Scope::new().route("/recs/*").percent(10.0));
/// let target = Target::new().route("/recs/home").key("user-17");
/// let mut hash = target.key_hash(); // shared by all rules that the request is held against
/// assert!(!rule.matches(&Target::new().route("/pay"), &mut hash));
/// # rule.matches(&target, &mut hash);
/// # Ok::<_, backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledScope {
    routes: Option<Routes>,
    tenants: Values,
    regions: Values,
    audiences: Values,
    share: Option<Share>,
    is_never: bool,
}

impl CompiledScope {
    /// Compiles a scope. One that no document may hold matches nothing.
    pub fn new(switch: &SwitchId, scope: &Scope) -> Self {
        let share = scope.share();
        Self {
            routes: Routes::new(&scope.routes),
            tenants: Values::new(&scope.tenants),
            regions: Values::new(&scope.regions),
            audiences: Values::new(&scope.audiences),
            share: share.and_then(|share| share.share_of(switch)),
            is_never: !scope.is_allowed(),
        }
    }

    /// Returns whether a request is inside. `hash` is [`Target::key_hash`] of the same target.
    pub fn matches(&self, target: &Target<'_>, hash: &mut KeyHash<'_>) -> bool {
        self.compare(target, hash) == Match::Inside
    }

    /// Its share of so many requests, if they are of many keys.
    pub(crate) fn share_of(&self, requests: u64) -> u64 {
        self.share.map_or(requests, |share| share.of(requests))
    }

    /// As [`matches`](Self::matches), but distinguishes a request outside the scope from one that lacks a dimension.
    pub(crate) fn compare(&self, target: &Target<'_>, hash: &mut KeyHash<'_>) -> Match {
        let mut missing = 0;
        let mut may_be = |dimension: u8, is_inside: Option<bool>| {
            missing |= u8::from(is_inside.is_none()) << dimension;
            is_inside.unwrap_or(true)
        };
        let is_possible = !self.is_never
            && self.routes.as_ref().is_none_or(|routes| may_be(0, target.route.map(|route| routes.contain(route))))
            && may_be(1, self.tenants.contain(target.tenant))
            && may_be(2, self.regions.contain(target.region))
            && may_be(3, self.audiences.contain(target.audience))
            && self.share.is_none_or(|share| may_be(4, hash.get().map(|hash| share.contains(hash))));
        match missing {
            _ if !is_possible => Match::Outside,
            0 => Match::Inside,
            missing => Match::Undecided(missing),
        }
    }
}

/// The values of one dimension, in order; none are all.
#[derive(Clone, Debug, PartialEq)]
struct Values(Box<[Box<str>]>);

impl Values {
    fn new(values: &BTreeSet<String>) -> Self {
        Self(values.iter().map(|value| Box::from(&**value)).collect())
    }

    /// `None` if the request lacks what is asked for.
    fn contain(&self, given: Option<&str>) -> Option<bool> {
        if self.0.is_empty() { Some(true) } else { given.map(|given| is_among(&self.0, given)) }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Routes {
    exact: Box<[Box<str>]>,
    prefixes: Box<[Box<str>]>,
}

impl Routes {
    fn new(routes: &BTreeSet<String>) -> Option<Self> {
        let (mut exact, mut prefixes) = (Vec::new(), Vec::new());
        for route in routes {
            match route.strip_suffix('*') {
                Some(prefix) => prefixes.push(plain(prefix).into()),
                None => exact.push(plain(route).into()),
            }
        }
        exact.sort_unstable();
        let is_any = !exact.is_empty() || !prefixes.is_empty();
        is_any.then(|| Self { exact: exact.into(), prefixes: prefixes.into() })
    }

    fn contain(&self, given: &str) -> bool {
        let given = &*plain(given);
        is_among(&self.exact, given) || self.prefixes.iter().any(|prefix| given.starts_with(&**prefix))
    }
}

/// A path without its query and with its escapes decoded: `/a%62?c` is `/ab`.
fn plain(path: &str) -> Cow<'_, str> {
    let path = path.split_once(['?', '#']).map_or(path, |(path, _)| path);
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let (bytes, mut read, mut at) = (path.as_bytes(), Vec::with_capacity(path.len()), 0);
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| digit(at + 1).zip(digit(at + 2))).flatten();
        let escaped = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        read.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    Cow::Owned(String::from_utf8_lossy(&read).into_owned())
}

fn is_among(sorted: &[Box<str>], given: &str) -> bool {
    // Names of one kind are often of one length and differ at their end: looking there first halves the time.
    let last = given.as_bytes().last();
    if sorted.len() <= FEW {
        sorted.iter().any(|value| value.as_bytes().last() == last && **value == *given)
    } else {
        sorted.binary_search_by(|value| (**value).cmp(given)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(scope: &Scope, target: Target<'_>) -> bool {
        CompiledScope::new(&SwitchId::new("recs").unwrap(), scope).matches(&target, &mut target.key_hash())
    }

    #[test]
    fn dimensions_are_and_and_values_are_or() {
        let scope = Scope::new().route("/recs/*").route("/home").tenant("a").tenant("b");
        let at = |route, tenant| matches(&scope, Target::new().route(route).tenant(tenant));
        assert!(at("/recs/x", "a") && at("/recs/", "b") && at("/home", "b"));
        assert!(!at("/recs", "a") && !at("/homes", "a") && !at("/home", "c"));
    }

    #[test]
    fn what_is_not_said_is_outside_of_what_asks_for_it() {
        for scope in [
            Scope::new().route("*"),
            Scope::new().tenant("a"),
            Scope::new().region("a"),
            Scope::new().audience("a"),
            Scope::new().percent(99.999_9),
        ] {
            assert!(!matches(&scope, Target::new()), "{scope:?}");
        }
        assert!(matches(&Scope::all(), Target::new()));
        assert!(!matches(&Scope::new().percent(99.999_9), Target::new().key("")), "an empty key is none");
        assert!(matches(&Scope::new().percent(100.0), Target::new()), "all of what has no key");
        assert!(matches(&Scope::new().region("eu"), Target::new().or_region(Some("eu"))));
        assert!(!matches(&Scope::new().region("eu"), Target::new().region("us").or_region(Some("eu"))));
    }

    #[test]
    fn what_is_missing_is_told_unless_something_stated_is_outside() {
        let id = SwitchId::new("recs").unwrap();
        let rule = CompiledScope::new(&id, &Scope::new().route("/recs").tenant("acme").percent(10.0));
        let compare = |target: Target<'_>| rule.compare(&target, &mut target.key_hash());
        assert_eq!(compare(Target::new().route("/recs")), Match::Undecided(0b1_0010));
        assert_eq!(compare(Target::new().tenant("acme").key("")), Match::Undecided(0b1_0001));
        assert_eq!(compare(Target::new().route("/pay")), Match::Outside);
        assert_eq!(compare(Target::new().tenant("globex")), Match::Outside);
        let all = CompiledScope::new(&id, &Scope::new().percent(100.0));
        assert_eq!(all.compare(&Target::new(), &mut Target::new().key_hash()), Match::Inside);
    }

    #[test]
    fn a_route_is_compared_as_it_reads_without_escapes_and_query() {
        let at = |scope: &str, route| matches(&Scope::new().route(scope), Target::new().route(route));
        for (scope, route) in [
            ("/tenants/acme/*", "/tenants/%61cme/x"),
            ("/tenants/%61cme/*", "/tenants/acme/x"),
            ("/recs", "/recs?page=2"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/100%", "/100%"),
            ("/a%2", "/a%2"),
            ("/b%2", "/%62%2"),
        ] {
            assert!(at(scope, route), "{scope} {route}");
        }
        assert!(!at("/recs", "/rec%74") && !at("/recs", "/%2572ecs"), "and once only");
    }

    #[test]
    fn a_scope_that_is_not_allowed_contains_nothing() {
        assert!(!matches(&Scope::new(), Target::new()));
        assert!(!matches(&Scope::new().percent(1e9), Target::new().key("a")));
    }

    #[test]
    fn many_values_are_found_like_few() {
        for count in [1, FEW, FEW + 1, 100] {
            let scope = (0..count).fold(Scope::new(), |scope, number| scope.tenant(format!("tenant-{number}")));
            let found = |number: usize| matches(&scope, Target::new().tenant(&format!("tenant-{number}")));
            assert!((0..count).all(found) && !found(count));
        }
    }
}
