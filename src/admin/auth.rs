//! Authorization of requests: the token, and protection against other sites in a browser.

use super::access::Current;
use super::problem::Problem;
use crate::clock::timestamp;
use crate::kill_switch::access::{AccessList, Actor, Denied, Switches, Verb};
use http::StatusCode;
use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use http::uri::Authority;
use std::net::IpAddr;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The actor that may do all of this to that switch; `None` for reads without any token configured.
///
/// # Errors
///
/// 401 if the token is unknown or expired, 403 if it lacks the verb or the switch.
pub(super) fn admit(
    access: &Current,
    headers: &HeaderMap,
    verbs: &[Verb],
    switch: Option<&str>,
) -> Result<Option<Actor>, Problem> {
    if access.is_open && verbs == [Verb::View] {
        return Ok(None);
    }
    let (presented, now) = (presented(headers), timestamp());
    let mut actor = None;
    for verb in verbs {
        actor = Some(access.authorize(presented, *verb, switch, now).map_err(refused)?);
    }
    actor.map(Some).ok_or_else(Problem::unauthorized)
}

/// As [`admit`], before the switch is known: a grant for any switch is enough.
pub(super) fn admit_some(access: &AccessList, headers: &HeaderMap, verb: Verb) -> Result<(), Problem> {
    match access.authorize(presented(headers), verb, None, timestamp()) {
        Ok(_) | Err(Denied::WrongSwitch) => Ok(()),
        Err(denied) => Err(refused(denied)),
    }
}

/// The switches that a request may see; `None` if no token is configured.
///
/// # Errors
///
/// As [`admit`].
pub(super) fn visible<'a>(access: &'a Current, headers: &HeaderMap) -> Result<Option<&'a Switches>, Problem> {
    if access.is_open {
        return Ok(None);
    }
    access.switches_of(presented(headers), Verb::View, timestamp()).map(Some).map_err(refused)
}

/// The actor of the token, whatever its rights; `None` if it is unknown or expired.
pub(super) fn whose(access: &AccessList, headers: &HeaderMap) -> Option<Actor> {
    access.whose(presented(headers), timestamp())
}

/// The token of a request that has exactly one; otherwise the empty text, which is no known token.
fn presented(headers: &HeaderMap) -> &str {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else { return "" };
    match one.to_str().ok().and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token,
        _ => "",
    }
}

fn refused(denied: Denied) -> Problem {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "backstop::admin", code = denied.code(), "admin denied a request");
    match denied {
        Denied::WrongVerb | Denied::WrongSwitch => Problem::forbidden(denied.code()),
        _ => Problem::unauthorized(),
    }
}

/// Keeps pages of other sites out, which a browser on an operator's machine would ask on their behalf: by the origin that the
/// browser states, and, if no token is required, by the host name in the request.
///
/// # Errors
///
/// 403.
pub(super) fn same_site<B>(access: &Current, request: &http::Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // HTTP/2 has it in the place of a header.
    let host = text(HOST).or_else(|| request.uri().authority().map(Authority::as_str)).unwrap_or_default();
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host));
    let is_foreign = text(ORIGIN).is_some_and(|origin| !is_own(origin))
        || text(SEC_FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none");
    // A foreign name that resolves here: the browser takes this for that site's own page. A proxy is asked by anybody.
    // nginx adds no header by itself, but asks with HTTP/1.0.
    let is_proxied = request.version() == http::Version::HTTP_10 || headers.keys().any(is_of_proxy);
    let is_rebound = access.is_open && (is_proxied || !is_local(host));
    if is_foreign || is_rebound {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "requests from pages of other sites are rejected, and without an access list those through a proxy",
        ));
    }
    Ok(())
}

/// Returns whether a proxy adds a header of this name: `X-Forwarded-Proto`, `X-Real-IP`, `CF-Connecting-IP`,
/// `X-Client-IP`, `X-Azure-ClientIP`, `X-Envoy-External-Address`. No client has one of them by itself.
fn is_of_proxy(name: &HeaderName) -> bool {
    let name = name.as_str();
    let begins = ["forwarded", "x-forwarded", "x-original-", "x-envoy-", "cf-", "cdn-"];
    name == "via" || name.ends_with("ip") || begins.iter().any(|begin| name.starts_with(begin))
}

fn is_local(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_presented_once_and_by_its_scheme() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            headers
        };
        for (values, token) in [
            (vec!["Bearer t"], "t"),
            (vec!["bearer t"], "t"),
            (vec!["Basic t"], ""),
            (vec!["t"], ""),
            (vec!["Bearer t", "Bearer t"], ""),
            (vec!["Bearer \u{e9}"], ""),
            (vec![], ""),
        ] {
            assert_eq!(presented(&headers(&values)), token, "{values:?}");
        }
    }

    #[test]
    fn headers_of_proxies_are_told_from_those_of_clients() {
        for (proxies, names) in [
            (true, "forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-server x-real-ip"),
            (
                true,
                "x-client-ip x-cluster-client-ip true-client-ip fastly-client-ip x-azure-clientip x-appengine-user-ip",
            ),
            (true, "cf-connecting-ip cf-ray cdn-loop x-original-url x-envoy-external-address x-envoy-internal"),
            (false, "host user-agent accept accept-encoding accept-language connection cookie dnt referer origin te"),
            (
                false,
                "authorization content-type sec-fetch-site sec-ch-ua upgrade-insecure-requests x-request-id traceparent",
            ),
        ] {
            for name in names.split(' ') {
                assert_eq!(is_of_proxy(&HeaderName::from_static(name)), proxies, "{name}");
            }
        }
    }

    #[test]
    fn without_tokens_only_local_names_are_answered() {
        for (host, expected) in [
            ("localhost:9901", true),
            ("127.0.0.1:9901", true),
            ("[::1]:9901", true),
            ("evil.example:9901", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(is_local(host), expected, "{host}");
        }
    }
}
