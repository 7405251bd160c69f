//! Rejections as responses of HTTP and gRPC.

use super::{OnReject, Rejected};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use std::fmt::Write;
use std::time::Duration;

/// Answers a rejected request in its own protocol.
///
/// HTTP: 503 with `Retry-After` (whole seconds, rounded up) and an `application/problem+json` body (RFC 9457) whose
/// member `retry_after` is the remaining time in milliseconds.
/// gRPC and gRPC-web, recognized by the request's content type: `UNAVAILABLE` for a circuit breaker,
/// `RESOURCE_EXHAUSTED` for a bulkhead, with `grpc-retry-pushback-ms`. The response carries the [`Rejected`] among its
/// extensions, so that an outer layer of this crate does not count it as a failure.
///
/// Texts depend on the reason alone: they name no mechanism and no time, so that clients learn no internal names and
/// error trackers see one group. `respond_with` gets the [`Rejected`], for answers that name it.
///
/// The response's body must be `From<Bytes>`: watched bodies and axum's are, tonic's is not. In front of a tonic
/// service, combine a classifier that watches no body with
/// `respond_with(|rejected| Status::from(rejected.clone()).into_http())`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Respond;

/// State of [`Respond`] between its two steps.
#[derive(Debug)]
pub struct Rejection {
    rejected: Rejected,
    protocol: Protocol,
}

#[diagnostic::do_not_recommend]
impl<B, R, O: From<Bytes>, E> OnReject<Request<B>, R, Response<O>, E> for Respond {
    type Error = E;
    type Rejection = Rejection;

    const IS_INBOUND: bool = true;

    fn reject(&self, request: Request<B>, rejected: Rejected) -> Rejection {
        Rejection { rejected, protocol: Protocol::of(request.headers()) }
    }

    fn answer(&self, rejection: Rejection, _: impl FnOnce(R) -> Response<O>) -> Result<Response<O>, E> {
        let Rejection { rejected, protocol } = rejection;
        let response = match protocol {
            Protocol::Http => http(&rejected),
            Protocol::Grpc => grpc(&rejected, "application/grpc"),
            Protocol::GrpcWeb => grpc(&rejected, "application/grpc-web+proto"),
            Protocol::GrpcWebText => grpc(&rejected, "application/grpc-web-text+proto"),
        };
        let mut response = response.map(O::from);
        response.extensions_mut().insert(rejected);
        Ok(response)
    }

    fn carry(error: E) -> E {
        error
    }
}

/// Answers with any value that a function makes from the rejection and axum can convert into a response.
#[cfg(feature = "axum-core")]
#[derive(Clone, Copy, Debug)]
pub struct RespondInto<F>(pub(crate) F);

#[cfg(feature = "axum-core")]
impl<Request, O, E, F, T> OnReject<Request, axum_core::response::Response, O, E> for RespondInto<F>
where
    F: Fn(&Rejected) -> T,
    T: axum_core::response::IntoResponse,
{
    type Error = E;
    type Rejection = Rejected;

    const IS_INBOUND: bool = true;

    fn reject(&self, _: Request, rejected: Rejected) -> Rejected {
        rejected
    }

    fn answer(&self, rejection: Rejected, pass: impl FnOnce(axum_core::response::Response) -> O) -> Result<O, E> {
        let mut response = (self.0)(&rejection).into_response();
        response.extensions_mut().insert(rejection);
        Ok(pass(response))
    }

    fn carry(error: E) -> E {
        error
    }
}

/// For handlers whose error is a `Rejected`, as in `Ok(payments.call(..).await?)`: the HTTP answer of [`Respond`].
#[cfg(feature = "axum-core")]
impl axum_core::response::IntoResponse for Rejected {
    fn into_response(self) -> axum_core::response::Response {
        let mut response = http(&self).map(axum_core::body::Body::from);
        response.extensions_mut().insert(self);
        response
    }
}

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http,
    Grpc,
    GrpcWeb,
    GrpcWebText,
}

impl Protocol {
    /// Detects the protocol by the content type without suffix and parameters: `application/grpc-web+proto` is not
    /// gRPC.
    fn of(headers: &HeaderMap) -> Self {
        content_type(headers).map_or(Self::Http, Self::of_type)
    }

    fn of_type(content_type: &[u8]) -> Self {
        const GRPC: &[u8] = b"application/grpc";
        let Some((_, kind)) = content_type.split_at_checked(GRPC.len()).filter(|(it, _)| it.eq_ignore_ascii_case(GRPC))
        else {
            return Self::Http;
        };
        let kind = kind.split(|byte| b"+; ".contains(byte)).next().unwrap_or_default();
        match kind {
            b"" => Self::Grpc,
            _ if kind.eq_ignore_ascii_case(b"-web") => Self::GrpcWeb,
            _ if kind.eq_ignore_ascii_case(b"-web-text") => Self::GrpcWebText,
            _ => Self::Http,
        }
    }
}

