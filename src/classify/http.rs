//! Outcomes of HTTP responses: by the head and, if that is a success, by the body.

use super::body::WatchBody;
use super::errors::of_error;
use super::status::{of_status, well};
use super::{Auto, Classified, Classify, grpc};
use crate::clock;
use crate::outcome::Side::{self, Inbound, Outbound};
use crate::outcome::{Classification, Outcome, Settle};
use crate::reject::Rejected;
use http::header::{DATE, HeaderMap, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::Body;
#[cfg(feature = "grpc")]
use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

impl<B: Body + 'static, E: 'static> Classify<Response<B>, E> for Auto {
    type Response<G: Settle> = Response<WatchBody<B, G>>;

    fn classify(&self, result: &Result<Response<B>, E>) -> Classified {
        with_body(result, Outbound, of_status)
    }

    fn classify_inbound(&self, result: &Result<Response<B>, E>) -> Classified {
        with_body(result, Inbound, of_status)
    }

    #[inline]
    fn watch<G: Settle>(&self, response: Response<B>, guard: Option<G>) -> Self::Response<G> {
        WatchBody::watch(response, guard)
    }
}

/// Classifies as [`Auto`] does, by the response's head alone. The body passes through untouched: one that fails is not
/// noticed, and a gRPC call whose status is in the trailers counts as a success.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpHead;

impl<B, E: 'static> Classify<Response<B>, E> for HttpHead {
    unwatched!(Response<B>);

    fn classify(&self, result: &Result<Response<B>, E>) -> Classified {
        head_alone(result, Outbound)
    }

    fn classify_inbound(&self, result: &Result<Response<B>, E>) -> Classified {
        head_alone(result, Inbound)
    }
}

fn head_alone<B, E: 'static>(result: &Result<Response<B>, E>, side: Side) -> Classified {
    match result {
        Ok(response) => {
            let head =
                Head { status: response.status(), headers: response.headers(), extensions: response.extensions() };
            head.classify(side, of_status).unwrap_or(well(response.status())).into()
        }
        Err(error) => of_error(error).into(),
    }
}

/// Classifies as [`Auto`] does, with other outcomes for some statuses.
///
/// # Examples
///
/// ```
/// use backstop::{CircuitBreaker, Outcome, classify::StatusRules};
///
/// let breaker = CircuitBreaker::new("search");
/// let layer = breaker.layer().classify(
///     StatusRules::new().status(501, Outcome::Success).status(404, Outcome::Failure),
/// );
/// ```
#[derive(Clone, Debug, Default)]
pub struct StatusRules {
    rules: Arc<Vec<(u16, Outcome)>>,
}

impl StatusRules {
    /// Without rules: the same as [`Auto`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the outcome of one status. A later rule for the same status wins.
    #[must_use]
    pub fn status(mut self, status: u16, outcome: Outcome) -> Self {
        let rules = Arc::make_mut(&mut self.rules);
        rules.retain(|(known, _)| *known != status);
        rules.push((status, outcome));
        self
    }

    fn of_status(&self, status: StatusCode, side: Side) -> Outcome {
        let rule = self.rules.iter().find(|(known, _)| *known == status.as_u16());
        rule.map_or_else(|| of_status(status, side), |(_, outcome)| *outcome)
    }
}

impl<B: Body + 'static, E: 'static> Classify<Response<B>, E> for StatusRules {
    type Response<G: Settle> = Response<WatchBody<B, G>>;

    fn classify(&self, result: &Result<Response<B>, E>) -> Classified {
        with_body(result, Outbound, |status, side| self.of_status(status, side))
    }

    fn classify_inbound(&self, result: &Result<Response<B>, E>) -> Classified {
        with_body(result, Inbound, |status, side| self.of_status(status, side))
    }

    #[inline]
    fn watch<G: Settle>(&self, response: Response<B>, guard: Option<G>) -> Self::Response<G> {
        WatchBody::watch(response, guard)
    }
}

/// Classifies by signs of overload, for an [adaptive](crate::bulkhead::limit) limit: 429, 503 and 504 are failures,
/// other statuses successes; errors and rejections of this crate are ignored.
///
/// A limit that shrank at every 500 would be held down by a bug. For gRPC and other signs of overload, such as a
/// timeout of your client, use a closure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overload;

impl<B, E> Classify<Response<B>, E> for Overload {
    unwatched!(Response<B>);

    fn classify(&self, result: &Result<Response<B>, E>) -> Classified {
        let Ok(response) = result else { return Outcome::Ignored.into() };
        match response.status() {
            _ if response.extensions().get::<Rejected>().is_some() => Outcome::Ignored.into(),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                Outcome::Failure.into()
            }
            _ => Outcome::Success.into(),
        }
    }
}

/// Classifies a reqwest response by its head: watching its body would lose its URL and box the body.
#[cfg(feature = "reqwest")]
impl<E: 'static> Classify<reqwest::Response, E> for Auto {
    unwatched!(reqwest::Response);

    fn classify(&self, result: &Result<reqwest::Response, E>) -> Classified {
        match result {
            Ok(response) => of_reqwest(response),
            Err(error) => of_error(error).into(),
        }
    }
}

#[cfg(feature = "reqwest")]
pub(super) fn of_reqwest(response: &reqwest::Response) -> Classified {
    of_head(response.status(), response.headers(), response.extensions())
}

#[cfg(feature = "hyper-util")]
pub(super) fn of_hyper(response: &Response<hyper::body::Incoming>) -> Classified {
    of_head(response.status(), response.headers(), response.extensions())
}

#[cfg(any(feature = "reqwest", feature = "hyper-util"))]
fn of_head(status: StatusCode, headers: &HeaderMap, extensions: &http::Extensions) -> Classified {
    Head { status, headers, extensions }.classify(Outbound, of_status).unwrap_or(well(status)).into()
}

