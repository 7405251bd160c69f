//! Simple rules that many controllers are set up with, to compare with.

use backstop::rollback::simulation::Observed;
use std::collections::BTreeMap;

/// The rules, in the order of the table's columns.
pub(crate) const NAMES: [&str; 4] = ["3 x 1 min", "3 x 5 min", "chi2", "M-W"];

/// Legend of the columns.
pub(crate) const EXPLAINED: &str = "\
The same ticks, judged once a minute by simple rules:
  3 x 1 min  the canary's error rate is above 1.5 times the baseline's, with 1,000 requests, in three minutes in a row
  3 x 5 min  the same in three times five minutes
  chi2       chi-squared of all requests so far, p < 0.05
  M-W        Mann-Whitney U of the error rates by the minute, p < 0.05, from minute 5";

const TIMES: f64 = 1.5;
const REQUESTS: f64 = 1000.0;
/// Critical values at p = 0.05: chi-squared with one degree of freedom, and normal, one-sided.
const CHI_SQUARED: f64 = 3.841;
const NORMAL: f64 = 1.645;

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    errors: f64,
    requests: f64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.errors += other.errors;
        self.requests += other.requests;
    }

    fn rate(self) -> f64 {
        self.errors / self.requests.max(1.0)
    }
}

/// All of the rules, on one rollout.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Canary and baseline, of each minute so far.
    minutes: Vec<[Counts; 2]>,
    current: [Counts; 2],
    fired: [Option<f64>; NAMES.len()],
}

impl Rules {
    pub(crate) fn observe(&mut self, observed: &Observed) {
        for (sum, arm) in self.current.iter_mut().zip([&observed.canary, &observed.baseline]) {
            for segment in arm.segments.values() {
                let errors = segment.server_errors.unwrap_or(0.0);
                sum.add(Counts { errors, requests: segment.requests.unwrap_or(0.0) });
            }
        }
        if observed.at < 60.0 * (self.minutes.len() + 1) as f64 {
            return;
        }
        self.minutes.push(std::mem::take(&mut self.current));
        let says = [self.is_streak(1), self.is_streak(5), self.is_chi_squared(), self.is_mann_whitney()];
        for (fired, says) in self.fired.iter_mut().zip(says) {
            if says {
                fired.get_or_insert(observed.at);
            }
        }
    }

    /// When each rule fired first.
    pub(crate) fn fired(&self) -> [Option<f64>; NAMES.len()] {
        self.fired
    }

    /// Whether the canary was worse in the last three windows of so many minutes.
    fn is_streak(&self, minutes: usize) -> bool {
        let windows = self.minutes.chunks_exact(minutes);
        windows.remainder().is_empty()
            && windows.len() >= 3
            && windows.rev().take(3).all(|window| {
                let [canary, baseline] = sum(window);
                canary.requests >= REQUESTS && canary.rate() > TIMES * baseline.rate()
            })
    }

    fn is_chi_squared(&self) -> bool {
        let [canary, baseline] = sum(&self.minutes);
        let requests = canary.requests + baseline.requests;
        let errors = canary.errors + baseline.errors;
        let difference =
            canary.errors * (baseline.requests - baseline.errors) - baseline.errors * (canary.requests - canary.errors);
        let margins = canary.requests * baseline.requests * errors * (requests - errors);
        canary.rate() > baseline.rate() && requests * difference * difference / margins > CHI_SQUARED
    }

    fn is_mann_whitney(&self) -> bool {
        if self.minutes.len() < 5 {
            return false;
        }
        let mut counts: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
        for minute in &self.minutes {
            for (arm, counted) in minute.iter().enumerate() {
                // The bits of numbers from 0 on are in their order.
                counts.entry(counted.rate().to_bits()).or_default()[arm] += 1.0;
            }
        }
        let n = self.minutes.len() as f64;
        let (mut below, mut u, mut ties) = (0.0, 0.0, 0.0);
        for [canary, baseline] in counts.into_values() {
            u += canary * (below + 0.5 * baseline);
            below += baseline;
            let alike = canary + baseline;
            ties += alike * alike * alike - alike;
        }
        let all = 2.0 * n;
        let variance = n * n / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
        (u - 0.5 * n * n - 0.5) / variance.sqrt() > NORMAL
    }
}

fn sum(minutes: &[[Counts; 2]]) -> [Counts; 2] {
    let mut sums = [Counts::default(); 2];
    for minute in minutes {
        for (sum, counts) in sums.iter_mut().zip(minute) {
            sum.add(*counts);
        }
    }
    sums
}
