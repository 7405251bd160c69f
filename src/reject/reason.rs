//! Mechanism and reason of a rejection.

use crate::named_enum::named;

/// A mechanism of this crate.
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
    /// Signals of a service, which reject nothing.
    Signals,
}

impl Mechanism {
    /// The name in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CircuitBreaker => "circuit breaker",
            Self::Bulkhead => "bulkhead",
            Self::KillSwitch => "kill switch",
            Self::Signals => "signals",
        }
    }

    /// The gRPC code of its rejections.
    #[cfg(feature = "http")]
    pub(super) const fn grpc_code(self) -> &'static str {
        match self {
            // UNAVAILABLE: the dependency cannot serve calls
            Self::CircuitBreaker | Self::KillSwitch | Self::Signals => "14",
            Self::Bulkhead => "8", // RESOURCE_EXHAUSTED: too many calls at once
        }
    }
}

named! {
    /// Reason of a rejection.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
    #[non_exhaustive]
    pub enum RejectReason {
        /// The circuit is open.
        Open = "open",
        /// The circuit is half-open, and all its probes are taken.
        HalfOpen = "half open, and its probes are under way",
        /// The circuit was opened by hand.
        ForcedOpen = "forced open",
        /// The circuit has just closed and admits a growing share of calls.
        Ramp = "admitting a growing share after closing",
        /// Adaptive throttling picked this call.
        Throttled = "throttled",
        /// The circuit would admit the call as a probe, but the inner service was not polled ready: the open time ended
        /// between `poll_ready` and `call`. The next call probes.
        NotReady = "about to probe, but the service was not polled ready",
        /// All permits are in use, and there is no queue.
        Full = "full",
        /// All permits are in use, and the queue is full.
        QueueFull = "full, and so is its queue",
        /// The call waited in the queue for the longest time allowed.
        WaitTimeout = "no permit came free within the longest wait",
        /// The queue has not been empty for too long: the call would have waited in vain.
        Shed = "shed: the queue has been too long for too long",
        /// The kill switch is engaged, by a person or an automation.
        Engaged = "engaged",
        /// No known document contains the switch, and it was declared to block in that case.
        SwitchUnknown = "not known whether it is engaged",
    }

    /// The reason in words.
    as_str
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
    fn a_message_names_mechanism_and_reason() {
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
