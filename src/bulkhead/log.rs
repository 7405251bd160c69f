//! Events in the log: that calls are refused is a warning, the rest is information, a call is nothing.

use super::snapshot::Event;

#[cfg(not(feature = "tracing"))]
pub(super) fn event(_: &Event) {}

/// Logs an event through `tracing`, under the target `backstop::bulkhead`.
#[cfg(feature = "tracing")]
pub(super) fn event(event: &Event) {
    use super::snapshot::EventKind;

    macro_rules! log {
        ($level:ident, $message:literal $(, $more:ident = $value:expr)?) => {
            tracing::$level!(
                target: "backstop::bulkhead",
                name = event.name,
                in_flight = event.in_flight,
                limit = event.limit,
                queue_depth = event.queue_depth,
                note = &*event.note,
                $($more = $value,)?
                $message
            )
        };
    }
    match event.kind {
        EventKind::Saturated => log!(warn, "bulkhead refuses calls"),
        EventKind::Recovered { refused, lasted } => {
            tracing::info!(target: "backstop::bulkhead", name = event.name, refused, ?lasted, "bulkhead refuses no calls any more");
        }
        EventKind::Resized { from } => log!(info, "bulkhead was resized", from = from),
        EventKind::Reset { taken_away } => log!(warn, "bulkhead took every permit away", taken_away = taken_away),
    }
}
