//! State from window to window, and the decision.

use super::config::{Kpi, KpiTriggerConfig};
use super::judge::judge;
use super::verdict::{Guard, GuardResult, Verdict};
use super::window::{Reading, Window};
use crate::clock::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// Decides for one switch whether its KPIs engage it.
///
/// An `Engage` verdict counts against the rate limit at once. Call [`refused`](Self::refused) if it was rejected. Give
/// it windows while the switch is released.
#[derive(Clone, Debug)]
pub struct KpiTrigger {
    config: KpiTriggerConfig,
    since: Timestamp,
    last: Option<Timestamp>,
    /// Bad windows in a row, for each KPI.
    in_row: Vec<u32>,
    /// The latest automatic engagements, as many as the settings allow.
    engaged: VecDeque<Timestamp>,
    /// Whether the last window's verdict is the last of them.
    has_just_engaged: bool,
}

impl KpiTrigger {
    /// For a capability that has been on since then.
    pub fn new(config: KpiTriggerConfig, since: Timestamp) -> Self {
        let in_row = vec![0; config.0.kpis.len()];
        Self { config, since, last: None, in_row, engaged: VecDeque::new(), has_just_engaged: false }
    }

    /// The capability was turned on again, or is a new release: it warms up anew. Engagements are not forgotten.
    pub fn restart(&mut self, since: Timestamp) {
        self.since = since;
        self.in_row.fill(0);
    }

    /// The engagement that the last window's verdict asked for was not made: it does not count among those that there
    /// may be. The KPIs have to be bad in as many windows again.
    pub fn refused(&mut self) {
        if std::mem::take(&mut self.has_just_engaged) {
            self.engaged.pop_back();
        }
    }

    /// Looks at the next window.
    ///
    /// Windows that touch are in a row. One that overlaps the last is ignored: the same samples would count twice.
    /// One that is older, or comes after a gap, begins a new row.
    pub fn observe(&mut self, window: &Window) -> Verdict {
        self.has_just_engaged = false;
        let order = self.order(window.at);
        if order.holds {
            return Verdict::Wait { guards: vec![order] };
        }
        let mut guards = vec![order];
        let age = elapsed(self.since, window.at);
        let mut engage = None;
        for (kpi, in_row) in self.config.0.kpis.iter().zip(&mut self.in_row) {
            let judgement = judge(kpi, window, age, *in_row);
            *in_row = if judgement.is_bad { in_row.saturating_add(1) } else { 0 };
            guards.extend(judgement.guards);
            engage = engage.or(judgement.engage.map(|canary| (kpi, canary)));
        }
        let (flapping, scope) = (self.flapping(window.at), self.scope(window));
        let (Some((kpi, canary)), false, false) = (engage, flapping.holds, scope.holds) else {
            guards.extend([flapping, scope]);
            return Verdict::Wait { guards };
        };
        let verdict = self.engage(kpi, canary, window);
        self.in_row.fill(0);
        self.engaged.push_back(window.at);
        self.has_just_engaged = true;
        if self.engaged.len() > self.config.0.max_engagements as usize {
            self.engaged.pop_front();
        }
        verdict
    }

    /// Checks that the window follows the last one; otherwise the rows begin anew.
    fn order(&mut self, at: Timestamp) -> GuardResult {
        let length = self.config.0.window;
        let last = self.last.unwrap_or(Timestamp::MIN);
        let (later, earlier) = (elapsed(last, at), elapsed(at, last));
        let overlaps = later.max(earlier) < length / 2;
        if !overlaps {
            // Also if time went back: otherwise one window from the future would be the last.
            self.last = Some(at);
            if later < length / 2 || later >= 2 * length {
                self.in_row.fill(0);
            }
        }
        let (holds, how) = match (overlaps, earlier.is_zero()) {
            (true, _) => (true, "overlaps the last one"),
            (false, false) => (true, "is older than the last one"),
            (false, true) => (false, "came after the last one"),
        };
        GuardResult { guard: Guard::Order, kpi: None, holds, sentence: format!("the window at {at} {how}") }
    }

    fn flapping(&self, at: Timestamp) -> GuardResult {
        let (max, within) = (self.config.0.max_engagements, self.config.0.engagements_within);
        let lately = self.engaged.iter().filter(|engaged| elapsed(**engaged, at) < within).count();
        let sentence = format!("automation has engaged {lately} times within {within:?}, at most {max} are allowed");
        GuardResult { guard: Guard::Flapping, kpi: None, holds: lately >= max as usize, sentence }
    }

