//! Log entries of events: rejections are warnings, the rest is information.

use super::event::Event;

#[cfg(not(feature = "tracing"))]
pub(super) fn keyed_event(_: Option<&str>, _: &Event) {}

/// Logs an event of a bulkhead.
pub(super) fn event(event: &Event) {
    keyed_event(None, event);
}

/// Logs an event through `tracing`, under the target `backstop::bulkhead`, with the key if it is of one.
#[cfg(feature = "tracing")]
pub(super) fn keyed_event(key: Option<&str>, event: &Event) {
    let load = event.load();
    macro_rules! log {
        ($level:ident, $message:literal $(, $more:ident = $value:expr)*) => {
            tracing::$level!(
                target: "backstop::bulkhead",
                name = event.name(),
                key,
                in_flight = load.in_flight,
                limit = load.limit,
                queue_depth = load.queue_depth,
                $($more = $value,)*
                $message
            )
        };
    }
    match event {
        Event::Saturated { .. } => log!(warn, "bulkhead rejects calls"),
        Event::Recovered { rejected, lasted, .. } => {
            log!(info, "bulkhead recovered", rejected = rejected, lasted = tracing::field::debug(lasted));
        }
        Event::Resized { from, note, .. } => log!(info, "bulkhead was resized", from = from, note = note.as_deref()),
        Event::Reset { revoked, note, .. } => {
            log!(warn, "bulkhead revoked every permit", revoked = revoked, note = note.as_deref());
        }
    }
}