/// Returns whether headers may have a status of gRPC: unless they say that the body is something else.
pub(crate) fn may_be_grpc(headers: &HeaderMap) -> bool {
    content_type(headers).is_none_or(|content_type| content_type.starts_with(b"application/"))
}

/// The content type. Of few headers it is found sooner by looking at each: hashing its name takes 110 instructions.
#[inline]
fn content_type(headers: &HeaderMap) -> Option<&[u8]> {
    let found = match headers.len() {
        0..=4 => headers.iter().find(|(name, _)| *name == CONTENT_TYPE).map(|(_, value)| value),
        _ => headers.get(CONTENT_TYPE),
    };
    found.map(HeaderValue::as_bytes)
}

/// Returns whether headers are those of gRPC, whose status is among headers or trailers. In gRPC-web it is in the body.
#[inline]
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let begins_well = |content_type: &&[u8]| matches!(content_type, [b'a' | b'A', ..]);
    content_type(headers).filter(begins_well).is_some_and(|it| Protocol::of_type(it) == Protocol::Grpc)
}

fn http(rejected: &Rejected) -> Response<Bytes> {
    let detail = rejected.public_text(); // nothing in it needs to be escaped
    let mut body = String::with_capacity(192);
    let title = "Service Unavailable";
    let _ = write!(body, r#"{{"type":"about:blank","title":"{title}","status":503,"detail":"{detail}""#);
    if let Some(after) = rejected.retry_after() {
        let _ = write!(body, r#","retry_after":{}"#, whole_millis(after));
    }
    body.push('}');
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(after) = rejected.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
    }
    response
}

/// A trailers-only response: no body, and the status among the headers.
fn grpc(rejected: &Rejected, content_type: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("grpc-status", HeaderValue::from_static(rejected.by().grpc_code()));
    headers.insert("grpc-message", message(&rejected.public_text()));
    if let Some(after) = rejected.retry_after() {
        headers.insert("grpc-retry-pushback-ms", HeaderValue::from(whole_millis(after)));
    }
    response
}

/// Percent-encodes all bytes but printable ASCII, and the percent sign, as `grpc-message` requires.
fn message(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}"); // a String never fails
        }
    }
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static("rejected"))
}

/// Seconds, rounded up, so that a client that waits them is not early.
fn whole_seconds(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0))
}

pub(super) fn whole_millis(after: Duration) -> u64 {
    let rounded = after.checked_add(Duration::from_nanos(999_999)).unwrap_or(after);
    u64::try_from(rounded.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reject::{Mechanism, RejectReason};

    fn rejected(name: &'static str) -> Rejected {
        let after = Some(Duration::from_millis(1_500));
        Rejected::new(Mechanism::CircuitBreaker, name, RejectReason::Open, after)
    }

    #[test]
    fn http_has_retry_after_and_a_stable_text_without_names_in_valid_json() {
        let response = http(&rejected("pay\"ments"));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["detail"], "the call was rejected: open");
        assert_eq!(body["retry_after"], 1_500);
    }

    #[test]
    fn grpc_is_unavailable_in_its_headers() {
        let response = grpc(&rejected("zahlung 100 % ö"), "application/grpc");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "14");
        assert_eq!(response.headers()["grpc-retry-pushback-ms"], "1500");
        assert_eq!(response.headers()["grpc-message"], "the call was rejected: open");
    }

    #[test]
    fn a_grpc_message_is_percent_encoded() {
        assert_eq!(message("100 % ö"), "100 %25 %C3%B6");
    }

    #[test]
    fn grpc_is_resource_exhausted_for_a_bulkhead_and_http_stays_503() {
        let full = Rejected::new(Mechanism::Bulkhead, "stock", RejectReason::Full, None);
        let response = grpc(&full, "application/grpc");
        assert_eq!(response.headers()["grpc-status"], "8");
        assert!(!response.headers().contains_key("grpc-retry-pushback-ms"));
        let response = http(&full);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!response.headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn grpc_web_is_not_mistaken_for_grpc() {
        let protocol = |content_type: &'static str| {
            Protocol::of(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]))
        };
        for grpc in ["application/grpc", "application/grpc+proto", "application/grpc;x=y", "Application/GRPC+json"] {
            assert_eq!(protocol(grpc), Protocol::Grpc, "{grpc}");
        }
        assert_eq!(protocol("application/grpc-web+proto"), Protocol::GrpcWeb);
        assert_eq!(protocol("application/grpc-web-text"), Protocol::GrpcWebText);
        assert_eq!(protocol("application/grpcx"), Protocol::Http);
        assert_eq!(Protocol::of(&HeaderMap::new()), Protocol::Http);
    }

    #[test]
    fn waits_are_rounded_up_and_never_overflow() {
        assert_eq!(whole_seconds(Duration::from_nanos(1)), 1);
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
        assert_eq!(whole_millis(Duration::MAX), u64::MAX);
    }
}
