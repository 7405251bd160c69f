//! For whom a capability is off.

use super::{Percent, percent, text};
use crate::config::{ConfigError, Problems};
use std::collections::BTreeSet;

/// The most values of one dimension, and the most tenants: a list of those that an incident hits may be long.
const VALUES_MAX: usize = 100;
const TENANTS_MAX: usize = 10_000;
/// The longest route, in bytes.
const ROUTE_MAX: usize = 512;

/// For whom a capability is off: a route, tenant, region, audience and share of the keys, all of them at once.
///
/// Values of one dimension are alternatives: `.tenant("a").tenant("b")` is either. A request that says nothing about
/// a dimension that the scope names is outside, and one without a key is outside of every share but 100 %. A scope
/// that names nothing is refused: everything has to be said, with [`Scope::all`].
///
/// Valid: at most 100 values in a dimension (10,000 tenants), each of 1 to 128 bytes (a route 1 to 512), and none that no
/// request could state: blanks at an end, invisible characters, separators, quotes and wildcards in names, methods, hosts,
/// queries, parameters, patterns and `..` in routes; 0.0001 to 100 percent. Setters take everything; [`check`](Self::check) reports every problem, and so does the
/// change that uses the scope.
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::Scope;
///
/// let scope = Scope::new().route("/recs/*").tenant("acme").percent(10.0);
/// scope.check()?;
/// assert!(Scope::new().check().is_err(), "everything has to be said");
/// Scope::all().check()?;
/// # Ok::<_, backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
#[must_use = "pass it to a change"]
pub struct Scope {
    /// Everybody, everywhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The routes, in order; one may end with `*`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub routes: BTreeSet<String>,
    /// The tenants, in order.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tenants: BTreeSet<String>,
    /// The regions, in order.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub regions: BTreeSet<String>,
    /// The audiences, in order.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub audiences: BTreeSet<String>,
    #[serde(default, deserialize_with = "percent::normalized", skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
}

