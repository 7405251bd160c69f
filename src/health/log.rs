//! Log entries of events: a check that fails is a warning.

use super::event::Event;

#[cfg(not(feature = "tracing"))]
pub(super) fn event(_: &Event) {}

/// Logs an event through `tracing`, under the target `backstop::health`.
#[cfg(feature = "tracing")]
pub(super) fn event(event: &Event) {
    const TARGET: &str = "backstop::health";
    let Event { check, role, from, reason, error, .. } = event;
    if let Some(reason) = reason {
        tracing::warn!(target: TARGET, check, %role, %from, %reason, error = error.as_deref(), "health check fails");
    } else {
        tracing::info!(target: TARGET, check, %role, %from, "health check passes");
    }
}
