//! Rollouts of a shop, end to end, judged by the real judge over real metrics.
//!
//! ```text
//!                      /metrics                       Judge: errors, latency, breakers, a second at a time
//!             ┌──────────────────────────┬──────────▶         │
//!             │                          │                    │ weight, kill switch
//!       ┌─────┴──────┐             ┌─────┴──────┐             ▼
//!       │   stable   │◀──────────▶ │  canaries  │◀──── load, real clients, 500 requests a second
//!       └─────┬──────┘             └─────┬──────┘
//!             │ bulkhead, breaker        │ bulkhead, breaker; fallback: cached ratings
//!             ▼                          ▼
//!       ┌──────────────────────────────────────┐
//!       │ ratings: a quota of calls for each key │
//!       └──────────────────────────────────────┘
//! ```
//!
//! The boxes are processes started from this binary, and the arrows are HTTP on loopback.
//!
//! 1. **Overload, without protection.** The canary fetches the ratings of a page one by one, an N+1 query as a harmless
//!    refactoring introduces. It fits the canary's quota at 5 % of the traffic and not at 50 %. Callers wait.
//! 2. **Overload, with breaker and bulkhead.** The canary's circuit opens, its callers get cached ratings, and the judge
//!    rolls it back: open in the canary, closed in the baseline.
//! 3. **A fault that no breaker sees**, in one of two canaries: 2 % of its pages fail, all of them quickly. The judge finds
//!    it within the time that `backstop policy explain` predicted. The other canary is as good as stable, has one burst of
//!    errors, and is not rolled back.
//! 4. **Orders.** A release ranks the products of a page in reverse. Every answer is fast and 200, and orders fall. The
//!    judge of that KPI engages a kill switch on the canary's instance.
//!
//! ```text
//! cargo run --release --example canary
//! ```
//!
//! It exits with 1 and names the step if a step does not happen in time.

mod autopilot;
mod console;
mod dependency;
mod faults;
mod judge;
mod load;
mod orders;
mod overload;
mod process;
mod ranking;
mod report;
mod service;
mod shop;
mod slight;
mod step;
mod story;
mod timeline;

use backstop::BoxError;
use console::Console;
use overload::Guards;
use std::process::ExitCode;
use std::sync::Arc;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        [] => show().await,
        // the processes that the example starts
        [dependency::ROLE] => dependency::run().await,
        [service::ROLE, name, guards, ratings, switches] => service::run(name, guards, ratings, switches).await,
        _ => Err("usage: canary (without arguments)".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("canary: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn show() -> Result<(), BoxError> {
    let console = Arc::new(Console::new());
    console.print(&report::intro());
    console.heading("1  Overload, without protection");
    let without = overload::run(Guards::Shadow, &console).await?;
    console.heading("2  The same overload, with a circuit breaker and a bulkhead");
    let with = overload::run(Guards::Armed, &console).await?;
    console.heading("3  A fault that no breaker sees, and a burst that is none");
    let slight = slight::run(&console).await?;
    console.heading("4  A release that only orders suffer from");
    let orders = orders::run(&console).await?;

    console.heading("What happened");
    console.print(&timeline::overload(&[("without", &without.measured), ("with both", &with.measured)]));
    console.print(&timeline::evidence("two canaries", &slight.measured));
    report::check(&without, &with)?;
    console.print(&report::conclusion(&without, &with));
    console.print(&slight.conclusion);
    console.print(&orders);
    if let Some(note) = report::busy(&[&without.measured, &with.measured, &slight.measured]) {
        console.print(&note);
    }
    Ok(())
}
