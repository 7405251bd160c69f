//! The trip rules, over the evidence of a window.

use super::config::Rules;
use super::state::Reason;
use super::window::counts::Counts;

impl Rules {
    /// The rules that the evidence meets, failures first: slowness is the reason if no failure rule is met.
    pub(super) fn met(&self, counts: Counts, consecutive_failures: u32) -> [Option<Reason>; 4] {
        let enough = |minimum: u32| counts.calls > 0 && counts.calls >= u64::from(minimum);
        let reaches = |part: u64, of: u64, rate: f64| part as f64 / of as f64 >= rate;
        let rule = |is_met: bool, reason| is_met.then_some(reason);
        let failure_rate = self
            .failure_rate
            .is_some_and(|rate| enough(self.minimum_calls) && reaches(counts.failed, counts.calls, rate.get()));
        let slow_call_rate = self
            .slow_call_rate
            .is_some_and(|rate| enough(self.slow_call_minimum_calls) && reaches(counts.slow, counts.calls, rate.get()));
        let failure_count = self
            .failure_count
            .is_some_and(|failures| enough(self.failure_count_minimum_calls) && counts.failed >= u64::from(failures));
        [
            rule(failure_rate, Reason::FailureRate),
            rule(failure_count, Reason::FailureCount),
            rule(
                self.consecutive_failures.is_some_and(|failures| consecutive_failures >= failures),
                Reason::ConsecutiveFailures,
            ),
            rule(slow_call_rate, Reason::SlowCallRate),
        ]
    }

    /// Calls without an answer in a row that trip.
    pub(super) fn unanswered_calls(&self) -> u32 {
        self.consecutive_failures.unwrap_or(self.minimum_calls)
    }

    pub(super) fn most_minimum_calls(&self) -> u64 {
        u64::from(self.minimum_calls.max(self.slow_call_minimum_calls).max(self.failure_count_minimum_calls))
    }
}
