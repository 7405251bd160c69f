//! The rollout, step by step. A step that does not happen in time ends the run with its name.

use crate::autopilot::{self, ControlPlane};
use crate::console::Tone;
use crate::last_act::Switched;
use crate::load::{Arm, Load, Phase, Sample, Stage};
use crate::process::{Message, Server};
use crate::scrape::{Look, Scraper, Targets};
use crate::step::step;
use crate::story::{CircuitChange, Moment, Story};
use crate::verdict::{Judge, Signs, Verdict};
use crate::{dependency, report, service, status};
use backstop::BoxError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// The canary's share in the first stage and in the second, in percent.
pub(crate) const STAGES: [u32; 2] = [5, 50];
/// Minimum duration of a stage.
const STAGE: Duration = Duration::from_secs(3);
/// Time until a person notices the problem without an alert. In production it is minutes.
const UNNOTICED: Duration = Duration::from_secs(4);

/// Mode of the arms' circuit breakers and bulkheads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guards {
    /// They measure and reject nothing: the control run.
    Shadow,
    Armed,
}

/// Measurements of one run. Times are measured from its start.
pub(crate) struct Measured {
    pub(crate) guards: Guards,
    pub(crate) samples: Vec<Sample>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) looks: Vec<Look>,
    pub(crate) moments: Vec<Moment>,
    pub(crate) circuits: Vec<CircuitChange>,
    pub(crate) times: Times,
    /// Result of the last act; `None` in the control run.
    pub(crate) switched: Option<Switched>,
    pub(crate) total: Duration,
}

/// Times of the steps. Those of the breaker are `None` in shadow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) overload: Duration,
    pub(crate) first_failure: Option<Duration>,
    pub(crate) open: Option<Duration>,
    pub(crate) verdict: Option<Duration>,
    pub(crate) shifted: Duration,
    pub(crate) fixed: Duration,
    pub(crate) half_open: Option<Duration>,
    pub(crate) closed: Option<Duration>,
}

/// Servers, load and scraper of a run.
pub(crate) struct Rollout {
    guards: Guards,
    pub(crate) story: Arc<Story>,
    pub(crate) canary: Server,
    pub(crate) load: Arc<Load>,
    pub(crate) scraper: Scraper,
    pub(crate) control_plane: ControlPlane,
    times: Times,
    /// Stable, the dependency, the status line and the directory of the switches: kept alive until the end.
    _kept: (Server, Server, JoinSet<()>, TempDir),
}

/// Runs the rollout once.
pub(crate) async fn run(guards: Guards, story: Arc<Story>) -> Result<Measured, BoxError> {
    let console = Arc::clone(&story.console);
    let result = steps(guards, story).await;
    console.status("");
    result
}

async fn steps(guards: Guards, story: Arc<Story>) -> Result<Measured, BoxError> {
    let mut rollout = step("the servers start", Rollout::start(guards, story)).await?;
    rollout.first_stage().await?;
    match guards {
        Guards::Armed => rollout.overload_until_verdict().await?,
        Guards::Shadow => rollout.overload_until_noticed().await?,
    }
    rollout.shift().await?;
    rollout.fix().await?;
    rollout.second_stage_again().await?;
    let switched = if guards == Guards::Armed { Some(rollout.last_act().await?) } else { None };
    rollout.end(switched).await
}

