//! Verdicts as readers hold them.

use super::evidence::{EVIDENCE_MAX, Evidence};
use super::metrics;
use super::names::{Named, Names};
use super::published::{DataState, Published};
use crate::clock::Clock;
use crate::rollback::Decision;
use crate::sync::{Arc, Mutex};
use arc_swap::ArcSwap;
use std::fmt;
use std::time::Duration;

/// Age of a verdict beyond which its judging process hangs.
const OLD: Duration = Duration::from_secs(60);

/// Verdicts and evidence of a service: a cheap handle for readers.
///
/// Reading takes no lock, and judging does not wait for readers.
#[derive(Clone)]
pub struct Verdicts(Arc<Shared>);

struct Shared {
    service: String,
    clock: Clock,
    latest: ArcSwap<Published>,
    evidence: ArcSwap<Vec<Arc<Evidence>>>,
    names: ArcSwap<Names>,
    /// An override that a person asked for: who, and why.
    asked: Mutex<Option<(String, String)>>,
}

impl Verdicts {
    pub(super) fn new(service: &str, clock: Clock, first: Published, names: Names) -> Self {
        Self(Arc::new(Shared {
            service: service.to_owned(),
            clock,
            latest: ArcSwap::from_pointee(first),
            evidence: ArcSwap::from_pointee(Vec::new()),
            names: ArcSwap::from_pointee(names),
            asked: Mutex::new(None),
        }))
    }

    /// The service that is judged.
    pub fn service(&self) -> &str {
        &self.0.service
    }

    /// The verdict of the last look. If that is more than a minute ago, or a rollout was named since, it is `collecting`.
    pub fn latest(&self) -> Arc<Published> {
        let (latest, names) = (self.0.latest.load_full(), self.0.names.load());
        if latest.number < names.number {
            let begun = names.current.as_deref().unwrap_or_default();
            return Arc::new(latest.unknown(begun, "the rollout has just begun"));
        }
        let age = self.0.clock.now().saturating_duration_since(latest.at);
        if age > OLD {
            let sentence = format!("the source has not been looked at for {} s", age.as_secs());
            return Arc::new(latest.collecting(latest.rollout(), DataState::Stale, &sentence));
        }
        latest
    }

    /// The verdict on the rollout of this name: that of [`latest`](Self::latest) if it is the one that is judged, and
    /// `collecting` if another one is. One without a name may be it: then `pause` and `rollback` pass, and `continue` is
    /// `collecting`.
    pub fn of(&self, rollout: &str) -> Arc<Published> {
        let (latest, names) = (self.latest(), self.0.names.load());
        match names.current.as_deref() {
            Some(current) if current == rollout => latest,
            Some(current) => {
                Arc::new(latest.unknown(rollout, &format!("rollout {rollout} is not judged: {current} is")))
            }
            None if latest.decision() == Decision::Continue => {
                let sentence =
                    format!("the rollout that is judged has no name: begin {rollout}, or wait until a hook does");
                Arc::new(latest.collecting(None, latest.data(), &sentence))
            }
            None => latest,
        }
    }

    /// The last 100 pieces of evidence, the newest last.
    pub fn evidence(&self) -> Arc<Vec<Arc<Evidence>>> {
        self.0.evidence.load_full()
    }

    /// Metrics of services in the text format. Those of one that hangs are `collecting` and grow stale, as
    /// [`latest`](Self::latest) does.
    pub(crate) fn metrics<'a>(services: impl Iterator<Item = &'a Self>) -> String {
        let looked: Vec<_> = services
            .map(|service| {
                let last = service.0.latest.load_full();
                let age = service.0.clock.now().saturating_duration_since(last.at);
                (last, service.latest().verdict().code, age.as_secs_f64())
            })
            .collect();
        let lines: Vec<_> = looked.iter().map(|(last, code, age)| (&last.metrics, *code, *age)).collect();
        metrics::page(&lines)
    }

    /// Number of the rollout that is judged or was named last.
    pub(crate) fn number(&self) -> u64 {
        self.0.names.load().number
    }

    /// Names of rollouts now.
    pub(super) fn names(&self) -> Arc<Names> {
        self.0.names.load_full()
    }

    /// Names the rollout that a hook means; begins a new one if another one is judged.
    pub(crate) fn name(&self, name: &str) -> Named {
        let now = self.0.clock.now();
        let mut named = Named::Current;
        self.0.names.rcu(|names| {
            let (effect, next) = names.name(name, now);
            named = effect;
            next
        });
        named
    }

    /// Names the rollout that a controller has just begun: it is judged from now on, also if another one superseded it.
    /// Returns whether judging begins anew.
    pub(crate) fn start(&self, name: &str) -> bool {
        let named = self.name(name);
        if named == Named::Superseded {
            self.begin(Some(name));
        }
        matches!(named, Named::Begun | Named::Superseded)
    }

    /// Asks for an override at the next look.
    pub(crate) fn ask_override(&self, by: String, reason: String) {
        *self.0.asked.lock() = Some((by, reason));
    }

    pub(super) fn asked(&self) -> Option<(String, String)> {
        self.0.asked.lock().take()
    }

    pub(super) fn begin(&self, name: Option<&str>) {
        let now = self.0.clock.now();
        self.0.names.rcu(|names| names.begin(name, now));
    }

    pub(super) fn publish(&self, published: Published) -> Arc<Published> {
        let published = Arc::new(published);
        self.0.latest.store(Arc::clone(&published));
        published
    }

    /// Only the judging thread adds, so that nothing is lost between load and store.
    pub(super) fn keep(&self, evidence: Evidence) {
        let mut all = Vec::clone(&self.0.evidence.load());
        if all.len() >= EVIDENCE_MAX {
            all.remove(0);
        }
        all.push(Arc::new(evidence));
        self.0.evidence.store(Arc::new(all));
    }
}

impl fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdicts").field("service", &self.0.service).finish_non_exhaustive()
    }
}
