//! Flagger's control loop for one canary.
//!
//! After fluxcd/flagger, `pkg/controller`: `scheduler.go` at 0016895, `scheduler_hooks.go` of the same time, `webhook.go` at
//! a2e864d; `pkg/canary/status.go` at 0df43ba; `pkg/metrics/providers/prometheus.go` at 0dc6f33. Each transition names its lines.

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Initialized,
    Waiting,
    Progressing,
    WaitingTrafficIncrease,
    WaitingPromotion,
    Promoting,
    Finalising,
    Succeeded,
    Failed,
}

use Phase::{
    Failed, Finalising, Initialized, Progressing, Promoting, Succeeded, Waiting, WaitingPromotion,
    WaitingTrafficIncrease,
};

/// Versions that differ in what a refused `confirm-traffic-increase` does (flagger#1801). The latter two are builds with a change
/// that no release has (pull request 1252, open since 2022).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The phase stays Progressing.
    Released,
    /// As proposed: a phase of its own, in which the threshold of failed checks is not looked at; `rollback` is asked.
    OwnPhase,
    /// The same, and `rollback` is not asked either.
    OwnPhaseWithoutRollback,
}

/// Answers of the judge and of Prometheus.
pub(crate) trait Outside {
    /// Status of a hook's response; `None` for none within the timeout, 10 s by default (webhook.go:36-48).
    fn hook(&mut self, name: &str) -> Option<u16>;
    /// The last series of a metric's query; `None` for an empty result (prometheus.go, `RunQuery`).
    fn metric(&mut self, name: &str) -> Option<f64>;
}

pub(crate) struct Flagger {
    analysis: Value,
    version: Version,
    pub(crate) phase: Phase,
    /// Of the routes, in percent.
    pub(crate) weight: u64,
    pub(crate) failed_checks: u64,
    iterations: i64,
    pub(crate) alerts: Vec<String>,
    /// Hooks of the last interval.
    pub(crate) asked: Vec<String>,
}

impl Flagger {
    /// A canary whose revision has just changed.
    pub(crate) fn new(canary: &Value, version: Version) -> Self {
        let analysis = canary["spec"]["analysis"].clone();
        let (alerts, asked) = (Vec::new(), Vec::new());
        Self { analysis, version, phase: Initialized, weight: 0, failed_checks: 0, iterations: 0, alerts, asked }
    }

    /// Whether every hook of this kind passes: a status of at most 202 (webhook.go:59).
    fn passes(&mut self, kind: &str, outside: &mut dyn Outside, alert: &str) -> bool {
        for webhook in self.analysis["webhooks"].as_array().cloned().unwrap_or_default() {
            if webhook["type"] != kind {
                continue;
            }
            self.asked.push(kind.to_owned());
            let name = webhook["url"].as_str().unwrap().rsplit('/').next().unwrap();
            if outside.hook(name).is_none_or(|status| status > 202) {
                if !alert.is_empty() && webhook["muteAlert"] != true {
                    self.alerts.push(alert.to_owned());
                }
                return false;
            }
        }
        true
    }

    fn has(&self, kind: &str) -> bool {
        self.analysis["webhooks"].as_array().is_some_and(|hooks| hooks.iter().any(|hook| hook["type"] == kind))
    }

    /// One interval: `advanceCanary` (scheduler.go:157).
    pub(crate) fn interval(&mut self, outside: &mut dyn Outside) {
        self.asked.clear();
        // scheduler.go:280-289, 833-865: nothing to do until the revision changes
        if matches!(self.phase, Succeeded | Failed) {
            return;
        }
        // ## Initialized | Waiting => (Waiting | Progressing)
        // scheduler.go:315, 867-893: the status is set to Progressing and read again, so every refusal raises an alert
        // (scheduler_hooks.go:48-59), and nothing else is asked
        if matches!(self.phase, Initialized | Waiting) {
            let is_confirmed = self.passes("confirm-rollout", outside, "waiting for approval");
            self.phase = if is_confirmed { Progressing } else { Waiting };
            return;
        }
        // ## Progressing | Waiting | WaitingPromotion => Failed
        // scheduler.go:369-378, scheduler_hooks.go `runRollbackHooks`: one hook that passes is enough
        let asks_rollback = match self.phase {
            Progressing | Waiting | WaitingPromotion => true,
            WaitingTrafficIncrease => self.version == Version::OwnPhase,
            _ => false,
        };
        if asks_rollback && self.has("rollback") && self.passes("rollback", outside, "") {
            self.alerts.push("rolling back, manual webhook invoked".to_owned());
            return self.roll_back();
        }
        match self.phase {
            // ## Promoting => Finalising (scheduler.go:381-390, 510-521)
            Promoting => (self.phase, self.weight) = (Finalising, 0),
            // ## Finalising => Succeeded (scheduler.go:393-416)
            Finalising => self.phase = Succeeded,
            _ => self.analyse(outside),
        }
    }

