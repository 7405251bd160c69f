//! The main job, end to end: a canary overloads its dependency, its bulkhead fills, its circuit breaker opens, a judge
//! says ROLLBACK; its next release spoils a KPI that no breaker sees, and a kill switch is engaged automatically.
//!
//! ```text
//!                      /metrics                          judge: "full or open in canary,
//!             ┌─────────────────────────────┬──────────▶         and not in baseline"
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
//! The boxes are processes of their own, started from this binary, and the arrows are HTTP on loopback. Nothing is
//! switched to "broken": the canary asks for each product's rating one by one (the N+1 query that a harmless
//! refactoring brings in), which its quota bears at 5 % of the traffic and not at 50 %. The ratings service
//! keeps a quota for each API key, as shared services do, and that is why stable does not suffer.
//!
//! Each arm handles a bounded number of requests at a time. Some of them are checkouts, which need no ratings; without
//! a bulkhead they wait behind pages that wait for ratings.
//!
//! The same traffic runs twice so that the figures can be compared: first with the breakers in shadow, where they
//! watch and reject nothing, and with bulkheads that are never full; then armed. Both runs together take half a minute.
//!
//! The armed run has a last act. The canary's next release ranks the products of a page the wrong way round: every
//! answer is quick and 200, and people order less. Each arm counts page views and orders among its metrics; the autopilot
//! compares them window by window and engages the switch before the ranking, on the canary's instance:
//!
//! ```text
//!   /metrics of both ──▶ autopilot ──ENGAGE──▶ switches.json ──▶ gate in each arm: the ranking, or the catalogue's order
//! ```
//!
//! Pages go on without the ranking. The switch stays engaged at the end: to release it is for a person.
//!
//! The judge here is the plain rule "bulkhead full or circuit open in canary and not in baseline, several looks in a
//! row"; it knows no statistics and would not see a canary that is a little worse without either.
//!
//! ```text
//! cargo run --release --example canary
//! ```
//!
//! It exits with 1, naming the step, when anything does not happen in its time.

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
        // what the example starts for itself
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
    console.heading(
        "Without: the breaker is in shadow, it watches and lets everything pass, and the bulkhead is never full",
    );
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
    console.print(&protected.switched.ok_or("the last act was not played")?.conclusion());
    Ok(())
}

fn intro() -> String {
    format!(
        "A shop rolls out a canary that asks the ratings service {products} times for each page; stable asks once.\n\
         {rate} pages/s and a checkout for every {checkout} of them; a caller waits {deadline}. Ratings serves {slots} calls of {work} at a time for each key\n\
         and refuses a call that has waited {patience}. An arm handles {workers} requests at a time, of which the bulkhead\n\
         leaves {in_flight} to ratings. Everything is real HTTP on loopback, in processes of its own.",
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