impl Rollout {
    async fn start(guards: Guards, story: Arc<Story>) -> Result<Self, BoxError> {
        let armed = if guards == Guards::Armed { "armed" } else { "shadow" };
        let directory = tempfile::tempdir()?;
        let control_plane = ControlPlane::open(directory.path()).await?;
        let switches = autopilot::document(directory.path())?;
        let ratings = Server::start("ratings", &[dependency::ROLE], |_, _| {}).await?;
        let address = ratings.address.to_string();
        let arm = async |arm: Arm, lookup: &str| {
            let story = Arc::clone(&story);
            let args = [service::ROLE, arm.as_str(), lookup, armed, &address, &switches];
            Server::start(arm.as_str(), &args, move |at, message| story.record(arm, at, message)).await
        };
        let (stable, canary) = (arm(Arm::Stable, "batch").await?, arm(Arm::Canary, "one_by_one").await?);

        let [first, _] = STAGES;
        let load = Arc::new(Load::start(story.started, stable.url(""), canary.url(""), first)?);
        let targets = Targets {
            stable: stable.url("metrics"),
            canary: canary.url("metrics"),
            dependency: ratings.url("metrics"),
        };
        let scraper = Scraper::start(story.started, targets)?;
        let mut live = JoinSet::new();
        live.spawn(status::keep_updated(Arc::clone(&story), Arc::clone(&load), scraper.looks.clone()));
        let times = Times::default();
        Ok(Self {
            guards,
            story,
            canary,
            load,
            scraper,
            control_plane,
            times,
            _kept: (ratings, stable, live, directory),
        })
    }

    fn mark(&self, short: &str, text: &str) -> Duration {
        self.story.mark("rollout", Tone::Plain, short, text)
    }

    /// A small share of the traffic, which fits the canary's quota although it makes twelve times the calls.
    async fn first_stage(&mut self) -> Result<(), BoxError> {
        let [first, second] = STAGES;
        self.mark(&format!("canary gets {first} %"), &format!("canary gets {first} % of the traffic"));
        step("the judge says CONTINUE in the first stage", async {
            let began = Instant::now();
            let mut judge = Judge::new(self.scraper.next().await?);
            loop {
                let verdict = judge.observe(&self.scraper.next().await?);
                let is_served = self.load.answered_in_full(Arm::Canary, Phase::Before) >= 10;
                match verdict {
                    Verdict::Rollback(_) => return Err("the judge says ROLLBACK".into()),
                    Verdict::Continue if is_served && began.elapsed() >= STAGE => return Ok(()),
                    _ => {}
                }
            }
        })
        .await?;
        if self.guards == Guards::Armed {
            self.story.say(
                "judge",
                Tone::Good,
                &format!("CONTINUE to {second} %: both circuits are closed, no bulkhead is full"),
            );
        }
        Ok(())
    }

    /// Half of the traffic, until a person notices the problem.
    async fn overload_until_noticed(&mut self) -> Result<(), BoxError> {
        let began = self.begin_overload();
        let failed =
            step("the canary overloads the dependency", self.canary.wait_for(self.story.started, is_failure)).await?;
        self.times.first_failure = Some(self.story.since_start(failed));
        tokio::time::sleep(UNNOTICED.saturating_sub(began.elapsed())).await;
        let after = report::setting(UNNOTICED);
        let text = format!(
            "no circuit is open and no bulkhead full, so the judge sees nothing; a person notices after {after}"
        );
        self.story.say("rollout", Tone::Plain, &text);
        Ok(())
    }

    /// Half of the traffic, until the judge says ROLLBACK.
    async fn overload_until_verdict(&mut self) -> Result<(), BoxError> {
        let judge = Judge::new(step("a scrape before the second stage", self.scraper.next()).await?);
        let began = self.begin_overload();
        let (story, load, canary) = (Arc::clone(&self.story), Arc::clone(&self.load), &mut self.canary);
        let judging = step("the judge says ROLLBACK", judge_until_rollback(judge, self.scraper.looks.clone(), &story));
        let opening = async {
            let failed =
                step("the canary overloads the dependency", canary.wait_for(story.started, is_failure)).await?;
            let opened = step("the canary's circuit opens", canary.circuit(began, "open")).await?;
            load.set(load.stage().weight, Phase::Open);
            Ok((failed, opened))
        };
        let (verdict, (failed, opened)) = tokio::try_join!(judging, opening)?;
        self.times.verdict = Some(verdict);
        self.times.first_failure = Some(story.since_start(failed));
        self.times.open = Some(story.since_start(opened));
        Ok(())
    }

