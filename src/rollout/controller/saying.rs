//! The status of the rollout as a file, and troubles of the controller itself.

use super::looking::Looking;
use super::run::Controller;
use super::status::Status;
use crate::rollout::state_dir::StateDir;
use std::time::Duration;

/// A status that says nothing new is replaced as often.
const FRESH: Duration = Duration::from_secs(5);

impl Controller {
    /// Replaces the status when it has changed, once a second, and otherwise so that it does not grow old.
    pub(super) fn say(&mut self) {
        let now = self.clock.now();
        let number = StateDir::number(&self.folder);
        let mut status = Status::of(&self.rollout, &number, self.now(), self.last.as_ref());
        let unwritten = self.recording.failure();
        status.troubles.extend(unwritten.map(|why| format!("the journal cannot be written: {why}")));
        status.troubles.extend(self.looking.as_ref().and_then(Looking::failure));
        status.troubles.extend(self.alerts.trouble(self.is_leaving));
        status.troubles.extend(self.troubles.iter().cloned());
        let (last, due) = &self.status;
        let has_moved = (&last.state, last.weight, &last.why) != (&status.state, status.weight, &status.why);
        let is_old = due.saturating_add(FRESH).is_reached(now);
        if has_moved || is_old || (*last != status && due.is_reached(now)) {
            let bytes = serde_json::to_vec(&status).unwrap_or_default();
            self.filing.replace(self.dir.path().join("status.json"), bytes);
            if let Some(listener) = &mut self.on_trouble {
                let is_new = |trouble: &&String| !self.status.0.troubles.contains(trouble);
                status.troubles.iter().filter(is_new).for_each(|trouble| listener(trouble));
            }
            self.status = (status, now.saturating_add(Duration::from_secs(1)));
        }
    }
}
