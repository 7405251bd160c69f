//! Series of switches and their values: two lists in the same order.

#[cfg(feature = "metrics")]
pub(super) use publish::{publish_board, publish_point};

#[cfg(feature = "metrics")]
mod publish {
    use crate::clock::Timestamp;
    use crate::kill_switch::model::engagement::Trigger;
    use crate::kill_switch::runtime::gate::Gate;
    use crate::kill_switch::status::is_overdue;
    use crate::kill_switch::{Status, Switch};
    use crate::sync::{AtomicU64, Ordering};
    use crate::telemetry::{self, Metric, Publisher, Sent, Series, Value};

    fn flag(on: bool) -> Value {
        Value::Now(f64::from(u8::from(on)))
    }

    /// One switch's series, with what the document in force has of it.
    pub(crate) fn publish_point(
        publisher: &mut Publisher,
        gate: &Gate,
        switch: Option<&Switch>,
        is_elsewhere: bool,
        now: Timestamp,
    ) -> Sent {
        let name = gate.name;
        let of = move |metric: Metric| Series { metric, labels: [name, "", "", ""] };
        let transitions = ["engaged", "released"].into_iter().flat_map(move |to| {
            Trigger::KINDS.into_iter().map(move |trigger| {
                let labels = [name, to, trigger, ""];
                Series { metric: telemetry::KILL_SWITCH_TRANSITIONS, labels }
            })
        });
        let rest = [
            telemetry::KILL_SWITCH_BLOCKED,
            telemetry::KILL_SWITCH_FALLBACKS,
            telemetry::KILL_SWITCH_UNDECIDED,
            telemetry::KILL_SWITCH_ENGAGED,
            telemetry::KILL_SWITCH_ELSEWHERE,
            telemetry::KILL_SWITCH_UNKNOWN,
            telemetry::KILL_SWITCH_DEFINITION_EXPIRED,
            telemetry::KILL_SWITCH_ENGAGEMENT_OVERDUE,
            telemetry::KILL_SWITCH_DRILL_AGE_SECONDS,
        ];
        let total = |count: &AtomicU64| Value::Total(count.load(Ordering::Relaxed));
        let totals = gate.transitions.iter().chain([&gate.blocked, &gate.fallbacks, &gate.undecided]).map(total);
        let drilled = switch.and_then(|switch| switch.drilled.as_ref());
        let drilled = drilled.map_or(Timestamp::UNIX_EPOCH, |drilled| drilled.at);
        let gauges = [
            flag(gate.is_engaged()),
            flag(is_elsewhere),
            flag(gate.is_unknown()),
            flag(switch.is_some_and(|switch| switch.definition.is_expired(now))),
            flag(switch.is_some_and(|switch| is_overdue(switch, now))),
            Value::Now(now.duration_since(drilled).as_secs_f64().max(0.0)),
        ];
        publisher.publish(&transitions.chain(rest.into_iter().map(of)), totals.chain(gauges))
    }

    /// The series of all switches together.
    pub(crate) fn publish_board(publisher: &mut Publisher, name: &'static str, status: &Status) -> Sent {
        let of = move |metric: Metric| Series { metric, labels: [name, "", "", ""] };
        let series = [
            telemetry::KILL_SWITCH_REFUSED_DOCUMENTS,
            telemetry::KILL_SWITCH_AUDIT_FAILURES,
            telemetry::KILL_SWITCH_GENERATION,
            telemetry::KILL_SWITCH_STORE_STALE_SECONDS,
        ];
        let values = [
            Value::Total(status.refusals),
            Value::Total(status.unrecorded),
            Value::Now(status.generation as f64),
            Value::Now(status.stale_for.as_secs_f64()),
        ];
        publisher.publish(&series.into_iter().map(of), values.into_iter())
    }
}