    fn analyse(&mut self, outside: &mut dyn Outside) {
        // ## Progressing | WaitingPromotion => Failed (scheduler.go:419-429)
        let threshold = self.analysis["threshold"].as_u64().filter(|threshold| *threshold > 0).unwrap_or(1);
        if matches!(self.phase, Progressing | WaitingPromotion) && self.failed_checks >= threshold {
            self.alerts.push("failed checks threshold reached".to_owned());
            return self.roll_back();
        }
        // scheduler.go:438-456, 743-767: no metrics without traffic; otherwise a check that fails ends the interval
        let is_start = self.weight == 0 && self.iterations == 0;
        if !(is_start && (self.version == Version::Released || self.phase == Progressing)) && !self.checks_pass(outside)
        {
            self.failed_checks += 1;
            return;
        }
        if self.analysis["iterations"].as_i64().unwrap_or(0) > 0 {
            return self.run_ab(outside);
        }
        // ## Progressing => (Progressing | WaitingTrafficIncrease)
        // scheduler.go:484-494, scheduler_hooks.go:26-42
        if self.phase != WaitingPromotion {
            if !self.passes("confirm-traffic-increase", outside, "waiting for traffic increase approval") {
                if self.version != Version::Released {
                    self.phase = WaitingTrafficIncrease;
                }
                return;
            }
            self.phase = Progressing;
        }
        // scheduler.go:561-605, 57-87, 40-50
        let steps: Vec<_> =
            self.analysis["stepWeights"].as_array().unwrap().iter().map(|w| w.as_u64().unwrap()).collect();
        match steps.iter().find(|step| **step > self.weight) {
            Some(step) => self.weight = *step,
            None => self.confirm_promotion(outside),
        }
    }

    /// A/B testing by iterations (scheduler.go:630-671).
    fn run_ab(&mut self, outside: &mut dyn Outside) {
        if self.analysis["iterations"].as_i64().unwrap() > self.iterations {
            (self.weight, self.iterations) = (100, self.iterations + 1);
        } else {
            self.confirm_promotion(outside);
        }
    }

    /// ## Progressing | `WaitingPromotion` => (`WaitingPromotion` | Promoting)
    /// scheduler.go:608-627, scheduler_hooks.go:67-86, status.go:159-165: the first refusal sets the phase and raises an alert;
    /// every one sets the iterations back by one
    fn confirm_promotion(&mut self, outside: &mut dyn Outside) {
        let alert = if self.phase == WaitingPromotion { "" } else { "waiting for promotion approval" };
        if self.passes("confirm-promotion", outside, alert) {
            (self.phase, self.iterations) = (Promoting, 0);
        } else {
            self.phase = WaitingPromotion;
            self.iterations = self.analysis["iterations"].as_i64().unwrap_or(0) - 1;
        }
    }

    /// `runMetricChecks` (`scheduler_metrics.go`): a query without a value fails, and so does a value outside of the range.
    fn checks_pass(&mut self, outside: &mut dyn Outside) -> bool {
        self.analysis["metrics"].as_array().unwrap().iter().all(|metric| {
            let value = outside.metric(metric["templateRef"]["name"].as_str().unwrap());
            let (min, max) = (metric["thresholdRange"]["min"].as_f64(), metric["thresholdRange"]["max"].as_f64());
            // As in Go, a comparison with NaN is false: neither bound is crossed.
            value.is_some_and(|value| !min.is_some_and(|min| value < min) && !max.is_some_and(|max| value > max))
        })
    }

    fn roll_back(&mut self) {
        (self.phase, self.weight) = (Failed, 0);
    }
}
