//! Series of switches and their values: two lists in the same order.

#[cfg(feature = "metrics")]
pub(super) use publish::{publish_board, publish_point};

#[cfg(feature = "metrics")]
mod publish {
    use crate::kill_switch::model::engagement::Trigger;
    use crate::kill_switch::runtime::gate::GateSample;
    use crate::kill_switch::status::Status;
    use crate::telemetry::{self, Metric, Publisher, Series, Value};

    fn flag(on: bool) -> Value {
        Value::Now(f64::from(u8::from(on)))
    }

    /// One switch's series.
    pub(crate) fn publish_point(publisher: &mut Publisher, sample: &GateSample) {
        let name = sample.name;
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
            telemetry::KILL_SWITCH_ENGAGED,
            telemetry::KILL_SWITCH_UNKNOWN,
            telemetry::KILL_SWITCH_DEFINITION_EXPIRED,
            telemetry::KILL_SWITCH_ENGAGEMENT_OVERDUE,
            telemetry::KILL_SWITCH_DRILL_AGE_SECONDS,
        ];
        let totals = sample.transitions.into_iter().chain([sample.blocked, sample.fallbacks]).map(Value::Total);
        let now = [
            flag(sample.is_engaged),
            flag(sample.is_unknown),
            flag(sample.is_expired),
            flag(sample.is_overdue),
            Value::Now(sample.drill_age_seconds),
        ];
        publisher.publish(&transitions.chain(rest.into_iter().map(of)), totals.chain(now));
    }

    /// The series of all switches together.
    pub(crate) fn publish_board(publisher: &mut Publisher, name: &'static str, status: &Status) {
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
        publisher.publish(&series.into_iter().map(of), values.into_iter());
    }
}
