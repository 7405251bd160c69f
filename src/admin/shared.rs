//! State that all routes share.

use http::StatusCode;

use super::access::Access;
use super::auth::whose;
use super::denied_log::{DeniedLog, DeniedRequest, PATIENCE};
use super::problem::Problem;
use crate::bulkhead::Bulkhead;
use crate::clock::timestamp;
use crate::kill_switch::audit::AuditRecord;
use crate::kill_switch::{Editor, KillSwitches, SwitchId};
use crate::registry::Registry;
use crate::sync::Arc;
use std::path::PathBuf;
use std::time::Duration;

pub(super) struct Shared {
    pub(super) switches: KillSwitches,
    pub(super) registry: Registry,
    pub(super) access: Arc<Access>,
    pub(super) audit_file: Option<PathBuf>,
    #[cfg(feature = "rollout")]
    pub(super) rollouts: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) denied_log: DeniedLog,
    pub(super) at_once: Bulkhead,
}

impl Shared {
    /// The audit record of a denied request; `None` if it was recorded lately, or its token is unknown.
    pub(super) fn denied(&self, denied: DeniedRequest<'_>) -> Option<AuditRecord> {
        let DeniedRequest { path, about, headers, code } = denied;
        let (actor, now) = (whose(&self.access.current(), headers)?, timestamp());
        if !self.denied_log.is_new((actor.as_str().to_owned(), path, code), now) {
            return None;
        }
        let generation = self.switches.document().map_or(0, |document| document.generation());
        let mut facts = AuditRecord::new(now, actor.as_str(), path, generation);
        // A request without a switch may concern any of them.
        facts.switch = about.filter(|id| SwitchId::new(id).is_ok()).map(str::to_owned);
        facts.refused = Some(code.to_owned());
        Some(facts)
    }

    pub(super) fn has_live_token(&self) -> bool {
        let now = timestamp();
        self.access.current().grants().iter().any(|grant| grant.is_live(now))
    }

    pub(super) fn editor(&self) -> Result<Editor, Problem> {
        self.switches.editor().cloned().ok_or_else(Problem::no_store)
    }

    /// A place among the requests that are worked on.
    pub(super) fn begin(&self) -> Result<crate::bulkhead::Permit, Problem> {
        self.at_once.try_acquire().map_err(|_| Problem::busy())
    }

    /// Runs what blocks. The permit goes with it: a store that hangs holds up so many threads, and no more.
    pub(super) async fn in_background<T: Send + 'static>(
        &self,
        permit: crate::bulkhead::Permit,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the store panicked")),
            Err(_) => {
                let detail =
                    "the store did not answer in time; the change may still be made: check before you repeat it";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "slow_store", detail))
            }
        }
    }
}

/// Requests that are worked on at once. Operators are few.
pub(super) const AT_ONCE: u32 = 16;

/// Records the denial, unless another one is being recorded.
pub(super) async fn write_down(shared: &Shared, denial: DeniedRequest<'_>) {
    let (Ok(permit), Ok(editor)) = (shared.denied_log.place.try_acquire(), shared.editor()) else { return };
    let Some(facts) = shared.denied(denial) else { return };
    let work = tokio::task::spawn_blocking(move || {
        editor.write_down(facts);
        drop(permit);
    });
    let _ = tokio::time::timeout(PATIENCE, work).await;
}
