//! The end of a controller's work, which is recorded before it leaves.

use super::ended::Ended;
use super::run::{Controller, ROUND};
use super::status::UNRECORDED;
use crate::rollback::plan::Level;
use crate::rollout::stages::State;
use crate::sync::Ordering;
use std::thread;
use std::time::Duration;

/// Time for the last alerts, and for the last files.
const FAREWELL: Duration = Duration::from_secs(10);
const LAST_FILES: Duration = Duration::from_secs(2);

impl Controller {
    pub(super) fn ended(&self) -> Option<Ended> {
        if let Some(end) = self.rollout.end() {
            return Some(Ended::Done(end));
        }
        if self.looking.is_some() || !self.rollout.is_retreat() {
            return None;
        }
        match self.rollout.state() {
            _ if self.rollout.name() == "escalated" => Some(Ended::Escalated),
            State::Recovering { .. } if self.rollout.expected().is_some() => Some(Ended::Unwatched),
            // It waits for a stable version that nothing looks at.
            State::RollingBack { .. } if self.rollout.expected().is_some() => Some(Ended::Escalated),
            _ => None,
        }
    }

    /// Ends without a further step: another process acts in this place, and has the files.
    pub(super) fn leave(&mut self) -> Ended {
        self.held.clear();
        self.acting.cancel(); // the other one's move must be the last
        let text = "this controller ends, as its lock was removed and another process has a new one".to_owned();
        self.troubles.push(text.clone());
        self.alert(Level::Page, text);
        let begun = self.clock.now();
        while !self.alerts.are_sent() && self.clock.now().saturating_duration_since(begun) < FAREWELL {
            thread::park_timeout(ROUND);
        }
        self.on_trouble
            .iter_mut()
            .for_each(|listener| self.troubles.last().into_iter().for_each(|text| listener(text)));
        Ended::Escalated
    }

    /// Waits for the last alerts and records, and says the last word. A command in this time may call the rollout back.
    ///
    /// A controller whose end is not recorded would be followed by one that goes on in the middle, so it stays; without a
    /// source it is a command of a person, who sees it.
    pub(super) fn is_over(&mut self) -> bool {
        let begun = self.clock.now();
        loop {
            self.requests();
            self.notice_journal();
            if self.ended().is_none() || self.is_displaced.load(Ordering::Relaxed) {
                return false;
            }
            let waited = self.clock.now().saturating_duration_since(begun);
            let is_long = waited >= FAREWELL;
            let is_unwritten = self.recording.failure().is_some() && waited >= LAST_FILES;
            let may_leave = self.recording.is_done() || self.looking.is_none() && is_unwritten;
            if may_leave && (is_long || self.alerts.are_sent()) {
                break;
            }
            self.say();
            thread::park_timeout(ROUND);
        }
        self.is_leaving = true;
        self.alerts.leave();
        if !self.recording.is_done() {
            self.troubles.push(UNRECORDED.to_owned());
        }
        self.status.1 = self.clock.now();
        self.say();
        let begun = self.clock.now();
        while !self.filing.is_done() && self.clock.now().saturating_duration_since(begun) < LAST_FILES {
            thread::park_timeout(Duration::from_millis(1));
        }
        true
    }
}
