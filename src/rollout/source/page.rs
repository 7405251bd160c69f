//! One instance's page of metrics.

use super::counters::{Bound, Counter, Counters, bucket_name};
use super::text::{self, Sample};
use crate::telemetry::{
    ACTIVE_SECONDS, BULKHEAD_IN_FLIGHT_CALLS, BULKHEAD_MAX_CONCURRENT_CALLS, CIRCUIT_BREAKER_STATE, ERROR_SECONDS,
    HEALTH_STATUS, IN_FLIGHT_REQUESTS, KILL_SWITCH_ENGAGED, REQUESTS,
};
use std::collections::{BTreeMap, BTreeSet};

const COUNT: &str = REQUESTS.name;
const ACTIVE: &str = ACTIVE_SECONDS.name;
const ERROR: &str = ERROR_SECONDS.name;
const IN_FLIGHT: &str = IN_FLIGHT_REQUESTS.name;
const HEALTH: &str = HEALTH_STATUS.name;
const BREAKER: &str = CIRCUIT_BREAKER_STATE.name;
const SWITCH: &str = KILL_SWITCH_ENGAGED.name;
const CALLS: &str = BULKHEAD_IN_FLIGHT_CALLS.name;
const MOST_CALLS: &str = BULKHEAD_MAX_CONCURRENT_CALLS.name;

/// CPU seconds and memory of a process, as Prometheus client libraries name them.
pub(crate) const CPU: &str = "process_cpu_seconds_total";
pub(crate) const MEMORY: &str = "process_resident_memory_bytes";

/// Most counters and gauges of a page: segments come from configuration, and a page of many more is not ours.
const SERIES_MAX: usize = 5_000;

/// Values of one instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) counters: Counters,
    pub(crate) gauges: BTreeMap<String, f64>,
    /// True for a circuit that opened by itself, by name.
    pub(crate) breakers: BTreeMap<String, bool>,
    pub(crate) engaged: BTreeSet<String>,
    pub(crate) is_not_started: bool,
    pub(crate) is_not_ready: bool,
}

/// The metrics that a page is read for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) service: String,
    /// Metrics that are gauges of the same name.
    pub(crate) gauges: BTreeSet<String>,
}

impl Page {
    /// # Errors
    ///
    /// Text that is no page of metrics, a page without requests of the service, a series that is there twice, a counter that is no number from 0 up. The message names it.
    pub(crate) fn read(text: &str, wanted: &Wanted) -> Result<Self, String> {
        let bucket = bucket_name();
        let is_of_ours = |name: &str| match name {
            COUNT | ACTIVE | ERROR | IN_FLIGHT | HEALTH | BREAKER | SWITCH | CALLS | MOST_CALLS | CPU | MEMORY => true,
            name => name == bucket,
        };
        let mut reading = Reading::of(wanted);
        text::read(
            text,
            |name| is_of_ours(name) || wanted.gauges.contains(name),
            |sample| {
                if reading.counters.len() + reading.seen.len() >= SERIES_MAX {
                    return Err(format!("more than {SERIES_MAX} series of one instance"));
                }
                if sample.name == bucket { reading.bucket(&sample) } else { reading.take(&sample) }
            },
        )?;
        reading.finish()
    }
}

struct Reading<'w> {
    wanted: &'w Wanted,
    page: Page,
    /// Values with their lines.
    counters: BTreeMap<Counter, (f64, usize)>,
    services: BTreeSet<String>,
    /// In flight and most of each bulkhead.
    bulkheads: BTreeMap<String, (f64, f64)>,
    /// Lines of gauges.
    seen: BTreeMap<(String, String, String), usize>,
}

