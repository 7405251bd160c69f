//! Limits of what automation may change.

use super::error::ChangeError;
use super::lookup::{engagement, find, in_force, not_pinned};
use crate::kill_switch::model::{Author, Change, Document, Engage, Percent, Scope, Stage, Switch, Trigger};
/// Checks that a program may ask for a change: to engage within the definition's limits, to take its own engagement
/// further, and to record a drill; never over a pin.
pub(crate) fn may_automation(document: &Document, change: &Change, by: &Author) -> Result<(), ChangeError> {
    let (Change::Engage(Engage { switch: id, .. }) | Change::Advance { switch: id, .. }) = change else {
        let may = matches!(change, Change::Drilled { .. });
        return if may { Ok(()) } else { Err(ChangeError::AutomationMayNot { verb: change.verb() }) };
    };
    let switch = find(document, id)?;
    not_pinned(switch)?;
    let allowed = switch.definition.max_automatic();
    let within = |scope: &Scope| {
        let is_within = allowed.is_some() && scope.share().is_some_and(|share| Some(share) <= allowed);
        let allowed = allowed.map_or(0.0, Percent::get);
        if is_within { Ok(()) } else { Err(ChangeError::TooWide { switch: id.clone(), allowed }) }
    };
    let stages = document.stages();
    match (change, in_force(switch, by)) {
        (Change::Engage(_), Some(_)) => {
            Err(ChangeError::AlreadyEngaged { switch: id.clone(), instead: "leave it as it is" })
        }
        (Change::Engage(engage), None) => {
            within(&engage.scope)?;
            if engage.now {
                return Err(ChangeError::AutomationMayNot { verb: "leave stages out" });
            }
            let stage = engagement(document, engage, by)?.stage;
            if !stages.is_empty() && !stages.first().covers(&stage) {
                return Err(ChangeError::SkipsStages { switch: id.clone() });
            }
            reaches(switch, &stage)
        }
        (_, Some(engaged)) if matches!(engaged.trigger, Trigger::Human | Trigger::Drill) => {
            Err(ChangeError::AutomationMayNot { verb: "take further what a person engaged" })
        }
        (Change::Advance { stage, .. }, Some(engaged)) => {
            within(&engaged.scope)?;
            let next = stages.next(&engaged.stage);
            if !stages.is_empty() && next != Some(stage.clone().after(&engaged.stage)) {
                return Err(ChangeError::SkipsStages { switch: id.clone() });
            }
            reaches(switch, stage)
        }
        _ => Ok(()),
    }
}

/// Checks the stage against the definition's limit for programs.
fn reaches(switch: &Switch, stage: &Stage) -> Result<(), ChangeError> {
    let (switch, allowed) = (switch.id.clone(), switch.definition.max_automatic_spread);
    if stage.spread() <= allowed { Ok(()) } else { Err(ChangeError::TooFar { switch, allowed }) }
}
