//! The table, its conclusion, and the check that the effect was visible.

use crate::load::{Answer, DEADLINE, Phase, Route, Sample};
use backstop::BoxError;
use std::fmt::Write;
use std::time::Duration;

/// Header of the table.
pub(crate) fn head() -> String {
    format!(
        "{:26}products, 100/s{:13}payments, 100/s\n{:24}{:>7}{:>10}{:>11}{:>9}{:>9}{:>9}",
        "", "", "", "in full", "rejected", "no answer", "paid", "p50", "p99"
    )
}

/// Legend of the table.
pub(crate) fn legend() -> String {
    format!("rejected: page shown at once without recommendations; no answer: the caller gave up after {DEADLINE:?}")
}

/// Payments are slow if their p99 is this many times the earlier one, or half the deadline.
const FACTOR: u32 = 5;
/// A p99 that a busy machine alone may cause.
const AT_LEAST: Duration = Duration::from_millis(40);

/// Results of each phase, in order.
pub(crate) struct Figures([Row; 3]);

struct Row {
    phase: Phase,
    products: [usize; 3],
    payments: usize,
    paid: usize,
    /// Ascending. A request that timed out counts with its deadline.
    latencies: Vec<Duration>,
}

impl Figures {
    pub(crate) fn of(samples: &[Sample]) -> Self {
        Self(Phase::ALL.map(|phase| Row::of(phase, samples)))
    }

    /// The p99 of payments before and while `recommendations` was slow.
    fn p99s(&self) -> (Duration, Duration) {
        (self.0[0].percentile(99), self.0[1].percentile(99))
    }

    fn is_slow(&self) -> bool {
        let (before, slow) = self.p99s();
        slow > (before.max(AT_LEAST) * FACTOR).min(DEADLINE / 2)
    }
}

impl Row {
    fn of(phase: Phase, samples: &[Sample]) -> Self {
        let of = |route| samples.iter().filter(move |sample| sample.phase == phase && sample.route == route);
        let count = |route, answer| of(route).filter(|sample| sample.answer == answer).count();
        let mut latencies: Vec<_> = of(Route::Pay).map(|sample| sample.took).collect();
        latencies.sort_unstable();
        Self {
            phase,
            products: [Answer::Full, Answer::Without, Answer::None].map(|answer| count(Route::Products, answer)),
            payments: latencies.len(),
            paid: count(Route::Pay, Answer::Full),
            latencies,
        }
    }

    /// Percentile of the latency of payments.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

pub(crate) fn rows(title: &str, figures: &Figures) -> String {
    let mut text = format!("{title}\n");
    for row in &figures.0 {
        let what = match row.phase {
            Phase::Before => "before",
            Phase::Slow => "recommendations slow",
            Phase::After => "after",
        };
        let [full, without, none] = row.products;
        let paid = format!("{}/{}", row.paid, row.payments);
        let (p50, p99) = (time(row.percentile(50)), time(row.percentile(99)));
        let _ = writeln!(text, "  {what:<22}{full:>7}{without:>10}{none:>11}{paid:>9}{p50:>9}{p99:>9}");
    }
    text
}

/// The result in one sentence.
pub(crate) fn conclusion(without: &Figures, with: &Figures) -> String {
    let change = |figures: &Figures| {
        let (before, slow) = figures.p99s();
        let unpaid = figures.0[1].payments - figures.0[1].paid;
        let failed = if unpaid > 0 { format!(" ({unpaid} failed)") } else { String::new() };
        format!("from {} to {}{failed}", time(before), time(slow))
    };
    format!(
        "While recommendations was slow, the p99 of payments went {} without bulkheads,\nand {} with them.",
        change(without),
        change(with),
    )
}

pub(crate) fn check(without: &Figures, with: &Figures) -> Result<(), BoxError> {
    if with.is_slow() {
        return Err(format!("payments were slow in spite of the bulkheads: more than {FACTOR} times the p99").into());
    }
    if !without.is_slow() {
        return Err("payments were not slow without bulkheads: the example shows nothing".into());
    }
    Ok(())
}

/// Formats a time: 12 ms, 1.05 s.
fn time(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    match ms {
        ..999.5 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1e3),
    }
}