fn with_body<B: Body + 'static, E: 'static>(
    result: &Result<Response<B>, E>,
    side: Side,
    of_status: impl Fn(StatusCode, Side) -> Outcome,
) -> Classified {
    let response = match result {
        Ok(response) => response,
        Err(error) => return of_error(error).into(),
    };
    let head = Head { status: response.status(), headers: response.headers(), extensions: response.extensions() };
    match head.classify(side, of_status) {
        Some(classification) => Classified::Now(classification),
        None if side == Outbound && is_page_for_grpc(response) => Outcome::Failure.into(),
        None if !response.body().is_end_stream() => Classified::AtEnd,
        None if crate::reject::is_grpc(response.headers()) => Outcome::Failure.into(), // it had no status
        None => well(response.status()).into(),
    }
}

/// Returns whether a gRPC call got a response that is not gRPC, such as an error page of a load balancer. A page that asks who
/// the caller is says nothing bad.
fn is_page_for_grpc<B: 'static>(response: &Response<B>) -> bool {
    #[cfg(feature = "grpc")]
    if TypeId::of::<B>() == TypeId::of::<tonic::body::Body>() {
        let is_answer = crate::reject::is_grpc(response.headers());
        return !is_answer && !matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    }
    let _ = response;
    false
}

/// The head of a response.
struct Head<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    extensions: &'a http::Extensions,
}

impl Head<'_> {
    /// The outcome by the head; `None` if it is a success, which the body may still undo.
    fn classify(&self, side: Side, of_status: impl Fn(StatusCode, Side) -> Outcome) -> Option<Classification> {
        if let Some(rejected) = self.extensions.get::<Rejected>() {
            return Some(Classification::rejected(rejected.by() as u8));
        }
        if crate::reject::may_be_grpc(self.headers)
            && let Some(classification) = grpc::of_headers(self.headers, side)
        {
            return Some(classification);
        }
        let outcome = of_status(self.status, side);
        (outcome != Outcome::Success).then(|| match retry_after(self.headers) {
            Some(after) => Classification::new(outcome).with_retry_after(after),
            None if outcome == Outcome::Ignored && self.status.as_u16() != 499 => {
                Classification::new(outcome).by_caller()
            }
            None => outcome.into(),
        })
    }
}

/// The wait of `Retry-After`, given in seconds (any number) or as a date, by the clock of the server that sent it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let sent = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Some(until.duration_since(sent.unwrap_or_else(clock::wall)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reject::{Mechanism, RejectReason};

    #[expect(clippy::unnecessary_wraps, reason = "a classifier takes a result")]
    fn response(status: u16, retry_after: Option<&str>) -> Result<Response<String>, std::io::Error> {
        let mut response = Response::builder().status(status);
        if let Some(after) = retry_after {
            response = response.header(RETRY_AFTER, after);
        }
        Ok(response.body(String::from("x")).unwrap())
    }

    fn wait(text: &str) -> Option<Duration> {
        match Auto.classify(&response(503, Some(text))) {
            Classified::Now(classification) => classification.retry_after(),
            Classified::AtEnd => None,
        }
    }

    #[test]
    fn retry_after_reads_seconds_and_dates_and_survives_nonsense() {
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert!(wait("99999999999999999999").unwrap() > Duration::from_secs(500 * 365 * 86_400));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(wait("Fri, 31 Dec 9999 23:59:59 GMT").unwrap() > Duration::from_secs(86_400));
        for nonsense in ["", "-1", "1.5", "soon"] {
            assert_eq!(wait(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_rejection_of_an_inner_layer_is_ignored_whatever_its_status() {
        for (by, reason) in [(Mechanism::CircuitBreaker, RejectReason::Open), (Mechanism::Bulkhead, RejectReason::Full)]
        {
            for (status, grpc_status) in [(503, None), (200, Some("8")), (200, Some("14"))] {
                let mut rejection = response(status, None).unwrap();
                if let Some(status) = grpc_status {
                    rejection.headers_mut().insert("grpc-status", status.parse().unwrap());
                }
                rejection.extensions_mut().insert(Rejected::new(by, "inner", reason, None));
                let classified = Auto.classify(&Ok::<_, std::io::Error>(rejection));
                assert_eq!(classified, Outcome::Ignored.into(), "{by:?}, {status}, {grpc_status:?}");
            }
        }
    }

    #[test]
    fn rules_change_single_statuses() {
        let rules = StatusRules::new().status(404, Outcome::Failure).status(501, Outcome::Ignored);
        assert_eq!(rules.classify(&response(404, None)), Outcome::Failure.into());
        assert_eq!(rules.classify(&response(501, None)), Outcome::Ignored.into());
        assert_eq!(rules.classify(&response(500, None)), Outcome::Failure.into());
        assert_eq!(rules.classify(&response(200, None)), Classified::AtEnd);
    }

    #[test]
    fn overload_is_seen_by_the_status_and_never_by_a_rejection_of_this_crate() {
        let classified = |status: u16, rejected: bool| {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            if rejected {
                let by = crate::reject::Mechanism::Bulkhead;
                let reason = crate::reject::RejectReason::Full;
                response.extensions_mut().insert(Rejected::new(by, "inner", reason, None));
            }
            Overload.classify(&Ok::<_, ()>(response))
        };
        for (status, outcome) in
            [(200, Outcome::Success), (404, Outcome::Success), (500, Outcome::Success), (503, Outcome::Failure)]
        {
            assert_eq!(classified(status, false), outcome.into(), "{status}");
        }
        assert_eq!(classified(503, true), Outcome::Ignored.into());
        assert_eq!(Overload.classify(&Err::<Response<()>, _>(())), Outcome::Ignored.into());
    }
}
