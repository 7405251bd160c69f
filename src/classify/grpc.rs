//! Outcomes of gRPC statuses. The numeric codes suffice; tonic is needed only to classify calls of its clients.

#[cfg(feature = "grpc")]
use super::{Auto, Classified, Classify};
#[cfg(feature = "grpc")]
use crate::outcome::Settle;
use crate::outcome::{Classification, Outcome, Side};
use http::HeaderMap;
use http::header::HeaderName;
use std::time::Duration;

/// The outcome by headers or trailers; `None` if they contain no status.
pub(super) fn of_headers(headers: &HeaderMap, side: Side) -> Option<Classification> {
    static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
    let status = headers.get(&GRPC_STATUS)?;
    let code = status.to_str().ok().and_then(|text| text.trim().parse().ok());
    let has_timed_out = headers.get("grpc-message").is_some_and(|message| is_timeout(message.as_bytes()));
    let code = code.unwrap_or(UNKNOWN);
    let outcome = if has_timed_out { Outcome::Failure } else { of_code(code, side) };
    let is_by_caller = outcome == Outcome::Success && code != 0 || outcome == Outcome::Ignored && code != CANCELLED;
    Some(if is_by_caller { Classification::new(outcome).by_caller() } else { of_pushback(outcome, headers) })
}

/// Adds the pushback that a server sent with a failure.
fn of_pushback(outcome: Outcome, headers: &HeaderMap) -> Classification {
    let pushback = headers
        .get("grpc-retry-pushback-ms")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_millis);
    match pushback {
        Some(after) if outcome == Outcome::Failure => Classification::new(outcome).with_retry_after(after),
        _ => outcome.into(),
    }
}

/// Calls of tonic's clients, without Tower. The messages of a stream are not watched; a
/// [wrapped](crate::CircuitBreaker::wrap) channel sees the end of a stream.
#[cfg(feature = "grpc")]
impl<T> Classify<tonic::Response<T>, tonic::Status> for Auto {
    unwatched!(tonic::Response<T>);

    fn classify(&self, result: &Result<tonic::Response<T>, tonic::Status>) -> Classified {
        match result {
            Ok(_) => Outcome::Success.into(),
            Err(status) => of_status(status),
        }
    }
}

/// The outcome of a call of tonic that ended with this status.
#[cfg(feature = "grpc")]
pub(super) fn of_status(status: &tonic::Status) -> Classified {
    if crate::reject::causes::is_local(status) {
        return super::errors::ignored(status).into();
    }
    if is_timeout(status.message().as_bytes()) || is_page(status) {
        return Outcome::Failure.into();
    }
    if asks_who(status) {
        return Classification::new(Outcome::Success).by_caller().into();
    }
    of_pushback(of_code(status.code() as u32, Side::Outbound), status.metadata().as_ref()).into()
}

/// Returns whether it is the message of tonic's own timeouts: clients and servers send `CANCELLED` with it (0.14),
/// percent-encoded on the wire. They mean `DEADLINE_EXCEEDED`.
fn is_timeout(message: &[u8]) -> bool {
    matches!(message, b"Timeout expired" | b"Timeout%20expired")
}

/// Returns whether tonic made the status of a response without one, such as a page of a load balancer. One that asks who the
/// caller is says nothing bad.
#[cfg(feature = "grpc")]
fn is_page(status: &tonic::Status) -> bool {
    status.message().starts_with("grpc-status header missing, mapped from HTTP status code")
        && !matches!(status.code(), tonic::Code::Unauthenticated | tonic::Code::PermissionDenied)
}

/// Returns whether tonic (0.14) read a page that asks who the caller is as a message, which it is not. A server of gRPC may
/// have sent such a status as its own.
#[cfg(feature = "grpc")]
fn asks_who(status: &tonic::Status) -> bool {
    let message = status.message().strip_prefix("protocol error: received message with invalid compression flag");
    let of_http = message.and_then(|message| message.rsplit_once("while receiving response with status: "));
    let asks = of_http.is_some_and(|(_, http)| http.starts_with("401") || http.starts_with("403"));
    asks && status.code() == tonic::Code::Internal && !crate::reject::is_grpc(status.metadata().as_ref())
}

const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;

