//! A day in production: random services on a clock that is moved by hand, and the laws that their circuits keep.
//!
//! `BACKSTOP_DAY_SERVICES` sets the number of services, `BACKSTOP_DAY_SEED` the first seed: `BACKSTOP_DAY_SERVICES=1`
//! with the seed of a message repeats that service. `BACKSTOP_DAY_CALLS` limits the calls of a service. `-- --nocapture`
//! shows the table.

pub(crate) mod dependency;
pub(crate) mod evidence;
pub(crate) mod laws;
pub(crate) mod plan;
pub(crate) mod recipe;
pub(crate) mod report;
pub(crate) mod world;

use crate::model::number;
use plan::{Plan, Shape};
use recipe::Recipe;
use report::Report;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use world::live;

/// Lives the days of all services, on all cores.
fn live_all(first_seed: u64, services: u64, calls: f64) -> Vec<(Plan, Report)> {
    let (next, days) = (AtomicU64::new(first_seed), Mutex::new(vec![]));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first_seed + services {
                return;
            }
            let plan = Plan::draw(seed, calls);
            let report = live(&plan);
            days.lock().unwrap().push((plan, report));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut days = days.into_inner().unwrap();
    days.sort_by_key(|(plan, _)| plan.seed);
    days
}

fn sum<'d>(days: impl IntoIterator<Item = &'d (Plan, Report)>) -> Report {
    days.into_iter().fold(Report::default(), |mut sum, (_, report)| {
        sum.add(report);
        sum
    })
}

fn print(days: &[(Plan, Report)]) {
    println!("{}", Report::HEADER);
    let line = |name: &str, is_of: &dyn Fn(&Plan) -> bool| {
        println!("| {name} | {}", sum(days.iter().filter(|(plan, _)| is_of(plan))));
    };
    for shape in Shape::ALL {
        line(&format!("{shape:?}"), &|plan| plan.shape == shape);
    }
    for (number, name) in Recipe::NAMES.iter().enumerate() {
        line(name, &|plan| plan.recipe.number() == number);
    }
    line("no outage", &|plan| plan.outages.is_empty());
    line("nine of ten callers leave", &|plan| plan.leaving >= 0.9);
    line("all", &|_| true);
}

#[test]
fn a_day_in_production_keeps_the_laws() {
    let services = number("BACKSTOP_DAY_SERVICES", 50);
    let calls = number("BACKSTOP_DAY_CALLS", if cfg!(debug_assertions) { 6_000 } else { 2_000_000 });
    let days = live_all(number("BACKSTOP_DAY_SEED", 1), services, calls as f64);
    print(&days);
    let all = sum(&days);
    println!("{} openings in outages, {} recoveries cut off", all.outages_seen, all.unfinished);
    let first = all.broken.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(all.broken.is_empty(), "{} times:\n{first}", all.broken.len());
    if services >= 50 {
        assert!(all.outages_seen >= services / 4 && all.recoveries >= services / 8, "outages are seen and end");
    }
}