impl<'w> Reading<'w> {
    fn of(wanted: &'w Wanted) -> Self {
        Self {
            wanted,
            page: Page::default(),
            counters: BTreeMap::new(),
            services: BTreeSet::new(),
            bulkheads: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Returns whether a series is one of the service that is looked for.
    fn is_of_service(&mut self, sample: &Sample<'_>) -> bool {
        let service = sample.label("service");
        if !self.services.contains(service) {
            self.services.insert(service.to_owned());
        }
        self.wanted.service == service
    }

    fn count(&mut self, counter: Counter, sample: &Sample<'_>) -> Result<(), String> {
        if !sample.value.is_finite() || sample.value < 0.0 {
            return Err(format!("{} is {}, must be a number from 0 up", shown(sample), sample.value));
        }
        match self.counters.insert(counter, (sample.value, sample.line)) {
            None => Ok(()),
            Some((_, line)) => Err(twice(sample, line)),
        }
    }

    /// Reports a gauge's series that is there twice.
    fn once(&mut self, sample: &Sample<'_>, label: &str, other: &str) -> Result<(), String> {
        let key = (sample.name.to_owned(), sample.label(label).to_owned(), sample.label(other).to_owned());
        self.seen.insert(key, sample.line).map_or(Ok(()), |line| Err(twice(sample, line)))
    }

    fn bucket(&mut self, sample: &Sample<'_>) -> Result<(), String> {
        if !self.is_of_service(sample) {
            return Ok(());
        }
        let le = Bound::parse(sample.label("le")).ok_or_else(|| format!("{} has no bound above 0", shown(sample)))?;
        self.count(Counter::Bucket { outcome: sample.label("outcome").to_owned(), le }, sample)
    }

    fn take(&mut self, sample: &Sample<'_>) -> Result<(), String> {
        let segment = || sample.label("segment").to_owned();
        let name = || sample.label("name").to_owned();
        match sample.name {
            COUNT if self.is_of_service(sample) => self
                .count(Counter::Requests { segment: segment(), outcome: sample.label("outcome").to_owned() }, sample),
            ACTIVE if self.is_of_service(sample) => self.count(Counter::ActiveSeconds { segment: segment() }, sample),
            ERROR if self.is_of_service(sample) => self.count(Counter::ErrorSeconds { segment: segment() }, sample),
            IN_FLIGHT if self.is_of_service(sample) => self.gauge("in_flight", sample),
            // It is a gauge in the end: without a number it was not measured.
            CPU if !sample.value.is_finite() => Ok(()),
            CPU => self.count(Counter::Cpu, sample),
            MEMORY => self.gauge("memory", sample),
            HEALTH => {
                self.once(sample, "check", "")?;
                // 1 passes; 0 is no result yet, and NaN is none either.
                let is_passing = (sample.value - 1.0).abs() <= 0.5;
                match sample.label("check") {
                    "startup" => self.page.is_not_started = !is_passing,
                    "readiness" => self.page.is_not_ready = !is_passing,
                    _ => {}
                }
                Ok(())
            }
            BREAKER => {
                self.once(sample, "name", "state")?;
                let is_open = matches!(sample.label("state"), "open" | "half_open") && sample.value > 0.5;
                *self.page.breakers.entry(name()).or_default() |= is_open;
                Ok(())
            }
            SWITCH => {
                self.once(sample, "name", "")?;
                if sample.value > 0.5 {
                    self.page.engaged.insert(name());
                }
                Ok(())
            }
            CALLS | MOST_CALLS => {
                self.once(sample, "name", "")?;
                let (in_flight, most) = self.bulkheads.entry(name()).or_default();
                *(if sample.name == CALLS { in_flight } else { most }) = sample.value;
                Ok(())
            }
            metric if self.wanted.gauges.contains(metric) => self.gauge(metric, sample),
            _ => Ok(()),
        }
    }

    /// One that is not finite was not measured.
    fn gauge(&mut self, name: &str, sample: &Sample<'_>) -> Result<(), String> {
        if sample.value.is_finite() {
            self.once(sample, "", "")?;
            self.page.gauges.insert(name.to_owned(), sample.value);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Page, String> {
        self.page.counters = self.counters.into_iter().map(|(counter, (value, _))| (counter, value)).collect();
        let has_requests = self.page.counters.keys().any(|counter| matches!(counter, Counter::Requests { .. }));
        let services = || self.services.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let metric = COUNT;
        if !has_requests {
            let there = match services() {
                none if none.is_empty() => "the page is not that of a service".to_owned(),
                services => format!("services there: {services}"),
            };
            return Err(format!("no series {metric}{{service=\"{}\"}}: {there}", self.wanted.service));
        }
        for (name, (in_flight, most)) in self.bulkheads {
            if most > 0.0 && in_flight >= 0.0 && (in_flight / most).is_finite() {
                self.page.gauges.insert(format!("bulkhead.{name}"), in_flight / most);
            }
        }
        // An instance that has not started is not ready either, and counts once.
        self.page.is_not_ready &= !self.page.is_not_started;
        Ok(self.page)
    }
}

fn twice(sample: &Sample<'_>, line: usize) -> String {
    format!("{} is there twice, also in line {line}: the page must be that of one process", shown(sample))
}

fn shown(sample: &Sample<'_>) -> String {
    let labels: Vec<_> = sample.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}{{{}}}", sample.name, labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
        backstop_requests_total{service=\"shop\",segment=\"default\",outcome=\"success\"} 97\n\
        backstop_requests_total{service=\"shop\",segment=\"default\",outcome=\"server_error\"} 3\n\
        backstop_active_seconds_total{service=\"shop\",segment=\"default\"} 9\n\
        backstop_request_duration_seconds_bucket{service=\"shop\",outcome=\"success\",le=\"0.1\"} 90\n\
        backstop_request_duration_seconds_bucket{service=\"shop\",outcome=\"success\",le=\"+Inf\"} 97\n\
        backstop_health_status{check=\"startup\"} 1\n\
        backstop_health_status{check=\"readiness\"} 2\n\
        backstop_circuit_breaker_state{name=\"db\",state=\"closed\"} 0\n\
        backstop_circuit_breaker_state{name=\"db\",state=\"half_open\"} 1\n\
        backstop_circuit_breaker_state{name=\"mail\",state=\"forced_open\"} 1\n\
        backstop_kill_switch_engaged{name=\"ads\"} 1\n\
        backstop_bulkhead_in_flight_calls{name=\"db\"} 5\n\
        backstop_bulkhead_max_concurrent_calls{name=\"db\"} 20\n\
        process_cpu_seconds_total 12.5\n\
        process_resident_memory_bytes 1000\n\
        queue_age NaN\n\
        other_service{service=\"x\"} 1\n";

    fn wanted(service: &str) -> Wanted {
        Wanted { service: service.to_owned(), gauges: ["queue_age".to_owned()].into() }
    }

    #[test]
    fn a_page_is_read_into_the_fields_of_an_instance() {
        let page = Page::read(PAGE, &wanted("shop")).unwrap();
        assert_eq!(page.counters.len(), 6);
        assert_eq!((page.is_not_started, page.is_not_ready), (false, true));
        assert_eq!(page.breakers, [("db".to_owned(), true), ("mail".to_owned(), false)].into());
        assert_eq!(page.engaged, ["ads".to_owned()].into());
        assert_eq!(page.gauges, [("bulkhead.db".to_owned(), 0.25), ("memory".to_owned(), 1000.0)].into());
    }

    #[test]
    fn a_check_without_a_number_does_not_pass() {
        let text = PAGE.replace("{check=\"readiness\"} 2", "{check=\"readiness\"} NaN");
        assert!(Page::read(&text, &wanted("shop")).unwrap().is_not_ready);
    }

    #[test]
    fn cpu_seconds_without_a_number_are_not_measured_and_the_rest_is() {
        let page = Page::read(&format!("{PAGE}{CPU} NaN\n"), &wanted("shop")).unwrap();
        assert_eq!(page.counters, Page::read(PAGE, &wanted("shop")).unwrap().counters);
    }

    /// Lines of an `OpenMetrics` exposition that a text page lacks.
    #[test]
    fn creation_times_exemplars_and_the_end_of_a_page_are_no_counts() {
        let text = format!(
            "{PAGE}backstop_requests_created{{service=\"shop\",segment=\"default\",outcome=\"success\"}} 1.7e9\n\
             backstop_request_duration_seconds_bucket{{service=\"shop\",outcome=\"failure\",le=\"1.0\"}} 3 1700000000.5 # {{trace=\"a\\\"b\"}} 0.5\n# EOF\n"
        );
        let page = Page::read(&text, &wanted("shop")).unwrap();
        assert_eq!(page.counters.len(), 7);
        let le = Bound::parse("1").unwrap();
        assert!(page.counters.contains_key(&Counter::Bucket { outcome: "failure".into(), le }));
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_page_is_read_or_refused(at in 0..PAGE.len(), with in "[\\x00-\\x7f]{0,3}", cut in 0_usize..20) {
            let end = (at + cut).min(PAGE.len());
            let text = format!("{}{with}{}", &PAGE[..at], &PAGE[end..]);
            if let Ok(page) = Page::read(&text, &wanted("shop")) {
                proptest::prop_assert!(page.counters.values().all(|value| value.is_finite() && *value >= 0.0));
            }
        }
    }

    #[test]
    fn duplicates_nan_and_other_services_are_errors_that_name_them() {
        let line = "backstop_requests_total{service=\"shop\",segment=\"default\",outcome=\"success\"}";
        let two = "backstop_requests_total{service=\"a\",segment=\"s\",outcome=\"success\"} 1\n\
                   backstop_requests_total{service=\"b\",segment=\"s\",outcome=\"success\"} 1\n";
        for (text, service, error) in [
            (
                format!("{PAGE}{line} 98\n"),
                "shop",
                "line 18: backstop_requests_total{service=\"shop\",segment=\"default\",outcome=\"success\"} is there twice, also in line 1",
            ),
            (
                format!("{PAGE}queue_age{{q=\"a\"}} 1\nqueue_age{{q=\"b\"}} 2\n"),
                "shop",
                "{q=\"b\"} is there twice, also in line 18",
            ),
            (format!("{line} NaN\n"), "shop", "is NaN, must be a number from 0 up"),
            (format!("{line} -1\n"), "shop", "is -1, must be a number from 0 up"),
            (two.to_owned(), "c", "services there: \"a\", \"b\""),
            (
                "up 1\n".to_owned(),
                "c",
                "no series backstop_requests_total{service=\"c\"}: the page is not that of a service",
            ),
            ("<html>".to_owned(), "shop", "is no sample of the Prometheus text format"),
        ] {
            let message = Page::read(&text, &wanted(service)).unwrap_err();
            assert!(message.contains(error), "{message}");
        }
        assert!(Page::read(two, &wanted("a")).is_ok());
        let many =
            |i: usize| format!("backstop_requests_total{{service=\"a\",segment=\"{i}\",outcome=\"success\"}} 1\n");
        let many: String = (0..6_000).map(many).collect();
        assert_eq!(Page::read(&many, &wanted("a")).unwrap_err(), "line 5001: more than 5000 series of one instance");
    }
}