/// The outcome of a code: codes that blame the server fail, codes that blame the request succeed.
fn of_code(code: u32, side: Side) -> Outcome {
    match code {
        CANCELLED => Outcome::Ignored,                  // the caller disconnected
        8 if side == Side::Inbound => Outcome::Ignored, // RESOURCE_EXHAUSTED: the client asked too often
        // UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS
        UNKNOWN | 4 | 8 | 13..=15 => Outcome::Failure,
        0..=16 => Outcome::Success,
        _ => Outcome::Failure, // no such code: the protocol treats it as UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(status: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", http::HeaderValue::from_static(status));
        headers
    }

    #[test]
    fn servers_faults_fail_and_callers_faults_do_not() {
        let outcome = |status| of_headers(&headers(status), Side::Outbound).unwrap().outcome();
        for fails in ["2", "4", "8", "13", "14", "15", "17", "-1", "nonsense", ""] {
            assert_eq!(outcome(fails), Outcome::Failure, "{fails}");
        }
        for succeeds in ["0", "3", "5", "6", "7", "9", "10", "11", "12", "16"] {
            assert_eq!(outcome(succeeds), Outcome::Success, "{succeeds}");
        }
        assert_eq!(outcome("1"), Outcome::Ignored);
        assert_eq!(of_headers(&HeaderMap::new(), Side::Outbound), None);
    }

    #[test]
    fn a_timeout_of_tonic_is_a_failure_although_it_says_cancelled() {
        let mut timed_out = headers("1");
        timed_out.insert("grpc-message", http::HeaderValue::from_static("Timeout%20expired"));
        assert_eq!(of_headers(&timed_out, Side::Outbound).unwrap().outcome(), Outcome::Failure);
    }

    #[test]
    fn pushback_is_the_requested_wait() {
        let mut pushed = headers("14");
        pushed.insert("grpc-retry-pushback-ms", http::HeaderValue::from_static("1500"));
        assert_eq!(of_headers(&pushed, Side::Outbound).unwrap().retry_after(), Some(Duration::from_millis(1_500)));
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn a_status_that_a_gateway_sent_as_its_own_is_no_page() {
        let text = "protocol error: received message with invalid compression flag: 60 (valid flags are 0 and 1) while \
            receiving response with status: 401 Unauthorized";
        let classify = |text: &str, content_type| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", http::HeaderValue::from_static(content_type));
            let headers = tonic::metadata::MetadataMap::from_headers(headers);
            let status = tonic::Status::with_metadata(tonic::Code::Internal, text, headers);
            Auto.classify(&Err::<tonic::Response<()>, _>(status))
        };
        assert_eq!(classify(text, "text/html"), Classification::new(Outcome::Success).by_caller().into());
        assert_eq!(classify(text, "application/grpc"), Outcome::Failure.into());
        assert_eq!(classify(&format!("upstream: {text}"), "text/html"), Outcome::Failure.into());
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn a_rejection_as_a_status_is_ignored_and_a_status_of_the_server_is_a_failure() {
        use crate::reject::{BoxError, Mechanism, RejectReason, Rejected};
        let classify = |status| Auto.classify(&Err::<tonic::Response<()>, tonic::Status>(status));
        for by in [Mechanism::CircuitBreaker, Mechanism::Bulkhead] {
            let rejected = || Rejected::new(by, "inner", RejectReason::Full, None);
            assert_eq!(classify(tonic::Status::from(rejected())), Outcome::Ignored.into(), "{by:?}");
            let boxed: BoxError = rejected().into(); // as a client of tonic makes one of its channel's error
            assert_eq!(classify(tonic::Status::from_error(boxed)), Outcome::Ignored.into(), "{by:?}");
            assert_eq!(
                crate::classify::errors::of_error(&tonic::Status::from(rejected())),
                Outcome::Ignored.into(),
                "{by:?}"
            );
        }
        assert_eq!(classify(tonic::Status::resource_exhausted("quota")), Outcome::Failure.into());
        let overloaded = || tonic::Status::from_error(tower::load_shed::error::Overloaded::new().into());
        assert_eq!(classify(overloaded()), Outcome::Ignored.into());
        assert_eq!(crate::classify::errors::of_error(&overloaded()), Outcome::Ignored.into());
        let sent = tonic::Status::from_header_map(overloaded().into_http::<()>().headers()).unwrap();
        assert_eq!(classify(sent), Outcome::Failure.into(), "by the server");
    }
}
