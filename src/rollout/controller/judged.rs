//! Looks of the process that judges.

use super::looking::{Looks, Seen};
use crate::rollback::{Policy, Tick};
use crate::rollout::judging::{Judging, StateError, Verdicts};
use crate::rollout::source::{Source, SourceError};
use crate::sync::{Arc, Mutex};
use std::path::Path;

/// A source whose ticks are judged.
pub struct Judged {
    judging: Judging,
    tick: Arc<Mutex<Option<Tick>>>,
}

impl Judged {
    /// Judges a service's rollout, and resumes what was judged of it in this folder.
    ///
    /// # Errors
    ///
    /// A folder that cannot be made, or that another process judges with.
    pub fn new(
        service: &str,
        policy: Policy,
        source: Box<dyn Source>,
        rollout: &str,
        folder: &Path,
    ) -> Result<Self, StateError> {
        let tick: Arc<Mutex<Option<Tick>>> = Arc::default();
        let tapped = Tapped { source, tick: Arc::clone(&tick) };
        let mut judging = Judging::new(service, policy, tapped).state(folder)?;
        judging.go_on(rollout);
        Ok(Self { judging, tick })
    }

    /// The verdicts, for readers on other threads.
    pub fn verdicts(&self) -> Verdicts {
        self.judging.verdicts()
    }
}

impl Looks for Judged {
    fn look(&mut self) -> Result<Seen, SourceError> {
        let published = self.judging.look();
        let (tick, verdict) = (self.tick.lock().take(), published.verdict().clone());
        Ok(Seen { tick, verdict, failure: self.judging.failure().map(str::to_owned) })
    }

    fn set_stage(&mut self, weight: u32) {
        let _ = self.judging.set_stage(f64::from(weight.min(100))); // which it allows
    }

    fn override_by(&mut self, by: &str, reason: &str) {
        self.judging.override_by(by, reason);
    }
}

/// Keeps the tick that passes.
struct Tapped {
    source: Box<dyn Source>,
    tick: Arc<Mutex<Option<Tick>>>,
}

impl Source for Tapped {
    fn look(&mut self) -> Result<Option<Tick>, SourceError> {
        let looked = self.source.look();
        if let Ok(Some(tick)) = &looked {
            *self.tick.lock() = Some(tick.clone());
        }
        looked
    }

    fn warnings(&self) -> &[String] {
        self.source.warnings()
    }
}
