//! Target: the dimensions that a request states for the scope of a switch.

use crate::kill_switch::model::KeyHash;

/// Dimensions of a request, as far as they are known. Borrowed, and made for each request.
///
/// A request that lacks a dimension passes every scope that asks for it, and is counted
/// (`backstop_kill_switch_undecided_total`): state each dimension that an operator may name. An empty value states
/// nothing.
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::Target;
///
/// let target = Target::new().route("/recs/home").tenant("acme").key("user-17");
/// # let _ = target;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "it is what a switch is asked about"]
pub struct Target<'a> {
    pub(super) route: Option<&'a str>,
    pub(super) tenant: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    pub(super) audience: Option<&'a str>,
    pub(super) key: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Says nothing yet.
    pub const fn new() -> Self {
        Self { route: None, tenant: None, region: None, audience: None, key: None }
    }

    /// The path that is asked for, from the root of the server. A query is left out, and `%61` is read as `a`.
    ///
    /// A router that nests another strips the prefix from what the inner one sees: state the original path, as the
    /// [guide](crate::guide::kill_switches) does.
    pub const fn route(mut self, route: &'a str) -> Self {
        self.route = stated(route);
        self
    }

    /// The tenant that the request is for.
    pub const fn tenant(mut self, tenant: &'a str) -> Self {
        self.tenant = stated(tenant);
        self
    }

    /// The region that the request is for. Default: the process's own.
    pub const fn region(mut self, region: &'a str) -> Self {
        self.region = stated(region);
        self
    }

    /// The audience that the request is from.
    pub const fn audience(mut self, audience: &'a str) -> Self {
        self.audience = stated(audience);
        self
    }

    /// Key of a percentage: a user's or an order's number. The same key is always on the same side. Anonymous
    /// requests have none: an empty key would put all of them on one side.
    pub const fn key(mut self, key: &'a str) -> Self {
        self.key = stated(key);
        self
    }

    /// The same target, in this region if it names none.
    pub fn or_region(mut self, region: Option<&'a str>) -> Self {
        self.region = self.region.or(region);
        self
    }

    /// The hash of the key, for the rules that ask for it: made once for a request, not once for a rule.
    pub const fn key_hash(&self) -> KeyHash<'a> {
        KeyHash::of(self.key)
    }
}

const fn stated(value: &str) -> Option<&str> {
    if value.is_empty() { None } else { Some(value) }
}

/// A target that says nothing: only a switch that is engaged for all matters to it.
#[derive(Clone, Copy, Debug)]
pub struct Anyone;

impl<Request> Targets<Request> for Anyone {
    fn target<'a>(&self, _: &'a Request) -> Target<'a> {
        Target::new()
    }
}

/// Source of the target of a request. Implemented by functions from a request to its [`Target`].
pub trait Targets<Request> {
    /// The target of the request.
    fn target<'a>(&self, request: &'a Request) -> Target<'a>;
}

impl<Request, F> Targets<Request> for F
where
    F: for<'a> Fn(&'a Request) -> Target<'a>,
{
    fn target<'a>(&self, request: &'a Request) -> Target<'a> {
        self(request)
    }
}