impl Scope {
    /// Names nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everybody, everywhere.
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Adds a route; one that ends with `*` stands for all that begin so.
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.routes.insert(route.into());
        self
    }

    /// Adds a tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenants.insert(tenant.into());
        self
    }

    /// Adds a region.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.regions.insert(region.into());
        self
    }

    /// Adds an audience: beta testers, employees.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.insert(audience.into());
        self
    }

    /// Takes a share of the keys, in percent. Valid: 0.0001 to 100, in steps of 0.0001.
    pub fn percent(mut self, percent: f64) -> Self {
        self.percent = Some(Percent::new(percent).map_or(percent, Percent::get));
        self
    }

    /// The share of the keys; 100 % if none was given. `None` if the number given is not a percentage.
    pub fn share(&self) -> Option<Percent> {
        self.percent.map_or(Some(Percent::FULL), |percent| Percent::new(percent).ok())
    }

    /// Adds its problems.
    ///
    /// # Errors
    ///
    /// A scope that names nothing, one that names something besides everything, and every value out of its range or that
    /// no request could state.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        self.check_at("scope", &mut problems);
        self.check_matches("scope", &mut problems);
        problems.into_result(())
    }

    /// Adds values that no request could state. A document that holds such a scope already stays valid.
    pub(crate) fn check_matches(&self, at: &str, problems: &mut Problems) {
        for (dimension, values, most) in self.dimensions() {
            let check = if dimension == "routes" { text::route } else { text::matched };
            // Those of another length are refused for it.
            for value in values.iter().filter(|value| (1..=most).contains(&value.len())) {
                check(&format!("{at}.{dimension}"), value, problems);
            }
        }
    }

    /// Returns whether a document may hold it.
    pub(crate) fn is_allowed(&self) -> bool {
        let mut problems = Problems::default();
        self.check_at("scope", &mut problems);
        problems.into_result(()).is_ok()
    }

    pub(crate) fn names_something(&self) -> bool {
        self.percent.is_some() || self.dimensions().iter().any(|(_, values, _)| !values.is_empty())
    }

    fn dimensions(&self) -> [(&'static str, &BTreeSet<String>, usize); 4] {
        [
            ("routes", &self.routes, ROUTE_MAX),
            ("tenants", &self.tenants, text::NAME_MAX),
            ("regions", &self.regions, text::NAME_MAX),
            ("audiences", &self.audiences, text::NAME_MAX),
        ]
    }

    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        if self.all && self.names_something() {
            problems.add(
                at.to_owned(),
                "all and more",
                "either all, or some of routes, tenants, regions, audiences and percent",
            );
        }
        if !self.all && !self.names_something() {
            problems.add(at.to_owned(), "nothing", "not empty; every request is \"all\": true");
        }
        for (dimension, values, most) in self.dimensions() {
            let at = format!("{at}.{dimension}");
            let limit = if dimension == "tenants" { TENANTS_MAX } else { VALUES_MAX };
            if values.len() > limit {
                problems.add(at.clone(), format!("{} values", values.len()), format!("at most {limit}"));
            }
            for value in values {
                text::bytes(&at, value, most, problems);
            }
        }
        if let Some(percent) = self.percent
            && Percent::new(percent).is_err()
        {
            problems.add(format!("{at}.percent"), percent, percent::ALLOWED);
        }
    }

    /// The scope of all requests inside either; `None` if they differ in more than one dimension, as one scope then has no
    /// words for it.
    pub(crate) fn union(&self, other: &Self) -> Option<Self> {
        if self.covers(other) || other.covers(self) {
            return Some(if self.covers(other) { self.clone() } else { other.clone() });
        }
        let percent = self.share().max(other.share()).map(Percent::get).filter(|_| self.percent.is_some());
        let mut union = Self { percent, ..self.clone() };
        let mut differing = usize::from(self.percent != other.percent);
        for (own, others) in [
            (&mut union.routes, &other.routes),
            (&mut union.tenants, &other.tenants),
            (&mut union.regions, &other.regions),
            (&mut union.audiences, &other.audiences),
        ] {
            differing += usize::from(own != others);
            own.extend(others.iter().cloned());
        }
        (differing <= 1).then_some(union)
    }

    /// Returns whether every request inside the other is inside this one, as far as their values show.
    pub fn covers(&self, other: &Self) -> bool {
        let has_route = |route: &String| {
            let prefixes = self.routes.iter().filter_map(|own| own.strip_suffix('*'));
            self.routes.contains(route) || prefixes.into_iter().any(|prefix| route.starts_with(prefix))
        };
        let has_routes = self.routes.is_empty() || !other.routes.is_empty() && other.routes.iter().all(has_route);
        let has = |own: &BTreeSet<String>, others: &BTreeSet<String>| {
            own.is_empty() || !others.is_empty() && others.is_subset(own)
        };
        self.all
            || self.names_something()
                && has_routes
                && has(&self.tenants, &other.tenants)
                && has(&self.regions, &other.regions)
                && has(&self.audiences, &other.audiences)
                && self.share() >= other.share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_names_nothing_is_not_everything() {
        for nothing in ["{}", r#"{"all":false}"#, r#"{"tenants":[]}"#, r#"{"percent":null}"#] {
            let error = serde_json::from_str::<Scope>(nothing).unwrap().check().unwrap_err().to_string();
            assert!(error.contains("scope: nothing is not allowed"), "{error}");
        }
        assert_eq!(serde_json::from_str::<Scope>(r#"{"all":true}"#).unwrap(), Scope::all());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let scope = Scope::all().tenant("").route("x".repeat(513)).percent(f64::NAN);
        let scope = (0..=100).fold(scope, |scope, number| scope.region(number.to_string()));
        let error = scope.check().unwrap_err();
        let fields: Vec<_> = error.problems().iter().map(|problem| problem.field().to_owned()).collect();
        assert_eq!(fields, ["scope", "scope.routes", "scope.tenants", "scope.regions", "scope.percent"]);
    }

    #[test]
    fn a_scope_is_written_and_read_as_the_same() {
        let scope = Scope::new().route("/b").route("/a/*").tenant("t").region("r").audience("x").percent(12.345_6);
        let written = serde_json::to_string(&scope).unwrap();
        assert_eq!(
            written,
            r#"{"routes":["/a/*","/b"],"tenants":["t"],"regions":["r"],"audiences":["x"],"percent":12.3456}"#
        );
        assert_eq!(serde_json::from_str::<Scope>(&written).unwrap(), scope);
        assert!(
            serde_json::from_str::<Scope>(r#"{"tenant":["a"]}"#).unwrap_err().to_string().contains("unknown field")
        );
    }

    #[test]
    fn two_scopes_are_added_where_one_dimension_differs() {
        let (acme, both) = (Scope::new().tenant("acme"), Scope::new().tenant("acme").tenant("initech"));
        assert_eq!(acme.union(&Scope::new().tenant("initech")), Some(both));
        assert_eq!(acme.union(&Scope::all()), Some(Scope::all()));
        assert_eq!(acme.clone().percent(1.0).union(&acme.clone().percent(5.0)), Some(acme.clone().percent(5.0)));
        assert_eq!(acme.clone().route("/a").union(&acme), Some(acme.clone()));
        assert_eq!(acme.clone().route("/a").union(&Scope::new().tenant("initech").route("/b")), None);
        assert_eq!(acme.union(&Scope::new().region("eu")), None, "more than both would be inside of neither");
    }

    #[test]
    fn a_scope_covers_what_is_narrower_in_every_dimension() {
        let wide = Scope::new().route("/a/*").route("/b").percent(10.0);
        for narrower in [
            Scope::new().route("/a/x").percent(10.0),
            Scope::new().route("/a/x*").tenant("t").percent(1.0),
            Scope::new().route("/b").route("/a/").region("eu").percent(0.5),
            wide.clone(),
        ] {
            assert!(wide.covers(&narrower) && Scope::all().covers(&narrower), "{narrower:?}");
        }
        for other in [
            Scope::all(),
            Scope::new().route("/b"),
            Scope::new().route("/a").percent(1.0),
            Scope::new().route("/*").percent(1.0),
            Scope::new().percent(1.0),
        ] {
            assert!(!wide.covers(&other), "{other:?}");
        }
    }
}
