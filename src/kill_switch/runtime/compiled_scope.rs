//! A scope as a request is held against it.

use crate::kill_switch::model::percent::Share;
use crate::kill_switch::model::{KeyHash, Scope, SwitchId};
use crate::kill_switch::target::Target;
use std::collections::BTreeSet;

/// Up to here comparing one after the other is faster than halving.
const FEW: usize = 8;

/// A scope compiled for one switch: asking it allocates nothing.
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
#[derive(Clone, Debug)]
pub struct CompiledScope {
    routes: Option<Routes>,
    tenants: Values,
    regions: Values,
    audiences: Values,
    share: Option<Share>,
    is_never: bool,
}

impl CompiledScope {
    /// Compiles a scope. One that [`Scope::check`] refuses matches nothing.
    pub fn new(switch: &SwitchId, scope: &Scope) -> Self {
        let share = scope.share();
        Self {
            routes: Routes::new(&scope.routes),
            tenants: Values::new(&scope.tenants),
            regions: Values::new(&scope.regions),
            audiences: Values::new(&scope.audiences),
            share: share.and_then(|share| share.share_of(switch)),
            is_never: scope.check().is_err(),
        }
    }

    /// Returns whether a request is inside. `hash` is [`Target::key_hash`] of the same target.
    pub fn matches(&self, target: &Target<'_>, hash: &mut KeyHash<'_>) -> bool {
        !self.is_never
            && self.routes.as_ref().is_none_or(|routes| target.route.is_some_and(|route| routes.contain(route)))
            && self.tenants.contain(target.tenant)
            && self.regions.contain(target.region)
            && self.audiences.contain(target.audience)
            && self.share.is_none_or(|share| hash.get().is_some_and(|hash| share.contains(hash)))
    }
}

/// The values of one dimension, in order; none are all.
#[derive(Clone, Debug)]
struct Values(Box<[Box<str>]>);

impl Values {
    fn new(values: &BTreeSet<String>) -> Self {
        Self(values.iter().map(|value| Box::from(&**value)).collect())
    }

    fn contain(&self, given: Option<&str>) -> bool {
        self.0.is_empty() || given.is_some_and(|given| is_among(&self.0, given))
    }
}

#[derive(Clone, Debug)]
struct Routes {
    exact: Box<[Box<str>]>,
    prefixes: Box<[Box<str>]>,
}

impl Routes {
    fn new(routes: &BTreeSet<String>) -> Option<Self> {
        let (mut exact, mut prefixes) = (Vec::new(), Vec::new());
        for route in routes {
            match route.strip_suffix('*') {
                Some(prefix) => prefixes.push(Box::from(prefix)),
                None => exact.push(Box::from(&**route)),
            }
        }
        let is_any = !exact.is_empty() || !prefixes.is_empty();
        is_any.then(|| Self { exact: exact.into(), prefixes: prefixes.into() })
    }

    fn contain(&self, given: &str) -> bool {
        is_among(&self.exact, given) || self.prefixes.iter().any(|prefix| given.starts_with(&**prefix))
    }
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
        assert!(matches(&Scope::new().percent(100.0), Target::new()), "all of what has no key");
        assert!(matches(&Scope::new().region("eu"), Target::new().or_region(Some("eu"))));
        assert!(!matches(&Scope::new().region("eu"), Target::new().region("us").or_region(Some("eu"))));
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