    fn begin_overload(&mut self) -> Instant {
        let [_, second] = STAGES;
        let began = Instant::now();
        self.load.set(second, Phase::Overload);
        let text = format!("canary gets {second} % of the traffic");
        self.times.overload = self.mark(&format!("canary gets {second} %"), &text);
        began
    }

    /// Shifts all traffic to stable.
    async fn shift(&mut self) -> Result<(), BoxError> {
        self.load.set(0, Phase::Shifted);
        let why = if self.guards == Guards::Armed { "" } else { "noticed, " };
        self.times.shifted =
            self.mark(&format!("{why}canary gets 0 %"), "canary gets no traffic; stable takes all of it");
        step("stable serves all of the traffic", async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.until_full(Arm::Stable, Phase::Shifted, 100).await
        })
        .await
    }

    /// Fixes the canary's bug and sends it a little traffic.
    async fn fix(&mut self) -> Result<(), BoxError> {
        let [first, _] = STAGES;
        step("the canary is fixed", async {
            let request = reqwest::Client::builder().no_proxy().build()?.put(self.canary.url("lookup/batch"));
            request.send().await?.error_for_status()?;
            Ok(())
        })
        .await?;
        let fixed = Instant::now();
        self.load.set(first, Phase::Probing);
        let text =
            format!("canary fetches all ratings in one call, as stable does; {first} % of the traffic goes to it");
        self.times.fixed = self.mark(&format!("fixed, canary gets {first} %"), &text);
        if self.guards == Guards::Armed {
            let half_open = step("the canary's circuit is half-open", self.canary.circuit(fixed, "half_open")).await?;
            let closed = step("the canary's circuit closes", self.canary.circuit(fixed, "closed")).await?;
            self.times.half_open = Some(self.story.since_start(half_open));
            self.times.closed = Some(self.story.since_start(closed));
        }
        step("the fixed canary answers in full", self.until_full(Arm::Canary, Phase::Probing, 5)).await
    }

    /// The share that overloaded the dependency before the fix.
    async fn second_stage_again(&mut self) -> Result<(), BoxError> {
        let [_, second] = STAGES;
        self.load.set(second, Phase::After);
        self.mark(&format!("canary gets {second} % again"), &format!("canary gets {second} % of the traffic again"));
        step("the fixed canary serves the second stage", async {
            tokio::time::sleep(STAGE).await;
            self.until_full(Arm::Canary, Phase::After, 100).await
        })
        .await?;
        self.story.mark("rollout", Tone::Good, "in full", "both arms answer in full");
        Ok(())
    }

    async fn end(self, switched: Option<Switched>) -> Result<Measured, BoxError> {
        let total = self.story.now();
        let samples = step("the last requests end", async { Ok(self.load.stop().await) }).await?;
        Ok(Measured {
            guards: self.guards,
            samples,
            stages: self.load.stages(),
            looks: self.scraper.history(),
            moments: self.story.moments(),
            circuits: self.story.circuits(),
            times: self.times,
            switched,
            total,
        })
    }

    async fn until_full(&self, arm: Arm, phase: Phase, requests: usize) -> Result<(), BoxError> {
        while self.load.answered_in_full(arm, phase) < requests {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn is_failure(message: &Message) -> bool {
    matches!(message, Message::FirstFailure(_))
}

async fn judge_until_rollback(
    mut judge: Judge,
    mut looks: tokio::sync::watch::Receiver<Option<Look>>,
    story: &Story,
) -> Result<Duration, BoxError> {
    let mut reported = Signs::default();
    loop {
        looks.changed().await?;
        let look = looks.borrow_and_update().clone();
        match look.map(|look| judge.observe(&look)) {
            Some(Verdict::Suspect(signs)) => {
                for (short, text) in signs.but_not(reported).to_texts() {
                    let text = format!("scrape: {text}");
                    story.mark("judge", Tone::Plain, &format!("scrape: {short}"), &text);
                }
                reported = signs;
            }
            Some(Verdict::Rollback(evidence)) => {
                return Ok(story.mark("judge", Tone::Bad, "judge: ROLLBACK", &evidence.to_text()));
            }
            _ => {}
        }
    }
}
