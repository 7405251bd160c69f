//! Judging with a state on disk.

use super::filed::Filed;
use super::process::Judging;
use super::restarted::Restarted;
use super::state::{Event, State, StateError};
use super::timeline::Timeline;
use crate::clock::timestamp;
use crate::rollback::Arm;
use std::path::Path;

impl Judging {
    /// Keeps what was judged in a directory, so that a process that is started again goes on where this one was. Default: in
    /// memory only, and after a start `continue` is `collecting` for the first minute with data.
    ///
    /// A directory holds the state of one service: about 16 MiB of ticks, of which older ones are coarser, and overrides. It
    /// is written in the background: a write that fails or hangs is a warning in the verdict and stops nothing.
    ///
    /// # Errors
    ///
    /// A directory that cannot be made, that another process judges with, or that holds the state of another service.
    pub fn state(mut self, directory: impl AsRef<Path>) -> Result<Self, StateError> {
        let (mut state, resumed) = State::open(directory.as_ref(), &self.service)?;
        let wall = timestamp().as_duration().as_secs_f64();
        let Some(resumed) = resumed else {
            // A damaged state may have known more.
            if state.warning().is_none() {
                self.restarted = Restarted::No;
            }
            let warning = state.warning();
            state.begin(None, wall);
            if let Some(warning) = warning {
                state.warn(warning);
            }
            self.state = Some(Filed::new(state)?);
            self.publish();
            return Ok(self);
        };
        self.judge = self.new_judge(resumed.begun);
        self.rollout.clone_from(&resumed.rollout);
        if let Some(name) = &resumed.rollout {
            self.verdicts.name(name);
        }
        self.is_begun = resumed.is_begun;
        let is_whole = state.replay(|event| match event {
            Event::Tick(tick, line) => {
                let at = tick.at;
                // Nothing was measured, so nothing is known of instances either.
                if tick.canary != Arm::default() {
                    self.presence.see(tick.canary.instances, at, true);
                }
                self.time.own(at);
                self.window.push(line.into());
                self.verdict = self.judge.observe(*tick);
                self.keep_evidence();
            }
            Event::Override(one) => {
                self.judge.override_by(one.by, one.reason);
            }
        });
        if is_whole {
            self.restarted = Restarted::No;
        }
        self.held = resumed.held;
        self.hold();
        self.state = Some(Filed::new(state)?);
        // Its time went on while no process judged.
        let now = self.time.last().max(wall - resumed.begun);
        self.origin = (self.clock.now(), now);
        self.time = Timeline::resumed(self.time.last());
        if self.presence.is_away() {
            self.idle();
        } else if self.time.last() > 0.0 {
            self.observe_nothing(now);
        }
        self.publish();
        Ok(self)
    }

    /// Begins this rollout, unless the state is of it. One that was damaged may be: then what is not known stays so.
    pub(crate) fn go_on(&mut self, rollout: &str) {
        match self.rollout.as_deref() {
            Some(name) if name == rollout => {}
            None if !matches!(self.restarted, Restarted::No) => {
                self.verdicts.name(rollout);
                self.begun();
            }
            _ => self.begin(rollout),
        }
    }
}
