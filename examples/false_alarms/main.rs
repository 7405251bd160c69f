//! Simulates how often the default policy rolls a clean release back, and how soon it finds a broken one.
//!
//! ```text
//! cargo run --release --example false_alarms -- [--runs 3000] [--seed 1000000] [--only TEXT]
//! ```
//!
//! 3,000 rollouts a regime take about ten minutes on two quiet cores, 300 one minute. Exits with 1 if a goal is missed.

mod regimes;
mod rules;
mod table;
mod trial;

use backstop::rollback::Policy;
use regimes::Regime;
use std::process::ExitCode;
use std::time::Instant;

struct Args {
    runs: u64,
    seed: u64,
    only: String,
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}\nusage: false_alarms [--runs N] [--seed S] [--only TEXT]");
            return ExitCode::from(2);
        }
    };
    let begun = Instant::now();
    println!("{} rollouts a regime, seeds from {}, 30 minutes each\n", args.runs, args.seed);
    let mut missed = 0;
    missed += part(&args, table::CLEAN, regimes::clean(), true);
    missed += part(&args, table::VARIATIONS, regimes::variations(), true);
    missed += part(&args, table::FAULTS, regimes::faults(), false);
    println!("{}\n\n{}", table::NOTES, rules::EXPLAINED);
    println!("\n{missed} goals missed; took {:.0} s", begun.elapsed().as_secs_f64());
    ExitCode::from(u8::from(missed > 0))
}

/// Prints a part of the table, row by row as they are ready; returns how many goals were missed.
fn part(args: &Args, head: fn() -> String, regimes: Vec<Regime>, is_clean: bool) -> usize {
    let policy = Policy::default();
    let chosen: Vec<_> = regimes.into_iter().filter(|regime| regime.name.contains(&args.only)).collect();
    if chosen.is_empty() {
        return 0;
    }
    println!("{}", head());
    let rows = chosen.iter().map(|regime| table::row(regime, &trial::trials(regime, &policy, args.seeds()), is_clean));
    let missed = rows.filter(|(row, is_met)| {
        println!("{row}");
        !is_met
    });
    let missed = missed.count();
    println!();
    missed
}

impl Args {
    fn seeds(&self) -> std::ops::Range<u64> {
        self.seed..self.seed + self.runs
    }
}

fn args() -> Result<Args, String> {
    let mut args = Args { runs: 3000, seed: 1_000_000, only: String::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{word} {value}: {error}"));
        match word.as_str() {
            "--runs" => args.runs = number()?.max(1),
            "--seed" => args.seed = number()?,
            "--only" => args.only = value,
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(args)
}
