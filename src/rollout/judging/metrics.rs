//! Metrics of verdicts: through the facade, and as text for a program without an exporter.

use crate::rollback::{TriggerState, Verdict};
use crate::telemetry::{self, Metric};
use std::fmt::Write as _;

/// Every state, in the order of [`TriggerState`].
const STATES: [(TriggerState, &str); 6] = [
    (TriggerState::Ok, "ok"),
    (TriggerState::Collecting, "collecting"),
    (TriggerState::NoData, "no_data"),
    (TriggerState::NotMeasured, "not_measured"),
    (TriggerState::Borderline, "borderline"),
    (TriggerState::Fired, "fired"),
];

/// Changes of triggers, and what they are published through.
pub(super) struct Metrics {
    service: String,
    /// Each trigger's name with its changes by state.
    changes: Vec<(String, [u64; STATES.len()])>,
    #[cfg(feature = "metrics")]
    facade: Option<facade::Facade>,
}

impl Metrics {
    pub(super) fn new(service: &str, triggers: impl Iterator<Item = String>) -> Self {
        let changes: Vec<_> = triggers.map(|name| (name, [0; STATES.len()])).collect();
        #[cfg(feature = "metrics")]
        let facade = facade::Facade::new(service, &changes);
        Self {
            service: service.to_owned(),
            changes,
            #[cfg(feature = "metrics")]
            facade,
        }
    }

    /// Counts the change of a trigger into a state.
    pub(super) fn count(&mut self, trigger: usize, state: TriggerState) {
        let place = STATES.iter().position(|(known, _)| *known == state);
        if let Some((_, counts)) = self.changes.get_mut(trigger)
            && let Some(place) = place
        {
            counts[place] += 1;
        }
    }

    /// Publishes, and returns the counters as lines of text.
    pub(super) fn publish(&mut self, verdict: &Verdict, stale: f64) -> Lines {
        #[cfg(feature = "metrics")]
        if let Some(facade) = &mut self.facade {
            facade.publish(&self.changes, f64::from(verdict.code), stale);
        }
        #[cfg(not(feature = "metrics"))]
        let _ = verdict; // the page has the code of the verdict at the time of asking
        let service = escaped(&self.service);
        let mut triggers = String::new();
        for (name, counts) in &self.changes {
            for ((_, state), count) in STATES.iter().zip(counts) {
                let labels = format!("service=\"{service}\",trigger=\"{}\",state=\"{state}\"", escaped(name));
                // Written to a text: it cannot fail.
                let _ = writeln!(triggers, "{}{{{labels}}} {count}", telemetry::ROLLBACK_TRIGGERS.name);
            }
        }
        Lines { service, triggers, stale }
    }
}

/// Lines of a service at its last look.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// Its name as a label.
    service: String,
    triggers: String,
    stale: f64,
}

/// Lines of several services as one page, each with the code of its verdict and the seconds since its last look.
pub(super) fn page(services: &[(&Lines, u8, f64)]) -> String {
    let mut text = String::new();
    let one = |metric: Metric, lines: &Lines, value: String| {
        format!("{}{{service=\"{}\"}} {value}\n", metric.name, lines.service)
    };
    head(&mut text, &telemetry::VERDICT);
    text.extend(services.iter().map(|(lines, code, _)| one(telemetry::VERDICT, lines, code.to_string())));
    head(&mut text, &telemetry::ROLLBACK_TRIGGERS);
    text.extend(services.iter().map(|(lines, ..)| lines.triggers.as_str()));
    head(&mut text, &telemetry::VERDICT_SOURCE_STALE_SECONDS);
    text.extend(services.iter().map(|(lines, _, age)| {
        one(telemetry::VERDICT_SOURCE_STALE_SECONDS, lines, format!("{:.3}", lines.stale + age))
    }));
    text
}

fn head(text: &mut String, metric: &Metric) {
    let kind = if metric.kind == telemetry::MetricKind::Counter { "counter" } else { "gauge" };
    let _ = writeln!(text, "# HELP {} {}\n# TYPE {} {kind}", metric.name, metric.help, metric.name);
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(feature = "metrics")]
mod facade {
    use super::STATES;
    use crate::config::intern;
    use crate::telemetry::{self, Publisher, Series, Value};

    pub(super) struct Facade {
        publisher: Publisher,
        series: Vec<Series>,
    }

    impl Facade {
        /// `None` for names that are no labels.
        pub(super) fn new(service: &str, changes: &[(String, [u64; STATES.len()])]) -> Option<Self> {
            let service = intern("service", service).ok()?;
            let mut series = vec![
                Series { metric: telemetry::VERDICT, labels: [service, "", "", ""] },
                Series { metric: telemetry::VERDICT_SOURCE_STALE_SECONDS, labels: [service, "", "", ""] },
            ];
            for (name, _) in changes {
                let name = intern("trigger", name).ok()?;
                let of = |(_, state): (_, &'static str)| Series {
                    metric: telemetry::ROLLBACK_TRIGGERS,
                    labels: [service, name, state, ""],
                };
                series.extend(STATES.map(of));
            }
            Some(Self { publisher: Publisher::default(), series })
        }

        pub(super) fn publish(&mut self, changes: &[(String, [u64; STATES.len()])], code: f64, stale: f64) {
            let totals = changes.iter().flat_map(|(_, counts)| counts.iter().copied().map(Value::Total));
            let values = [Value::Now(code), Value::Now(stale)].into_iter().chain(totals);
            self.publisher.publish(&self.series.iter().copied(), values);
        }
    }
}
