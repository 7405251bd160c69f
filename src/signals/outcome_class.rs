//! Outcome classes of requests.

use crate::named_enum::named;
use crate::outcome::{Cause, Classification, Outcome};
use crate::reject::Mechanism;

named! {
    /// Outcome class of a request. Each request is in exactly one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum OutcomeClass {
        /// It was served.
        Success = "success",
        /// The client asked for something that cannot be served: 4xx, gRPC codes such as `NOT_FOUND`.
        ClientError = "client_error",
        /// The service failed: 5xx, gRPC codes such as `INTERNAL`, an error, a panic, a body that broke.
        ServerError = "server_error",
        /// An open circuit of this crate rejected it.
        RejectedByCircuitBreaker = "rejected_circuit_breaker",
        /// A full bulkhead of this crate rejected it.
        RejectedByBulkhead = "rejected_bulkhead",
        /// An engaged kill switch of this crate rejected it.
        RejectedByKillSwitch = "rejected_kill_switch",
        /// It says nothing about the service: the client left before the answer.
        Ignored = "ignored",
    }

    /// The value of the label `outcome`.
    as_str
}

impl OutcomeClass {
    pub(super) const ALL: [Self; 7] = [
        Self::Success,
        Self::ClientError,
        Self::ServerError,
        Self::RejectedByCircuitBreaker,
        Self::RejectedByBulkhead,
        Self::RejectedByKillSwitch,
        Self::Ignored,
    ];

    #[inline]
    pub(super) fn of(classification: Classification) -> Self {
        const BREAKER: u8 = Mechanism::CircuitBreaker as u8;
        const BULKHEAD: u8 = Mechanism::Bulkhead as u8;
        match (classification.cause(), classification.outcome()) {
            (None, Outcome::Success) => Self::Success,
            (None, Outcome::Failure | Outcome::Panicked) => Self::ServerError,
            (Some(Cause::Caller), _) => Self::ClientError,
            (Some(Cause::Rejection(BREAKER)), _) => Self::RejectedByCircuitBreaker,
            (Some(Cause::Rejection(BULKHEAD)), _) => Self::RejectedByBulkhead,
            (Some(Cause::Rejection(_)), _) => Self::RejectedByKillSwitch,
            // A wait that the client was asked for: 429.
            (None, Outcome::Ignored) if classification.retry_after().is_some() => Self::ClientError,
            (None, Outcome::Ignored | Outcome::Abandoned) => Self::Ignored,
        }
    }

    /// Returns whether the client was failed.
    pub(super) const fn is_server_error(self) -> bool {
        matches!(self, Self::ServerError | Self::RejectedByCircuitBreaker | Self::RejectedByBulkhead)
    }

    /// Returns whether a verdict may rest on it. A kill switch is engaged on purpose.
    pub(super) const fn is_evidence(self) -> bool {
        !matches!(self, Self::RejectedByKillSwitch | Self::Ignored)
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_classification_is_in_the_class_of_its_cause_and_outcome() {
        let of = |classification: Classification| OutcomeClass::of(classification);
        let plain = Classification::new;
        let wait = Duration::from_secs(1);
        for (classification, class) in [
            (plain(Outcome::Success), OutcomeClass::Success),
            (plain(Outcome::Success).by_caller(), OutcomeClass::ClientError),
            (plain(Outcome::Ignored).by_caller(), OutcomeClass::ClientError),
            (plain(Outcome::Ignored).with_retry_after(wait), OutcomeClass::ClientError),
            (plain(Outcome::Failure).with_retry_after(wait), OutcomeClass::ServerError),
            (plain(Outcome::Panicked), OutcomeClass::ServerError),
            (Classification::rejected(Mechanism::CircuitBreaker as u8), OutcomeClass::RejectedByCircuitBreaker),
            (Classification::rejected(Mechanism::Bulkhead as u8), OutcomeClass::RejectedByBulkhead),
            (Classification::rejected(Mechanism::KillSwitch as u8), OutcomeClass::RejectedByKillSwitch),
            (plain(Outcome::Ignored), OutcomeClass::Ignored),
            (plain(Outcome::Abandoned), OutcomeClass::Ignored),
        ] {
            assert_eq!(of(classification), class, "{classification:?}");
        }
        assert!(OutcomeClass::ALL.iter().enumerate().all(|(i, class)| *class as usize == i));
    }
}
