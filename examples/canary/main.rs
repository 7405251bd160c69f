//! A canary rollout, end to end: the canary overloads its dependency, its bulkhead fills, its circuit opens, and a
//! judge says ROLLBACK. Its next release lowers a KPI that no breaker measures, and a kill switch is engaged
//! automatically.
//!
//! ```text
//!                      /metrics                          judge: "full or open in the canary,
//!             ┌─────────────────────────────┬──────────▶         and not in the baseline"
//!             │                             │                         │ weight
//!       ┌─────┴──────┐                ┌─────┴──────┐                  ▼
//!       │   stable   │◀── 100 req/s ──│   canary   │◀──────── load, real clients
//!       │ 1 call per │    by weight   │ 12 calls   │
//!       │   page     │                │  per page  │
//!       └─────┬──────┘                └─────┬──────┘
//!             │ bulkhead, breaker           │ bulkhead, breaker; fallback: cached ratings
//!             ▼                             ▼
//!       ┌──────────────────────────────────────────┐
//!       │ ratings: 2 calls at a time for each key  │
//!       └──────────────────────────────────────────┘
//! ```
//!
//! The boxes are separate processes, started from this binary, and the arrows are HTTP on loopback. No fault is
//! injected: the canary fetches each product's rating one by one (an N+1 query, as a harmless refactoring introduces),
//! which fits its quota at 5 % of the traffic and not at 50 %. The ratings service has a quota for each API key, as
//! shared services do, so stable is not affected.
//!
//! Each arm handles a bounded number of requests at a time. Some of them are checkouts, which need no ratings; without
//! a bulkhead they queue behind pages that wait for ratings.
//!
//! The same traffic runs twice so that the figures can be compared: first with the breakers in shadow, where they
//! measure and reject nothing, and with bulkheads that are never full; then armed. Both runs together take half a
//! minute.
//!
//! The armed run has a last act. The canary's next release ranks the products of a page in reverse: every answer is
//! fast and 200, and orders fall. Each arm exports page views and orders as metrics; the autopilot compares them window
//! by window and engages the switch of the ranking, on the canary's instance only:
//!
//! ```text
//!   /metrics of both ──▶ autopilot ──ENGAGE──▶ switches.json ──▶ gate in each arm: ranking, or catalogue order
//! ```
//!
//! Pages are then served without the ranking. The switch stays engaged at the end: only a person may release it.
//!
//! The judge here is the simple rule "bulkhead full or circuit open in the canary and not in the baseline, in several
//! scrapes in a row"; it uses no statistics and would miss a canary that is slightly worse but trips neither.
//!
//! ```text
//! cargo run --release --example canary
//! ```
//!
//! It exits with 1 and names the step if a step does not happen in time.

mod autopilot;
mod console;
mod dependency;
mod kpi;
mod last_act;
mod load;
mod process;
mod prometheus;
mod ranking;
mod report;
mod rollout;
mod scrape;
mod service;
mod status;
mod step;
mod story;
mod timeline;
mod verdict;

use backstop::BoxError;
use console::Console;
use report::setting;
use rollout::Guards;
use std::process::ExitCode;
use std::sync::Arc;
use story::Story;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        [] => show().await,
        // the processes that the example starts
        [dependency::ROLE] => dependency::run().await,
        [service::ROLE, name, lookup, guards, ratings, switches] => {
            service::run(name, lookup, guards, ratings, switches).await
        }
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
    console.print(&intro());
    console
        .heading("Without: the breaker is in shadow (it measures and rejects nothing), and the bulkhead is never full");
    let control = rollout::run(Guards::Shadow, Arc::new(Story::new(&console))).await?;
    console.heading("With the breaker and the bulkhead");
    let protected = rollout::run(Guards::Armed, Arc::new(Story::new(&console))).await?;

    console.heading("What happened");
    console.print(&timeline::draw(&[&control, &protected]));
    console.heading("Figures, all measured in this run");
    console.print(&report::figures(&control, &protected));
    report::check(&control, &protected)?;
    console.print("");
    console.print(&report::conclusion(&control, &protected));
    console.print("");
    console.print(&protected.switched.ok_or("the last act did not run")?.conclusion());
    Ok(())
}

fn intro() -> String {
    format!(
        "A shop rolls out a canary that calls the ratings service {products} times for each page; stable calls it once.\n\
         {rate} pages/s and a checkout for every {checkout} of them; callers time out after {deadline}. Ratings serves {slots} calls\n\
         of {work} at a time for each key and rejects a call after {patience} in its queue. An arm handles {workers} requests\n\
         at a time, of which the bulkhead allows {in_flight} to call ratings. All of it is HTTP between processes on loopback.",
        products = service::PRODUCTS,
        rate = load::RATE,
        checkout = load::CHECKOUT,
        workers = service::WORKERS,
        in_flight = service::IN_FLIGHT,
        deadline = setting(load::DEADLINE),
        slots = dependency::SLOTS,
        work = setting(dependency::WORK),
        patience = setting(dependency::PATIENCE),
    )
}
