//! The shop in one act: the ratings service, stable and canaries, the load, and what was measured.

use crate::autopilot;
use crate::judge::{Judging, Look};
use crate::load::{Answer, Arm, Load, Route, Sample, Shares};
use crate::overload::Guards;
use crate::process::Server;
use crate::report::{Summary, time};
use crate::step::step;
use crate::story::{CircuitChange, Moment, Story};
use crate::{dependency, service};
use backstop::BoxError;
use backstop::rollback::Policy;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Servers and load of an act.
pub(crate) struct Shop {
    pub(crate) story: Arc<Story>,
    pub(crate) load: Arc<Load>,
    /// Stable and the canaries.
    pub(crate) arms: Vec<Server>,
    /// Directory of the switches.
    pub(crate) directory: TempDir,
    client: reqwest::Client,
    /// The dependency and the status line: kept alive until the end.
    _kept: (Server, JoinSet<()>),
}

/// Measurements of an act. Times are measured from its start.
pub(crate) struct Measured {
    pub(crate) samples: Vec<Sample>,
    pub(crate) shares: Vec<Shares>,
    /// Verdicts by canary.
    pub(crate) looks: Vec<(Arm, Vec<Look>)>,
    pub(crate) moments: Vec<Moment>,
    pub(crate) circuits: Vec<CircuitChange>,
    pub(crate) total: Duration,
}

impl Shop {
    /// Starts the ratings service, stable and so many canaries; all of the traffic goes to stable.
    pub(crate) async fn open(story: Story, guards: Guards, canaries: usize) -> Result<Self, BoxError> {
        step("the servers start", Self::start(Arc::new(story), guards, canaries)).await
    }

    async fn start(story: Arc<Story>, guards: Guards, canaries: usize) -> Result<Self, BoxError> {
        let directory = tempfile::tempdir()?;
        autopilot::define_switch(directory.path()).await?;
        let switches = autopilot::document(directory.path())?;
        let ratings = Server::start("ratings", &[dependency::ROLE], |_, _| {}).await?;
        let address = ratings.address.to_string();
        let mut arms = Vec::new();
        for arm in Arm::ALL.into_iter().take(1 + canaries) {
            let story = Arc::clone(&story);
            let args = [service::ROLE, arm.as_str(), guards.as_str(), &address, &switches];
            let record = move |at, message: &_| story.record(arm, at, message);
            arms.push(Server::start(arm.as_str(), &args, record).await?);
        }
        let load = Arc::new(Load::start(story.started, arms.iter().map(|arm| arm.url("")).collect())?);
        let mut live = JoinSet::new();
        live.spawn(keep_status(Arc::clone(&story), Arc::clone(&load), arms.len()));
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { story, load, arms, directory, client, _kept: (ratings, live) })
    }

    /// A judge of this canary, from now on.
    pub(crate) fn judge(&self, canary: Arm, policy: Policy) -> Result<Judging, BoxError> {
        let [stable, canary_url] = [Arm::Stable, canary].map(|arm| self.arms[arm as usize].url("metrics"));
        Judging::start(&self.story, canary, &stable, &canary_url, policy)
    }

    /// Sets a fault of an arm.
    pub(crate) async fn fault(&self, arm: Arm, name: &str, value: u32) -> Result<(), BoxError> {
        let url = self.arms[arm as usize].url(&format!("faults/{name}/{value}"));
        self.client.put(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// Waits until an arm has answered as many pages in full, of those sent from now on.
    pub(crate) async fn until_full(&self, arm: Arm, pages: usize) -> Result<(), BoxError> {
        let since = self.story.now();
        let is_full = |s: &&Sample| s.at >= since && s.arm == arm && s.route == Route::Page && s.answer == Answer::Full;
        while self.load.samples(since).iter().filter(is_full).count() < pages {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends the act.
    pub(crate) async fn close(self, judges: Vec<Judging>) -> Result<Measured, BoxError> {
        let total = self.story.now();
        let samples = step("the last requests end", async { Ok(self.load.stop().await) }).await?;
        self.story.console.status("");
        Ok(Measured {
            samples,
            shares: self.load.shares(),
            looks: judges.iter().map(|judge| (judge.canary, judge.history())).collect(),
            moments: self.story.moments(),
            circuits: self.story.circuits(),
            total,
        })
    }
}

/// The status line, redrawn five times a second.
async fn keep_status(story: Arc<Story>, load: Arc<Load>, arms: usize) {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = story.now();
        let samples = load.samples(now.saturating_sub(Duration::from_secs(1)));
        let arm = |arm: &Arm| {
            let summary = Summary::of(samples.iter().filter(|s| s.arm == *arm && s.route == Route::Page));
            let median = summary.percentile(50).map_or_else(|| "-".into(), time);
            format!("{:<8} {:>3}/s {median:>8} {:>3} failed", arm.as_str(), summary.requests, summary.errors)
        };
        let columns: Vec<_> = Arm::ALL.iter().take(arms).map(arm).collect();
        story.console.status(&format!("{:>7.1} s  {}", now.as_secs_f64(), columns.join(" | ")));
    }
}
