//! Events in the log: an engaged switch and whatever went wrong are warnings, the rest is information.

use super::status::BoardEvent;

#[cfg(not(feature = "tracing"))]
pub(super) fn event(_: &BoardEvent) {}

/// Logs an event through `tracing`, under the target `backstop::kill_switch`.
#[cfg(feature = "tracing")]
pub(super) fn event(event: &BoardEvent) {
    const TARGET: &str = "backstop::kill_switch";
    match event {
        BoardEvent::Applied { document, source } => {
            let changed = document.changed();
            tracing::info!(
                target: TARGET,
                generation = document.generation(),
                ?source,
                by = changed.by(),
                what = changed.what(),
                reason = changed.reason(),
                "kill switches have a new document"
            );
        }
        BoardEvent::Refused { code, why } => {
            tracing::warn!(target: TARGET, code, why, "kill switches keep their document");
        }
        BoardEvent::Differing { name, declared, defined } => {
            tracing::warn!(target: TARGET, name, ?declared, ?defined, "kill switch declared otherwise than defined");
        }
        BoardEvent::Unrecorded { generation, why } => {
            tracing::warn!(target: TARGET, generation, why, "kill switches changed without an entry in the audit");
        }
        BoardEvent::Switched { name, is_engaged: true } => {
            tracing::warn!(target: TARGET, name, "kill switch engaged");
        }
        BoardEvent::Switched { name, is_engaged: false } => {
            tracing::info!(target: TARGET, name, "kill switch released");
        }
    }
}