    fn scope(&self, window: &Window) -> GuardResult {
        let (reach, percent, spread) = (window.reach, self.config.0.max_percent, self.config.0.max_spread);
        let agrees = reach.percent > 0.0 && reach.percent <= percent && reach.spread <= spread;
        let (wanted, most) = (reach.spread.words(), spread.words());
        let sentence = format!(
            "it would turn off {} % {wanted}, but automation may turn off {percent} % {most} at most",
            reach.percent
        );
        GuardResult { guard: Guard::Scope, kpi: None, holds: !agrees, sentence }
    }

    fn engage(&self, kpi: &Kpi, canary: Reading, window: &Window) -> Verdict {
        let (metric, length) = (kpi.metric.as_ref().unwrap_or(&kpi.name), self.config.0.window);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded down, not negative")]
        let samples = canary.samples as u64;
        let (name, value, threshold, lasted) = (&kpi.name, canary.value, kpi.threshold, kpi.windows * length);
        let baseline = kpi.baseline_factor.and(window.baseline.get(name));
        let beside = baseline.map(|baseline| format!("; the baseline was at {}", baseline.value)).unwrap_or_default();
        let sentence = format!(
            "{name} ({metric}) was past {threshold} in every window for {lasted:?}, \
             in the last at {value} with {samples} samples{beside}"
        );
        Verdict::Engage {
            kpi: name.clone(),
            metric: metric.clone(),
            value,
            threshold,
            window: length,
            samples,
            sentence,
        }
    }
}

