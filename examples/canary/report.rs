//! Introduction of the acts, their figures in a few sentences, and checks on them.

use crate::load::{Answer, Arm, CHECKOUT, DEADLINE, RATE, Route, Sample};
use crate::overload::Overload;
use crate::shop::Measured;
use crate::story::CircuitChange;
use crate::{dependency, service};
use backstop::BoxError;
use std::time::Duration;

/// Answers and latencies of one arm in one part of an act.
pub(crate) struct Summary {
    pub(crate) requests: usize,
    /// Ascending. A request that timed out counts with its deadline.
    latencies: Vec<Duration>,
    full: usize,
    fallback: usize,
    pub(crate) errors: usize,
}

impl Summary {
    pub(crate) fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Self {
        let samples: Vec<_> = samples.collect();
        let count = |answer| samples.iter().filter(|sample| sample.answer == answer).count();
        let mut latencies: Vec<_> = samples.iter().map(|sample| sample.took).collect();
        latencies.sort_unstable();
        let (full, fallback, errors) = (count(Answer::Full), count(Answer::Fallback), count(Answer::Error));
        Self { requests: samples.len(), full, fallback, errors, latencies }
    }

    /// Summary of an arm's requests that were sent between two times.
    fn between(act: &Overload, arm: Arm, route: Route, from: Duration, to: Duration) -> Self {
        let is_of = |s: &&Sample| s.arm == arm && s.route == route && (from..to).contains(&s.at);
        Self::of(act.measured.samples.iter().filter(is_of))
    }

    /// Percentile of the latency.
    pub(crate) fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.checked_sub(1)?).copied()
    }

    fn median(&self) -> Duration {
        self.percentile(50).unwrap_or_default()
    }
}

pub(crate) fn intro() -> String {
    format!(
        "A shop rolls out canaries beside its stable version: {rate} pages a second and a checkout for every {checkout} of them, over\n\
         HTTP between processes on loopback; callers time out after {deadline}. Pages need the ratings of {products} products from a\n\
         service that serves {slots} calls of {work} at a time for each caller and rejects a call after {patience} in its queue.\n\
         An arm handles {workers} requests at a time, of which the bulkhead allows {in_flight} to call ratings.",
        rate = RATE,
        checkout = CHECKOUT,
        deadline = setting(DEADLINE),
        products = service::PRODUCTS,
        slots = dependency::SLOTS,
        work = setting(dependency::WORK),
        patience = setting(dependency::PATIENCE),
        workers = service::WORKERS,
        in_flight = service::IN_FLIGHT,
    )
}

/// The canary's callers during the overload: pages without and with an open circuit, and checkouts.
struct Compared {
    without: Summary,
    open: Summary,
    checkouts: [Summary; 2],
}

impl Compared {
    fn of(without: &Overload, with: &Overload) -> Self {
        let during = |act: &Overload, route, from| Summary::between(act, Arm::Canary, route, from, act.ended);
        // The judge takes the traffic away at once: most callers that meet an open circuit come with the fixed release.
        let opened = with.opened.unwrap_or(with.ended);
        let is_end = |change: &&CircuitChange| change.arm == Arm::Canary && change.at > opened;
        let until = with.measured.circuits.iter().find(is_end).map_or(with.measured.total, |change| change.at);
        Self {
            without: during(without, Route::Page, without.begun),
            open: Summary::between(with, Arm::Canary, Route::Page, opened, until),
            checkouts: [without, with].map(|act| during(act, Route::Checkout, act.begun)),
        }
    }
}

/// A note if the machine could not keep the rate: then times say more of the machine than of the shop.
pub(crate) fn busy(acts: &[&Measured]) -> Option<String> {
    let rate = |act: &&Measured| {
        let pages = act.samples.iter().filter(|sample| sample.route == Route::Page).count();
        pages as f64 / act.total.as_secs_f64()
    };
    let slowest = acts.iter().map(rate).fold(f64::INFINITY, f64::min);
    (slowest < 0.9 * f64::from(RATE)).then(|| {
        format!(
            "This machine is busy: it sent {slowest:.0} pages a second in place of {RATE}. Times are longer than they should \
             be, and\nnot compared."
        )
    })
}

/// Checks that the breaker and the bulkhead protected the callers.
pub(crate) fn check(without: &Overload, with: &Overload) -> Result<(), BoxError> {
    let has_times = busy(&[&without.measured, &with.measured]).is_none();
    let Compared { without: slow, open, checkouts: [waiting, served] } = Compared::of(without, with);
    let stable = Summary::between(with, Arm::Stable, Route::Page, with.begun, with.ended);
    let checks = [
        ("callers meet an open circuit", open.requests > 0),
        ("an open circuit answers from the cache", open.fallback * 100 >= open.requests * 90),
        ("stable's circuit stays closed", !with.measured.circuits.iter().any(|change| change.arm == Arm::Stable)),
        ("stable answers in full meanwhile", !has_times || stable.full * 100 >= stable.requests * 95),
        ("an open circuit answers at once", !has_times || open.median() * 5 < slow.median()),
        ("the bulkhead leaves workers to checkouts", !has_times || served.median() < waiting.median()),
    ];
    match checks.iter().find(|(_, holds)| !holds) {
        Some((step, _)) => Err(format!("step \"{step}\": this failed").into()),
        None => Ok(()),
    }
}

/// Acts 1 and 2 in a few sentences.
pub(crate) fn conclusion(without: &Overload, with: &Overload) -> String {
    let Compared { without: slow, open, checkouts: [waiting, served] } = Compared::of(without, with);
    let opened = with.opened.unwrap_or(with.ended);
    format!(
        "Overload: without protection, callers of the canary waited {} (median), and {} of {} got an answer; with the circuit\n\
         open they waited {}, and {} of {} got one, with ratings from the cache. Checkouts took {} and {}.\n\
         The circuit opened {} after the overload began, and the judge said ROLLBACK {} later.",
        time(slow.median()),
        slow.full + slow.fallback,
        slow.requests,
        time(open.median()),
        open.full + open.fallback,
        open.requests,
        time(waiting.median()),
        time(served.median()),
        time(opened.saturating_sub(with.begun)),
        time(with.ended.saturating_sub(opened)),
    )
}

/// Formats a measured time: 0.8 ms, 12 ms, 1.05 s.
pub(crate) fn time(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    match ms {
        ..9.95 => format!("{ms:.1} ms"),
        ..999.5 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1e3),
    }
}

/// Formats a setting: 10 ms, 4 s.
pub(crate) fn setting(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

/// Formats simulated seconds; infinite if never.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds.is_finite() { format!("{seconds:.0} s") } else { "more than the stage".to_owned() }
}

/// Formats a share in percent.
pub(crate) fn share(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
