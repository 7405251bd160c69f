//! The table: a row for each regime.

use crate::regimes::{Goal, Regime};
use crate::rules::NAMES;
use crate::trial::Trial;
use backstop::rollback::simulation::{Share, quantile};

pub(crate) const CLEAN: fn() -> String = || head("clean rollouts", CLEAN_COLUMNS);
pub(crate) const VARIATIONS: fn() -> String = || head("clean rollouts, other traffic and ticks", CLEAN_COLUMNS);
pub(crate) const FAULTS: fn() -> String = || head("faults", FAULT_COLUMNS);

pub(crate) const NOTES: &str = "\
rollbacks, pauses: share of rollouts, with the upper bound of the exact (Clopper-Pearson) 95 % interval. The goal holds
for all triggers together, and for the bound. median, 90 %: from the fault to the first pause or rollback; a median up to
1.1 times its goal is met. failed: requests of the canary until then, at the median.";

const CLEAN_COLUMNS: [&str; 4] = ["rollbacks", "bound", "goal", "pauses"];
const FAULT_COLUMNS: [&str; 4] = ["median", "90 %", "goal", "failed"];

/// How much of its goal a median may be.
const SLACK: f64 = 1.1;

fn head(name: &str, columns: [&str; 4]) -> String {
    let line = line(name, &columns.map(str::to_owned), "", &NAMES.map(str::to_owned));
    let rule = "-".repeat(line.chars().count());
    format!("{line}\n{rule}")
}

fn line(name: &str, columns: &[String; 4], met: &str, rules: &[String; NAMES.len()]) -> String {
    let [first, second, third, fourth] = columns;
    let rules: Vec<_> = rules.iter().map(|cell| format!("{cell:>9}")).collect();
    format!("{name:<44} {first:>9} {second:>7} {third:>8} {met:<6} {fourth:>7}  | {}", rules.join(" "))
}

/// A row, and whether the goal was met.
pub(crate) fn row(regime: &Regime, trials: &[Trial], is_clean: bool) -> (String, bool) {
    let (columns, rules, is_met) = if is_clean { clean(regime, trials) } else { fault(regime, trials) };
    let met = match (regime.goal, is_met) {
        (Goal::None, _) => "",
        (_, true) => "met",
        (_, false) => "MISSED",
    };
    (line(regime.name, &columns, met, &rules), is_met)
}

type Cells = ([String; 4], [String; NAMES.len()], bool);

fn clean(regime: &Regime, trials: &[Trial]) -> Cells {
    let share = |is: &dyn Fn(&Trial) -> bool| Share::of(trials.iter().map(is));
    let rollbacks = share(&|trial| trial.rolled_back.is_some());
    let pauses = share(&|trial| trial.rolled_back.is_none() && trial.paused.is_some());
    let rules = std::array::from_fn(|i| percent(share(&|trial| trial.rules[i].is_some()).value()));
    let (goal, is_met) = match regime.goal {
        Goal::FalseRollbacks { most, bound } => {
            (format!("<= {} %", 100.0 * bound), rollbacks.value() <= most && rollbacks.upper() <= bound)
        }
        _ => (String::new(), true),
    };
    ([percent(rollbacks.value()), percent(rollbacks.upper()), goal, percent(pauses.value())], rules, is_met)
}

fn fault(regime: &Regime, trials: &[Trial]) -> Cells {
    let from = regime.world.fault.from;
    // A stop before the fault was a false alarm.
    let delays = |stopped: &dyn Fn(&Trial) -> Option<f64>| -> Vec<f64> {
        let all = trials.iter().map(|trial| stopped(trial).map_or(f64::INFINITY, |at| at - from));
        all.filter(|delay| *delay > 0.0).collect()
    };
    let found = delays(&Trial::stopped);
    let median = quantile(&found, 0.5);
    let failed = quantile(&trials.iter().map(|trial| trial.failed).collect::<Vec<_>>(), 0.5);
    // The rules count errors: they see nothing of latencies.
    let is_blind = regime.world.latencies.is_some();
    let rules = std::array::from_fn(|i| {
        if is_blind { "-".to_owned() } else { seconds(quantile(&delays(&|trial| trial.rules[i]), 0.5)) }
    });
    let (goal, is_met) = match regime.goal {
        Goal::Seconds { median: goal, failed: most } => {
            (format!("<= {goal} s"), median <= SLACK * goal && failed <= SLACK * most)
        }
        _ => (String::new(), true),
    };
    ([seconds(median), seconds(quantile(&found, 0.9)), goal, format!("{failed:.0}")], rules, is_met)
}

fn percent(share: f64) -> String {
    if share >= 0.1 { format!("{:.0} %", 100.0 * share) } else { format!("{:.2} %", 100.0 * share) }
}

fn seconds(seconds: f64) -> String {
    if seconds.is_finite() { format!("{seconds:.0} s") } else { "never".to_owned() }
}
