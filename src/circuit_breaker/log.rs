//! Transitions in the log: a trip is a warning, other changes are information, a call is nothing.

use super::event::Event;

#[cfg(not(feature = "tracing"))]
pub(super) fn keyed_event(_: Option<&str>, _: &Event) {}

/// Logs an event of a breaker.
pub(crate) fn event(event: &Event) {
    keyed_event(None, event);
}

/// Logs an event through `tracing`, under the target `backstop::circuit_breaker`, with the key if it is of one.
#[cfg(feature = "tracing")]
pub(super) fn keyed_event(key: Option<&str>, event: &Event) {
    use crate::circuit_breaker::state::State;

    macro_rules! log {
        ($level:ident, $details:expr, $message:literal) => {
            tracing::$level!(
                target: "backstop::circuit_breaker",
                name = $details.name,
                key,
                from = %$details.from,
                to = %$details.to,
                reason = %$details.reason,
                note = $details.note.as_deref(),
                calls = $details.snapshot.calls,
                failed = $details.snapshot.failed,
                slow = $details.snapshot.slow,
                $message
            )
        };
    }
    match event {
        Event::WouldOpen(details) => log!(warn, details, "circuit breaker would have opened"),
        Event::Transition(details) if matches!(details.to, State::Open | State::ForcedOpen) => {
            log!(warn, details, "circuit breaker opened");
        }
        Event::Transition(details) => log!(info, details, "circuit breaker changed"),
    }
}
