//! A slow dependency and its effect on calls to another one, without bulkheads and with them.
//!
//! ```text
//!                          ┌────────── shop ──────────┐
//!    100 req/s  /products ─┤  a connection of the     ├─▶ recommendations   20 ms; slow: 2 s
//!    100 req/s  /pay ──────┤  database pool, one of 24├─▶ payments          20 ms
//!                          └──────────────────────────┘
//! ```
//!
//! Each request of the shop holds one of the 24 connections of its database pool until it is answered, as in any
//! handler that calls another service inside a transaction. Callers of `/products` that wait for a slow
//! `recommendations` therefore leave no connection to those who only want to pay. Everything is HTTP on loopback. The
//! same load runs twice, 4 seconds each, and `recommendations` is slow in the middle.
//!
//! ```text
//! cargo run --release --example bulkhead
//! ```
//!
//! It exits with 1 if payments become slow with the bulkheads, or do not without them.

mod load;
mod report;
mod shop;

use backstop::{BoxError, Bulkhead};
use load::Phase;
use report::Figures;
use shop::{Bulkheads, Dependency};
use std::process::ExitCode;
use std::time::Duration;

#[tokio::main]
async fn main() -> ExitCode {
    match show().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bulkhead: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn show() -> Result<(), BoxError> {
    println!("{}", report::head());
    let without = run("without bulkheads", None).await?;
    // 100 calls a second of 20 ms each are 2 at a time (Little's law); 8 leaves room for bursts.
    let bulkhead = |name: &str| Bulkhead::builder(name).max_concurrent_calls(8).build();
    let bulkheads = Bulkheads { recommendations: bulkhead("recommendations")?, payments: bulkhead("payments")? };
    let with = run("with bulkheads of 8 calls", Some(bulkheads)).await?;
    println!("{}\n\n{}", report::legend(), report::conclusion(&without, &with));
    report::check(&without, &with)
}

/// Runs the whole load once, on new servers.
async fn run(title: &str, bulkheads: Option<Bulkheads>) -> Result<Figures, BoxError> {
    let recommendations = Dependency::start().await?;
    let payments = Dependency::start().await?;
    let shop = shop::start(&recommendations, &payments, bulkheads).await?;
    load::warm_up(shop).await?;
    let samples = load::run(shop, |phase| {
        recommendations.set_time(if phase == Phase::Slow { shop::SLOW } else { shop::USUAL });
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await; // dropped calls end before the next run begins
    let figures = Figures::of(&samples?);
    print!("{}", report::rows(title, &figures));
    Ok(figures)
}
