//! Events in the log: an engaged switch and whatever went wrong are warnings, the rest is information.

use crate::kill_switch::Event;

#[cfg(not(feature = "tracing"))]
pub(super) fn event(_: &Event) {}

/// Logs an event through `tracing`, under the target `backstop::kill_switch`.
#[cfg(feature = "tracing")]
pub(super) fn event(event: &Event) {
    use crate::kill_switch::ChangeRecord;
    const TARGET: &str = "backstop::kill_switch";
    match event {
        Event::Applied { document, source } => {
            let (generation, ChangeRecord { by, what, reason, .. }) = (document.generation(), document.changed());
            tracing::info!(target: TARGET, generation, ?source, by, what, reason, "kill switches follow a new document");
        }
        Event::Rejected { code, why } => {
            tracing::warn!(target: TARGET, code, why, "document in the store rejected, kill switches keep the one before");
        }
        Event::Differing { name, declared, defined } => {
            tracing::warn!(target: TARGET, name, ?declared, ?defined, "kill switch declares another on_unknown in the program than in its definition");
        }
        Event::Unrecorded { generation, why } => {
            tracing::warn!(target: TARGET, generation, why, "kill switches changed, but the audit entry was not written");
        }
        Event::NotInForce { name, why } => {
            tracing::warn!(target: TARGET, name, why, "kill switch is engaged, but does not block all requests it is meant for");
        }
        Event::Switched { name, is_engaged: true } => {
            tracing::warn!(target: TARGET, name, "kill switch engaged");
        }
        Event::Switched { name, is_engaged: false } => {
            tracing::info!(target: TARGET, name, "kill switch released");
        }
    }
}
