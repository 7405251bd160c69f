//! A burst of twice the capacity: which order of the queue, and which shedding, answers callers in time.
//!
//! `cargo test --test shedding -- --nocapture` shows the table. Time is tokio's paused time, and the bulkhead's clock
//! goes with it.

use backstop::Bulkhead;
use backstop::bulkhead::{BulkheadBuilder, QueueOrder, Shedding};
use backstop::clock::Clock;
use backstop::config::Named;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

const TICK: Duration = Duration::from_millis(1);
/// Ten calls at once, ten milliseconds each: a thousand a second.
const PLACES: u32 = 10;
const WORK: Duration = Duration::from_millis(10);
/// A caller that hears nothing for so long has given up; the service does not know.
const PATIENCE: Duration = Duration::from_millis(100);
/// Calls a millisecond: half of the capacity, twice the capacity, half again, a second each.
const LOAD: [f64; 3] = [0.5, 2.0, 0.5];

#[derive(Debug, Default)]
struct Tally {
    offered: u32,
    in_time: u32,
    too_late: u32,
    refused: u32,
}

impl Tally {
    fn share_in_time(&self) -> f64 {
        f64::from(self.in_time) / f64::from(self.offered)
    }
}

/// What became of the calls that were offered in each second.
fn burst(set: impl FnOnce(BulkheadBuilder<Named>) -> BulkheadBuilder<Named>) -> [Tally; 3] {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (clock, time) = Clock::manual();
    let builder = Bulkhead::builder("burst").clock(clock).max_concurrent_calls(PLACES);
    let bulkhead = set(builder.max_wait(Duration::from_secs(2)).max_queue(5_000)).build().unwrap();
    runtime.block_on(async move {
        tokio::spawn(async move {
            loop {
                sleep(TICK).await;
                time.advance(TICK);
            }
        });
        let begun = Instant::now();
        let mut calls = Vec::new();
        let mut due = 0.0;
        for millisecond in 0..3_000_u32 {
            sleep_until(begun + TICK * millisecond).await;
            due += LOAD[millisecond as usize / 1_000];
            while due >= 1.0 {
                due -= 1.0;
                let bulkhead = bulkhead.clone();
                let call = async move {
                    let offered = Instant::now();
                    let work = async {
                        sleep(WORK).await;
                        Ok::<_, std::convert::Infallible>(())
                    };
                    bulkhead.call(work).await.map(|()| offered.elapsed() <= PATIENCE)
                };
                calls.push((millisecond as usize / 1_000, tokio::spawn(call)));
            }
        }
        let mut tallies = [(); 3].map(|()| Tally::default());
        for (second, call) in calls {
            let tally = &mut tallies[second];
            tally.offered += 1;
            *match call.await.unwrap() {
                Ok(true) => &mut tally.in_time,
                Ok(false) => &mut tally.too_late,
                Err(_) => &mut tally.refused,
            } += 1;
        }
        assert_eq!((bulkhead.snapshot().in_flight, bulkhead.snapshot().queue_depth), (0, 0));
        tallies
    })
}

#[test]
fn a_burst_is_answered_in_time_by_shedding_and_by_the_newest_first() {
    let variants = [
        ("first in, first out", burst(|builder| builder)),
        ("last in, first out", burst(|builder| builder.queue_order(QueueOrder::Lifo))),
        ("first in, first out, shedding", burst(|builder| builder.shedding(Shedding::new()))),
        (
            "last in, first out, shedding",
            burst(|builder| builder.queue_order(QueueOrder::Lifo).shedding(Shedding::new())),
        ),
    ];
    println!("answered within {PATIENCE:?} of those offered in a second (too late, refused)\n");
    println!("{:32}{:>22}{:>22}{:>22}", "queue", "half the capacity", "twice the capacity", "half again");
    for (name, tallies) in &variants {
        print!("{name:32}");
        for tally in tallies {
            let Tally { too_late, refused, .. } = tally;
            print!("{:>22}", format!("{:.0} % ({too_late}, {refused})", 100.0 * tally.share_in_time()));
        }
        println!();
    }
    let of = |variant: usize, second: usize| variants[variant].1[second].share_in_time();
    let (plain, lifo, shed, both) = (0, 1, 2, 3);
    for variant in [plain, lifo, shed, both] {
        assert!(of(variant, 0) > 0.99, "with room for all, nobody waits");
    }
    // Half of the burst can be served at all; the queue that it leaves behind must not be served late for ever.
    assert!(of(plain, 1) < 0.15 && of(plain, 2) < 0.5, "without either, the burst hurts for as long again");
    assert!(of(shed, 1) > 0.4 && of(shed, 2) > 0.9);
    assert!(of(both, 1) > 0.45 && of(both, 2) > 0.95);
    assert!(of(lifo, 1) > 0.45 && of(lifo, 2) > 0.9);
    let too_late = |variant: usize| variants[variant].1.iter().map(|tally| tally.too_late).sum::<u32>();
    assert!(too_late(both) == 0 && too_late(shed) * 20 < too_late(plain) && too_late(lifo) > 0);
}
