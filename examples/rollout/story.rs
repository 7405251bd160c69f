//! Story of a rollout, from the journal and from the clients' requests. A claim that does not hold is an error.

use crate::act::{Done, time};
use crate::load::Sample;
use backstop::BoxError;
use backstop::rollback::Decision;
use backstop::rollout::controller::Ended;
use backstop::rollout::journal::Record;
use backstop::rollout::stages::{Action, End, Event, Job, Outcome};

/// Largest difference of the counted share, in points: requests are in flight as a weight changes.
const NEAR: f64 = 2.0;
/// Seconds after the decision in which the last request of the canary must have been sent.
const CUT: f64 = 2.0;

impl Done {
    fn expect(&self, end: End) -> Result<(), BoxError> {
        if self.ended == Ended::Done(end) {
            return Ok(());
        }
        let why = self.records.iter().rev().find(|record| !record.why.is_empty()).map_or("", |record| &record.why);
        Err(format!("step `{}`: the rollout ended with {:?}. {why}", end.as_str(), self.ended).into())
    }

    /// Weights of the stages, each from its read-back to the next move or the end.
    fn stages(&self) -> Vec<(u32, f64, f64)> {
        let is_stage = |record: &&Record| is_done(record) && record.state == "soaking";
        let next = |from: f64| self.records.iter().find(|record| time(record) > from && is_move(record));
        let end = self.records.last().map_or(0.0, time);
        let stages = self.records.iter().filter(is_stage).map(|record| (record.weight, time(record)));
        stages.map(|(weight, from)| (weight, from, next(from).map_or(end, time))).collect()
    }

    /// Prints each weight beside the share of the requests that the canary got.
    pub(crate) fn promoted(&self) -> Result<(), BoxError> {
        self.expect(End::Promoted)?;
        let stages = self.stages();
        if stages.iter().map(|stage| stage.0).ne([5, 20, 50, 100]) {
            return Err(format!("step `stages`: {stages:?} instead of 5, 20, 50 and 100 %").into());
        }
        println!("\n  stage   {:<20}  {:<24}  for", format!("{} said", self.balancer), "the canary got");
        for (weight, from, to) in stages {
            let said: Vec<_> = self.readings.iter().filter(|(at, _)| *at >= from && *at < to).collect();
            let sent: Vec<_> = self.samples.iter().filter(|of| of.sent >= from && of.answered < to).collect();
            let share = sent.iter().filter(|of| of.is_canary).count() as f64 * 100.0 / sent.len().max(1) as f64;
            let is_near = |found: f64, by: f64| (found - f64::from(weight)).abs() <= by;
            if said.is_empty() || said.iter().any(|(_, found)| !is_near(*found, 0.5)) || !is_near(share, NEAR) {
                let text = format!("read back {said:?}, counted {share:.1} % of {} requests", sent.len());
                return Err(format!("step `weight of {weight} %`: {text}").into());
            }
            let said = format!("{weight} %, {} times", said.len());
            let share = format!("{share:.1} % of {} requests", sent.len());
            println!("  {weight:>3} %   {said:<20}  {share:<24}  {:.1} s", to - from);
        }
        let (failed, all) = (failed(&self.samples), self.samples.len());
        println!("  {failed} of all {all} requests failed. {} is the new version.", self.release.artifact);
        Ok(())
    }

    /// Prints how soon the release had no traffic any more.
    pub(crate) fn rolled_back(&self) -> Result<(), BoxError> {
        self.expect(End::RolledBack)?;
        let stages = self.stages();
        if stages.iter().map(|stage| stage.0).ne([5]) {
            return Err(format!("step `rollback at the first stage`: the stages were {stages:?}").into());
        }
        let (canary, stable): (Vec<Sample>, Vec<Sample>) = self.samples.iter().partition(|of| of.is_canary);
        let fault = canary.iter().filter(|of| !of.is_ok).map(|of| of.answered).fold(f64::MAX, f64::min);
        let verdict = self.said.iter().find(|said| said.1 == Decision::Rollback);
        let verdict = verdict.ok_or("step `detect`: there is no verdict of rollback")?.0;
        let decided = self.records.iter().find(|record| record.state == "rolling_back");
        let decided = time(decided.ok_or("step `decide`: the journal has no decision")?);
        let moved = self.records.iter().find(|of| time(of) >= decided && is_done(of) && of.weight == 0);
        let moved = time(moved.ok_or("step `move`: the journal has no weight of 0")?);
        let read = self.readings.iter().find(|(at, _)| *at > moved);
        let read = read.filter(|(_, weight)| *weight == 0.0).ok_or("step `move`: weight 0 was not read back")?.1;
        let recovered = self.records.last().map_or(moved, time);
        let last = canary.iter().map(|of| of.sent).fold(0.0, f64::max) - decided;
        if last > CUT {
            return Err(format!("step `move`: the canary got requests until {last:.1} s later").into());
        }
        println!("\n  detect  {:>7.3} s  the first failed request to the verdict", verdict - fault);
        println!("  decide  {:>7.3} s  to the decision, in the journal and on the disk", decided - verdict);
        println!("  move    {:>7.3} s  to weight 0, set and read back as {read} %", moved - decided);
        println!("  verify  {:>7.3} s  to errors and latency as before the rollout", recovered - moved);
        let after = |at: f64| canary.iter().filter(|of| of.sent > at).count();
        let (when, after, last) = (if last > 0.0 { "after" } else { "before" }, after(decided), last.abs() * 1e3);
        println!("  The canary's last request was sent {last:.0} ms {when} the decision, and {after} after it.");
        let (at_canary, elsewhere) = (failed(&canary), failed(&stable));
        println!(
            "  {at_canary} of {} requests failed at the canary, {elsewhere} of {} elsewhere.",
            canary.len(),
            stable.len()
        );
        println!("  {} has all of the traffic.", self.release.previous);
        Ok(())
    }
}

fn is_move(record: &Record) -> bool {
    record.actions.iter().any(|action| matches!(action, Action::Do { job: Job::Move { .. }, .. }))
}

fn is_done(record: &Record) -> bool {
    matches!(record.event, Event::Finished { outcome: Outcome::Done, .. })
}

fn failed(samples: &[Sample]) -> usize {
    samples.iter().filter(|sample| !sample.is_ok).count()
}
