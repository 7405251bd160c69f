//! Rollouts with real traffic: `HAProxy` in front of a stable and a canary service, and the library's controller, which
//! scrapes both and moves the weight.
//!
//! ```text
//!   clients, 400 requests a second ──▶ HAProxy ──┬── 95 % ──▶ stable ──┐
//!                                         ▲      └──  5 % ──▶ canary ──┤ /metrics
//!                  weight, and read back  │                            ▼
//!                                    controller ◀── verdict ── judge, a look a second
//!                                         └──▶ journal, incident report
//! ```
//!
//! The services are processes started from this binary; all runs on loopback.
//!
//! 1. A good release goes to 5, 20, 50 and 100 %. Each weight is compared with the share of requests that the canary got.
//! 2. A release that fails a tenth of its requests, at once, is rolled back at its first stage.
//!
//! `cargo run --release --example rollout` exits with 1 and names the step if one does not happen in time. With the argument
//! `--nginx`, nginx takes the place of `HAProxy`; with `--own-proxy`, or where these are not installed, a small proxy.

mod act;
mod balancer;
mod load;
mod process;
mod report;
mod service;
mod story;

use act::{Release, STRONG, paint};
use backstop::BoxError;
use balancer::Wanted;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        [] | ["--nginx" | "--own-proxy"] => tokio::select! {
            shown = show(match args[..] {
                [] => Wanted::Haproxy,
                ["--nginx"] => Wanted::Nginx,
                _ => Wanted::Own,
            }) => shown,
            // Processes end and files are removed in this case, too.
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Into::into).and(Err("interrupted".into())),
        },
        // the processes that the example starts
        [service::ROLE, release, failing] => service::run(release, failing.parse().unwrap_or(0)).await,
        _ => Err("usage: rollout [--nginx | --own-proxy]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rollout: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn show(wanted: Wanted) -> Result<(), BoxError> {
    let state = tempfile::tempdir()?;
    println!("Two rollouts of a shop, with {} requests a second. The controller looks once a second.", load::RATE);
    println!("\n{}", paint(STRONG, "1  A good release"));
    let good = Release { artifact: "shop:1.5.0", previous: "shop:1.4.2", failing: 0 };
    act::run(good, state.path(), wanted).await?.promoted()?;

    println!("\n{}", paint(STRONG, "2  A release that fails a tenth of its requests"));
    let bad = Release { artifact: "shop:1.6.0", previous: "shop:1.5.0", failing: 10 };
    let bad = act::run(bad, state.path(), wanted).await?;
    bad.rolled_back()?;
    report::write(&bad)
}
