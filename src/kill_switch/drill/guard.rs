//! Guard that releases the engagement of a drill.

use super::report::DrillError;
use crate::clock::Timestamp;
use crate::kill_switch::control::control_plane::{change_while, who};
use crate::kill_switch::{Author, Change, ControlPlane, Document, Engage, Engagement, SwitchId};
use crate::panic::catch_panic;

/// The drill's own engagement: released when this is dropped, if it is still in the store as it was made.
pub(super) struct DrillGuard<'a, O: ControlPlane> {
    pub(super) control_plane: &'a O,
    /// Its end, to the nanosecond, identifies this drill.
    pub(super) engage: &'a Engage,
    pub(super) ends: Timestamp,
    pub(super) by: &'a Author,
    /// Whether a release was asked for that may have been made, whatever the answer was.
    pub(super) is_tried: bool,
    pub(super) is_done: bool,
}

impl<O: ControlPlane> DrillGuard<'_, O> {
    pub(super) fn is_in(&self, document: &Document) -> bool {
        let switch = document.switch(self.engage.switch.as_str());
        let Engage { scope, stage, expires, trigger, .. } = self.engage;
        let is_ours = |engaged: &Engagement| {
            let is_drill = engaged.trigger == *trigger && engaged.expires == *expires;
            is_drill && engaged.scope == *scope && Some(&engaged.stage) == stage.as_ref()
        };
        switch.is_some_and(|switch| switch.engaged.as_ref().is_some_and(is_ours) && switch.pin.is_none())
    }

    /// Returns an error if another author changed the switch; a store that cannot be read counts as unchanged.
    pub(super) fn interrupted(&self) -> Option<DrillError> {
        let document = self.control_plane.document().ok().flatten()?;
        (!self.is_in(&document)).then(|| self.left_to(Some(&document)))
    }

    /// Returns an error if another author engaged it after the drill released it.
    pub(super) fn engaged_anew(&self) -> Option<DrillError> {
        let document = self.control_plane.document().ok().flatten()?;
        let is_engaged = document.switch(self.engage.switch.as_str()).is_some_and(|switch| switch.engaged.is_some());
        is_engaged.then(|| self.left_to(Some(&document)))
    }

    pub(super) fn left_to(&self, document: Option<&Document>) -> DrillError {
        let switch = &self.engage.switch;
        DrillError::Interrupted { switch: switch.clone(), by: who(document, switch) }
    }

    /// Releases the switch in one compare-and-set, only if its engagement is still the drill's.
    pub(super) fn release(&mut self) -> Result<(), DrillError> {
        let change = Change::Release { switch: self.engage.switch.clone() };
        let failed = |why: O::Error| {
            let (switch, why) = (self.engage.switch.clone(), Box::new(why));
            DrillError::NotReleased { switch, why, ends: self.ends }
        };
        let released =
            change_while(self.control_plane, &change, self.by, |document| self.is_in(document)).map_err(failed);
        let was_tried = std::mem::replace(&mut self.is_tried, true);
        match released? {
            Ok(_) => {}
            // The release before succeeded without an answer.
            Err(Some(document)) if was_tried && is_released(&document, &self.engage.switch) => {}
            Err(document) => return Err(self.left_to(document.as_ref())),
        }
        self.is_done = true;
        Ok(())
    }
}

fn is_released(document: &Document, switch: &SwitchId) -> bool {
    document.switch(switch.as_str()).is_some_and(|switch| switch.engaged.is_none())
}

impl<O: ControlPlane> Drop for DrillGuard<'_, O> {
    fn drop(&mut self) {
        if !self.is_done {
            // A store that fails here leaves the engagement to its own end.
            catch_panic(|| self.release().is_ok());
        }
    }
}