/// The time from one point to a later one; zero if it is not later.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill_switch::auto_engage::window::BlastRadius;
    use crate::kill_switch::model::stage::Spread;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// Five times as bad as it may be, beside a good baseline: nothing holds it back.
    fn bad(seconds: i64) -> Window {
        let window = Window::new(at(seconds), BlastRadius::new(10.0, Spread::Instances));
        window.canary("errors", Reading::new(0.25, 100.0)).baseline("errors", Reading::new(0.125, 100.0))
    }

    fn errors() -> Kpi {
        Kpi::higher_is_worse("errors", 0.05).windows(1)
    }

    fn automatic(kpi: Kpi) -> KpiTrigger {
        let config = KpiTriggerConfig::builder().kpi(kpi).max_reach(10.0, Spread::Instances).build().unwrap();
        KpiTrigger::new(config, at(0))
    }

    /// The guards that hold it back, with what they say.
    fn held(automatic: &mut KpiTrigger, window: &Window) -> Vec<(Guard, String)> {
        match automatic.observe(window) {
            Verdict::Engage { .. } => Vec::new(),
            Verdict::Wait { guards } => {
                let held: Vec<_> = guards.into_iter().filter(|said| said.holds).collect();
                assert!(!held.is_empty(), "nothing holds it back, and it waits");
                held.into_iter().map(|said| (said.guard, said.sentence)).collect()
            }
        }
    }

    fn alone(kpi: Kpi, window: &Window, guard: Guard, sentence: &str) {
        assert_eq!(held(&mut automatic(kpi), window), [(guard, sentence.to_owned())]);
    }

    #[test]
    fn without_anything_to_hold_it_back_it_engages_and_says_why() {
        let verdict = automatic(errors().metric("http_error_rate")).observe(&bad(300));
        let Verdict::Engage { kpi, metric, value, threshold, window, samples, sentence } = verdict else { panic!() };
        assert_eq!((kpi.as_str(), metric.as_str()), ("errors", "http_error_rate"));
        assert_eq!((value.to_string(), threshold.to_string(), samples), ("0.25".to_owned(), "0.05".to_owned(), 100));
        assert_eq!(window, Duration::from_secs(60));
        let expected = "errors (http_error_rate) was past 0.05 in every window for 60s, in the last at 0.25 with \
            100 samples; the baseline was at 0.125";
        assert_eq!(sentence, expected);
    }

    #[test]
    fn a_value_that_is_no_number_holds_it_back_alone() {
        for (number, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-0.5, "-0.5")] {
            let bound = "must be finite and 0 at least";
            let window = bad(300).canary("errors", Reading::new(number, 100.0));
            alone(errors(), &window, Guard::Reading, &format!("the canary's value is {shown}, {bound}"));
            let window = bad(300).canary("errors", Reading::new(0.25, number));
            alone(errors(), &window, Guard::Reading, &format!("the canary's number of samples is {shown}, {bound}"));
            let window = bad(300).baseline("errors", Reading::new(number, 100.0));
            alone(errors(), &window, Guard::Reading, &format!("the baseline's value is {shown}, {bound}"));
        }
        let nothing = Window::new(at(300), BlastRadius::new(10.0, Spread::Instances));
        alone(errors(), &nothing, Guard::Reading, "the canary has no value");
    }

    #[test]
    fn an_engagement_that_was_not_made_does_not_count() {
        let mut once = automatic(errors());
        assert_eq!(held(&mut once, &bad(300)), []);
        once.refused();
        once.refused();
        assert_eq!(held(&mut once, &bad(360)), [], "it is the first one still");
        assert_eq!(held(&mut once, &bad(420))[0].0, Guard::Flapping);
        once.refused();
        assert_eq!(held(&mut once, &bad(480))[0].0, Guard::Flapping, "one that was made stays");
    }

    #[test]
    fn the_warm_up_holds_it_back_alone() {
        let sentence = "the capability has been on for 299s, less than its warm-up of 300s";
        alone(errors(), &bad(299), Guard::WarmUp, sentence);
        let mut again = automatic(errors());
        again.restart(at(301));
        assert_eq!(held(&mut again, &bad(600))[0].0, Guard::WarmUp);
        assert_eq!(held(&mut again, &bad(660)), []);
    }

    #[test]
    fn too_few_samples_hold_it_back_alone() {
        let window = bad(300).canary("errors", Reading::new(0.25, 99.5));
        alone(
            errors(),
            &window,
            Guard::Samples,
            "the canary has 99.5 samples in this window, at least 100 are needed to judge it",
        );
    }

    #[test]
    fn a_value_that_is_not_past_the_threshold_holds_it_back_alone() {
        let exactly = errors().baseline_factor(None);
        let window = bad(300).canary("errors", Reading::new(0.05, 100.0));
        alone(exactly, &window, Guard::Threshold, "the canary's 0.05 is not above 0.05");
        let hits = Kpi::lower_is_worse("errors", 0.05).windows(1).baseline_factor(None);
        alone(hits, &window, Guard::Threshold, "the canary's 0.05 is not below 0.05");
    }

    #[test]
    fn a_baseline_that_is_bad_too_or_cannot_be_seen_holds_it_back_alone() {
        let sentence = "the baseline is bad too: the canary's 0.25 is not 2 times as bad as its 0.126";
        let window = bad(300).baseline("errors", Reading::new(0.126, 100.0));
        alone(errors(), &window, Guard::Baseline, sentence);
        let few = bad(300).baseline("errors", Reading::new(0.0, 99.0));
        alone(
            errors(),
            &few,
            Guard::Baseline,
            "the baseline has 99 samples in this window, at least 100 are needed to compare with it",
        );
        let mut none = bad(300);
        none.baseline.clear();
        alone(errors(), &none, Guard::Baseline, "the baseline has no value");
        assert_eq!(held(&mut automatic(errors().baseline_factor(None)), &none), []);
        let fewer_hits = Kpi::lower_is_worse("errors", 0.5).windows(1).baseline_factor(4.0);
        let shared = bad(300).baseline("errors", Reading::new(0.9, 100.0));
        let sentence = "the baseline is bad too: the canary's 0.25 is not 4 times as bad as its 0.9";
        alone(fewer_hits, &shared, Guard::Baseline, sentence);
    }

    #[test]
    fn too_few_windows_in_a_row_hold_it_back_alone() {
        let mut three = automatic(errors().windows(3));
        let sentence = |number| format!("a bad window would be number {number} in a row, 3 are needed");
        assert_eq!(held(&mut three, &bad(300)), [(Guard::Windows, sentence(1))]);
        assert_eq!(held(&mut three, &bad(360)), [(Guard::Windows, sentence(2))]);
        let good = bad(420).canary("errors", Reading::new(0.0, 100.0));
        assert_eq!(held(&mut three, &good).len(), 2);
        assert_eq!(held(&mut three, &bad(480)), [(Guard::Windows, sentence(1))]);
        assert_eq!(held(&mut three, &bad(540)), [(Guard::Windows, sentence(2))]);
        assert_eq!(held(&mut three, &bad(600)), []);
    }

    #[test]
    fn a_gap_between_windows_begins_a_new_row() {
        let mut four = automatic(errors().windows(4));
        // Scrapes are never quite on time; two whole windows without one are a gap.
        for (seconds, number) in [(300, 1), (331, 2), (450, 3), (570, 1), (630, 2), (690, 3)] {
            let sentence = format!("a bad window would be number {number} in a row, 4 are needed");
            assert_eq!(held(&mut four, &bad(seconds)), [(Guard::Windows, sentence)]);
        }
        assert_eq!(held(&mut four, &bad(750)), []);
    }

    #[test]
    fn a_window_out_of_order_holds_it_back_alone_and_once() {
        let mut automatic = automatic(errors().windows(2));
        assert_eq!(held(&mut automatic, &bad(9_000))[0].0, Guard::Windows);
        let sentence = format!("the window at {} overlaps the last one", at(9_029));
        assert_eq!(held(&mut automatic, &bad(9_029)), [(Guard::Order, sentence)]);
        let sentence = format!("the window at {} is older than the last one", at(8_000));
        assert_eq!(held(&mut automatic, &bad(8_000)), [(Guard::Order, sentence)]);
        assert_eq!(held(&mut automatic, &bad(8_060))[0].0, Guard::Windows);
        assert_eq!(held(&mut automatic, &bad(8_120)), []);
    }

    #[test]
    fn the_flap_limit_holds_it_back_alone_until_its_time_has_passed() {
        let mut automatic = automatic(errors());
        assert_eq!(held(&mut automatic, &bad(300)), []);
        let sentence = "automation has engaged 1 times within 3600s, at most 1 are allowed".to_owned();
        assert_eq!(held(&mut automatic, &bad(360)), [(Guard::Flapping, sentence.clone())]);
        assert_eq!(held(&mut automatic, &bad(3_899)), [(Guard::Flapping, sentence)]);
        assert_eq!(held(&mut automatic, &bad(3_960)), []);
    }

    #[test]
    fn more_than_automation_may_turn_off_holds_it_back_alone() {
        for (percent, spread) in [(10.5, Spread::Instances), (10.0, Spread::Regions), (f64::NAN, Spread::Instances)] {
            let window = Window { reach: BlastRadius::new(percent, spread), ..bad(300) };
            let spread = spread.words();
            let sentence = format!(
                "it would turn off {percent} % {spread}, but automation may turn off 10 % some instances at most"
            );
            alone(errors(), &window, Guard::Scope, &sentence);
        }
    }

    #[test]
    fn every_guard_of_every_kpi_is_heard_and_the_first_bad_kpi_engages() {
        let late = Kpi::higher_is_worse("latency", 1.0).windows(1);
        let config = KpiTriggerConfig::builder().kpi(late).kpi(errors()).build().unwrap();
        let mut automatic = KpiTrigger::new(config, at(0));
        let good = |seconds| bad(seconds).canary("latency", Reading::new(0.5, 100.0));
        let quiet = good(300).canary("errors", Reading::new(0.0, 100.0));
        let Verdict::Wait { guards } = automatic.observe(&quiet) else { panic!() };
        let of = |kpi: Option<&str>| guards.iter().filter(|said| said.kpi.as_deref() == kpi).count();
        assert_eq!((of(None), of(Some("latency")), of(Some("errors"))), (3, 6, 6));
        let Verdict::Engage { kpi, .. } = automatic.observe(&good(360)) else { panic!() };
        assert_eq!(kpi, "errors");
    }

    proptest! {
        #[test]
        fn whatever_is_observed_engages_on_numbers_past_the_threshold_and_no_more_often_than_allowed(
            windows in proptest::collection::vec((-100..4_000_i64, any::<f64>(), any::<f64>(), 0.0..1.0), 1..50),
        ) {
            let config = KpiTriggerConfig::builder().kpi(errors().warm_up(Duration::ZERO));
            let config = config.max_engagements(3, Duration::from_secs(8_000)).build().unwrap();
            let mut automatic = KpiTrigger::new(config, at(0));
            let mut engagements = 0;
            for (seconds, value, samples, baseline) in windows {
                let window = bad(seconds).canary("errors", Reading::new(value, samples));
                let window = window.baseline("errors", Reading::new(baseline, 1e6));
                if let Verdict::Engage { value, samples, .. } = automatic.observe(&window) {
                    engagements += 1;
                    prop_assert!(value.is_finite() && value > 0.05 && value >= 2.0 * baseline && samples >= 100);
                }
            }
            prop_assert!(engagements <= 3);
        }
    }
}
