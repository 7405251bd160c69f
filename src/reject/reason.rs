//! Reasons of rejections, and the mechanisms behind them.

use std::fmt;

/// A kind of mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Mechanism {
    /// A circuit breaker.
    CircuitBreaker,
    /// A bulkhead.
    Bulkhead,
    /// A kill switch.
    KillSwitch,
}

impl Mechanism {
    /// The name in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CircuitBreaker => "circuit breaker",
            Self::Bulkhead => "bulkhead",
            Self::KillSwitch => "kill switch",
        }
    }

    /// The code of its rejections in gRPC.
    #[cfg(feature = "http")]
    pub(super) const fn grpc_code(self) -> &'static str {
        match self {
            Self::CircuitBreaker | Self::KillSwitch => "14", // UNAVAILABLE: the dependency cannot answer now
            Self::Bulkhead => "8",                           // RESOURCE_EXHAUSTED: it could, and too many calls ask
        }
    }
}

/// Reason of a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RejectReason {
    /// The circuit is open.
    Open,
    /// The circuit is half-open and has its probes.
    HalfOpen,
    /// Somebody opened the circuit by hand.
    ForcedOpen,
    /// The circuit has just closed and admits a growing share.
    Ramp,
    /// Adaptive throttling drew this call.
    Throttled,
    /// The circuit let the call through, but the inner service had not been asked whether it is ready: the
    /// open time ended between `poll_ready` and `call`. The next call probes.
    NotReady,
    /// The bulkhead has no permit left, and no queue.
    Full,
    /// The bulkhead has no permit left, and as many calls wait as may.
    QueueFull,
    /// The call has waited in the bulkhead's queue for as long as it may.
    WaitTimeout,
    /// The bulkhead's queue has not emptied for too long: the call would only have waited in vain.
    Shed,
    /// Somebody, or an automation, has taken the capability away.
    Engaged,
    /// No document is known that says whether the switch is engaged, and it was declared to block then.
    SwitchUnknown,
}

impl RejectReason {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::HalfOpen => "half open, and its probes are under way",
            Self::ForcedOpen => "forced open",
            Self::Ramp => "admitting a growing share after closing",
            Self::Throttled => "throttled",
            Self::NotReady => "about to probe, but the service was not polled ready",
            Self::Full => "full",
            Self::QueueFull => "full, and so is its queue",
            Self::WaitTimeout => "no permit came free within the longest wait",
            Self::Shed => "shed: the queue has been too long for too long",
            Self::Engaged => "engaged",
            Self::SwitchUnknown => "not known whether it is engaged",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reason in words, as the body of a response.
#[cfg(feature = "axum-core")]
impl axum_core::response::IntoResponse for RejectReason {
    fn into_response(self) -> axum_core::response::Response {
        self.as_str().into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reject::Rejected;

    #[test]
    fn a_message_tells_who_rejected_and_why() {
        let message = |by, reason| Rejected::new(by, "stock", reason, None).to_string();
        let by_breaker = message(Mechanism::CircuitBreaker, RejectReason::Open);
        assert_eq!(by_breaker, "circuit breaker stock rejected the call: open");
        let by_bulkhead = message(Mechanism::Bulkhead, RejectReason::QueueFull);
        assert_eq!(by_bulkhead, "bulkhead stock rejected the call: full, and so is its queue");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_value_is_written_in_snake_case() {
        let json = |reason| serde_json::to_string(&reason).unwrap();
        assert_eq!(serde_json::to_string(&Mechanism::Bulkhead).unwrap(), "\"bulkhead\"");
        assert_eq!(json(RejectReason::QueueFull), "\"queue_full\"");
        assert_eq!(json(RejectReason::WaitTimeout), "\"wait_timeout\"");
    }
}
