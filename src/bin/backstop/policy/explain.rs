//! `policy explain`: what a policy does at some traffic, in words and in a table.

use super::file::{joined, read};
use crate::output::{Failure, Report};
use backstop::rollback::Policy;
use backstop::rollback::simulation::{Forecast, Found, Stage, forecast};
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Weights that are compared, in percent.
const WEIGHTS: [f64; 4] = [1.0, 5.0, 25.0, 50.0];
/// Requests a second of an instance, where the number of instances is not given.
const PER_INSTANCE: f64 = 25.0;

/// Simulates what a policy does at your traffic: how soon it finds a broken canary, and how often it blames a good one.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop policy explain --canary-rps 100 --baseline-rps 1900 --base-error 0.1%")]
pub(super) struct Explain {
    /// Requests a second of the canary.
    #[arg(long, value_parser = rate)]
    canary_rps: f64,
    /// Requests a second of the baseline.
    #[arg(long, value_parser = rate)]
    baseline_rps: f64,
    /// Requests that fail on an ordinary day, as a share or in percent: 0.001 or 0.1%.
    #[arg(long, value_parser = share)]
    base_error: f64,
    /// The policy. Default: the default policy.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Instances of both together. Default: one for each 25 requests a second.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    instances: Option<u32>,
    /// Minutes in a stage.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_080))]
    stage_minutes: u32,
    /// Simulated rollouts of each kind.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    reps: u64,
    /// Seed of the simulation: the same seed gives the same figures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().map_err(|error| error.to_string())?;
    if (0.01..=1e6).contains(&rate) { Ok(rate) } else { Err("from 0.01 to 1000000 requests a second".to_owned()) }
}

fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number.trim_end(), 0.01));
    let share = unit * number.parse::<f64>().map_err(|error| error.to_string())?;
    if (1e-6..=0.5).contains(&share) { Ok(share) } else { Err("from 0.000001 to 0.5, or 0.0001% to 50%".to_owned()) }
}

impl Explain {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let policy = self.policy.as_deref().map_or_else(|| Ok(Policy::default()), read)?;
        let total = self.canary_rps + self.baseline_rps;
        let own = 100.0 * self.canary_rps / total;
        let mut weights = WEIGHTS.to_vec();
        if weights.iter().all(|weight| (weight - own).abs() > 0.05) {
            weights.push(own);
            weights.sort_by(f64::total_cmp);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let usual = (total / PER_INSTANCE).clamp(2.0, 400.0) as u32;
        let forecasts: Vec<_> = weights
            .iter()
            .map(|weight| {
                let stage = Stage {
                    requests_per_second: total,
                    error_rate: self.base_error,
                    instances: self.instances.unwrap_or(usual),
                    weight: weight / 100.0,
                    length: 60.0 * f64::from(self.stage_minutes),
                };
                forecast(stage, &policy, self.reps, self.seed)
            })
            .collect();
        let is_own = |forecast: &&Forecast| (100.0 * forecast.stage.weight - own).abs() <= 0.05;
        let mut text = String::new();
        if let Some(own) = forecasts.iter().find(is_own) {
            text.push_str(&self.words(own));
        }
        text.push_str(&self.table(&forecasts));
        let (_, left_out) = policy.simulated();
        if !left_out.is_empty() {
            _ = write!(text, "\nNot simulated: {}.", left_out.join(", "));
        }
        let mut warnings = policy.warnings();
        warnings.extend(policy.stage_warning(Duration::from_secs(60 * u64::from(self.stage_minutes))));
        warnings.extend(forecasts.iter().filter_map(too_short));
        let value: Vec<_> = forecasts.iter().map(value).collect();
        let value = serde_json::json!({ "weights": value, "not_simulated": left_out, "warnings": warnings });
        Ok(Report { warning: joined(&warnings), ..Report::of(text, &value) })
    }

    /// Results at the given traffic.
    fn words(&self, own: &Forecast) -> String {
        let minutes = self.stage_minutes;
        let mut text = format!(
            "With {} of the traffic in the canary ({} of {} requests a second) and a stage of {minutes} min:\n",
            percent(own.stage.weight),
            rounded(own.stage.weight * own.stage.requests_per_second),
            rounded(own.stage.requests_per_second),
        );
        for Found { name, within, median, most, failed, .. } in &own.faults {
            let half = if median.is_finite() {
                format!("half of the time within {}", seconds(*median))
            } else {
                "less than half of the time".to_owned()
            };
            let most =
                if most.is_finite() { format!(", 9 times of 10 within {}", seconds(*most)) } else { String::new() };
            let found = percent(within.value());
            _ = writeln!(
                text,
                "- {name}: found {half}{most}; in {found} of stages at all; about {failed:.0} of the canary's requests fail.",
            );
        }
        let of_thousand = |share: f64| rounded(1000.0 * share);
        let Forecast { rolled_back, paused, .. } = own;
        _ = writeln!(
            text,
            "- nothing wrong: of 1,000 rollouts about {} are rolled back all the same, and {} pause. As far as {} \
             simulated ones show, at most {} and {}.\n",
            of_thousand(rolled_back.value()),
            of_thousand(paused.value()),
            self.reps,
            of_thousand(rolled_back.upper()),
            of_thousand(paused.upper()),
        );
        text
    }

