//! What a board tells of itself when it is asked, and its metrics.

use super::gate::Point;
use super::last_good::Snapshot;
use super::shared::Board;
#[cfg(feature = "metrics")]
use crate::clock::Timestamp;
use crate::kill_switch::control::editor::Desk;
#[cfg(feature = "metrics")]
use crate::kill_switch::metrics;
use crate::kill_switch::model::document::Document;
#[cfg(feature = "metrics")]
use crate::kill_switch::model::records::DrillRecord;
use crate::kill_switch::model::switch::Switch;
use crate::kill_switch::status::{BoardStatus, Source, is_overdue};
use std::time::Duration;

impl Board {
    pub(in crate::kill_switch) fn status(&self) -> BoardStatus {
        let now = self.now();
        let force = self.force.lock();
        let document = force.document.as_deref();
        let points: Vec<_> = self.points.lock().values().cloned().collect();
        let named =
            |is: &dyn Fn(&Point) -> bool| points.iter().filter(|point| is(point)).map(|point| point.name).collect();
        let is_defined = |point: &Point| document.is_some_and(|document| document.switch(point.id.as_str()).is_some());
        let is_retired = |point: &Point| document.is_some_and(|document| document.is_retired(&point.id));
        let unknown = named(&|point| !is_defined(point) && !is_retired(point));
        let retired = named(&|point| is_retired(point));
        let differing = named(&|point| point.is_differing());
        let switches = document.map(Document::switches).unwrap_or_default();
        let expired = switches.iter().filter(|switch| switch.definition().is_expired(now));
        let overdue = switches.iter().filter(|switch| is_overdue(switch, now));
        let since_good = self.clock.now().saturating_duration_since(force.good_at);
        let is_unread = since_good > self.poll.saturating_mul(3); // the store hangs, or its thread is gone
        let is_bad = force.refused.is_some() || force.source != Source::Store;
        let is_stale = self.desk.is_some() && (is_unread || is_bad);
        BoardStatus {
            source: force.source,
            generation: document.map_or(0, Document::generation),
            stale_for: if is_stale { since_good } else { Duration::ZERO },
            refused: force.refused.as_ref().map(|(_, why)| why.clone()),
            refusals: force.refusals,
            unrecorded: self.desk.as_ref().map_or(0, Desk::unrecorded),
            snapshot: self.snapshot.as_ref().and_then(Snapshot::failure),
            unknown,
            retired,
            expired: expired.map(|switch| switch.id().to_string()).collect(),
            overdue: overdue.map(|switch| switch.id().to_string()).collect(),
            differing,
        }
    }

    #[cfg_attr(not(feature = "metrics"), expect(clippy::unused_self, reason = "nothing to publish to"))]
    pub(in crate::kill_switch) fn publish(&self) {
        #[cfg(feature = "metrics")]
        {
            self.gate.run(|publisher| metrics::publish_board(publisher, self.name, &self.status()));
            let points: Vec<_> = self.points.lock().values().cloned().collect();
            for point in points {
                point.gate.run(|publisher| metrics::publish_point(publisher, &self.sample(&point)));
            }
        }
    }

    #[cfg(feature = "metrics")]
    fn sample(&self, point: &Point) -> crate::kill_switch::runtime::gate::PointSample {
        let now = self.now();
        let document = self.force.lock().document.clone();
        let switch = document.as_ref().and_then(|document| document.switch(point.id.as_str()));
        let is_expired = switch.is_some_and(|switch| switch.definition().is_expired(now));
        let is_overdue = switch.is_some_and(|switch| is_overdue(switch, now));
        let drilled = switch.and_then(Switch::drilled).map_or(Timestamp::UNIX_EPOCH, DrillRecord::at);
        let age = now.duration_since(drilled).as_secs_f64().max(0.0);
        point.sample(is_expired, is_overdue, age)
    }
}