    fn table(&self, forecasts: &[Forecast]) -> String {
        let row = |name: &str, cell: &dyn Fn(&Forecast) -> String| {
            let cells: Vec<_> = forecasts.iter().map(|forecast| format!("{:>16}", cell(forecast))).collect();
            format!("{name:<30}{}\n", cells.concat())
        };
        let mut text = row("canary's share of the traffic", &|forecast| percent(forecast.stage.weight));
        text +=
            &row("requests a second", &|forecast| rounded(forecast.stage.weight * forecast.stage.requests_per_second));
        text += &row("seconds between looks", &|forecast| rounded(forecast.tick));
        let names = forecasts.first().map_or(&[][..], |forecast| &forecast.faults);
        for (i, Found { name, .. }) in names.iter().enumerate() {
            text += &row(name, &|forecast| {
                let Found { median, most, .. } = &forecast.faults[i];
                format!("{} ({})", seconds(*median), seconds(*most))
            });
            text += &row("  found within the stage", &|forecast| percent(forecast.faults[i].within.value()));
            text += &row("  failed requests", &|forecast| rounded(forecast.faults[i].failed));
        }
        text += &row("clean, of 1,000: rolled back", &|forecast| {
            let Forecast { rolled_back, .. } = forecast;
            let of = |share: f64| rounded(1000.0 * share);
            format!("{} ({}-{})", of(rolled_back.value()), of(rolled_back.lower()), of(rolled_back.upper()))
        });
        text += &row("                 paused", &|forecast| {
            let Forecast { paused, .. } = forecast;
            let of = |share: f64| rounded(1000.0 * share);
            format!("{} ({}-{})", of(paused.value()), of(paused.lower()), of(paused.upper()))
        });
        format!(
            "{text}\nEach fault: seconds to the verdict at the median (and for 9 of 10); - if it comes after the stage. \
             Clean: with the\nexact 95 % interval. {} rollouts each, seed {}.",
            self.reps, self.seed
        )
    }
}

fn too_short(forecast: &Forecast) -> Option<String> {
    let needed = forecast.needed?;
    let minutes = |seconds: f64| rounded((seconds / 60.0).ceil());
    let long = if needed.is_finite() {
        format!("it takes about {} min", minutes(needed))
    } else {
        format!("{} min are too short as well", minutes(8.0 * forecast.stage.length))
    };
    Some(format!(
        "a stage of {} min is too short for {} of this traffic: to find three times the errors 9 times of 10, {long}",
        minutes(forecast.stage.length),
        percent(forecast.stage.weight),
    ))
}

fn value(forecast: &Forecast) -> serde_json::Value {
    let finite = |seconds: f64| seconds.is_finite().then_some(seconds);
    let faults = forecast.faults.iter().map(|found| {
        serde_json::json!({
            "fault": found.name, "found_within_stage": found.within.value(), "median_seconds": finite(found.median),
            "p90_seconds": finite(found.most), "failed_requests": found.failed,
        })
    });
    let faults: Vec<_> = faults.collect();
    let share = |share: backstop::rollback::simulation::Share| serde_json::json!({ "share": share.value(), "lower": share.lower(), "upper": share.upper() });
    serde_json::json!({
        "weight": 100.0 * forecast.stage.weight,
        "canary_rps": forecast.stage.weight * forecast.stage.requests_per_second,
        "stage_seconds": forecast.stage.length,
        "seconds_between_looks": forecast.tick,
        "faults": faults,
        "clean": { "rolled_back": share(forecast.rolled_back), "paused": share(forecast.paused) },
        "stage_seconds_needed": forecast.needed.and_then(finite),
    })
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent >= 9.95 || (percent - percent.round()).abs() < 0.05 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

fn seconds(seconds: f64) -> String {
    if seconds.is_finite() { format!("{seconds:.0} s") } else { "-".to_owned() }
}

fn rounded(value: f64) -> String {
    if value >= 10.0 || value.fract() < 0.05 { format!("{value:.0}") } else { format!("{value:.1}") }
}
