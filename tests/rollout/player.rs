//! A rollout that is played event by event, without a clock or a load balancer.

use backstop::rollback::Decision;
use backstop::rollback::plan::{Level, Plan};
use backstop::rollout::soak::Finding;
use backstop::rollout::stages::{Action, Ask, Event, Job, Look, Outcome, Reading, Ready, Rollout};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Player {
    pub(crate) rollout: Rollout,
    pub(crate) at: Duration,
    /// Jobs that were begun and have not ended.
    pub(crate) jobs: Vec<(u64, Job)>,
    pub(crate) alerts: Vec<(Level, String)>,
    /// Weights that were asked for, in order.
    pub(crate) weights: Vec<u32>,
    /// Commands that were run, in order.
    pub(crate) runs: Vec<String>,
    pub(crate) overrides: usize,
    pub(crate) answer: Option<(bool, String)>,
    pub(crate) canary: Ready,
    pub(crate) stable: Ready,
    pub(crate) samples: f64,
    pub(crate) others: f64,
    pub(crate) watched: Duration,
}

pub(crate) const WHOLE: Ready = Ready { ready: 4, total: 4 };

impl Player {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let mut player = Self {
            rollout: Rollout::new(plan),
            at: Duration::ZERO,
            jobs: Vec::new(),
            alerts: Vec::new(),
            weights: Vec::new(),
            runs: Vec::new(),
            overrides: 0,
            answer: None,
            canary: WHOLE,
            stable: WHOLE,
            samples: 10_000.0,
            others: 0.0,
            watched: Duration::MAX,
        };
        player.take(&Event::Started { by: "mira".to_owned(), reason: None });
        player
    }

    /// Started, and with the weight of the first stage.
    pub(crate) fn soaking(plan: Arc<Plan>) -> Self {
        let mut player = Self::new(plan);
        player.done().look(Decision::Continue).done();
        assert_eq!(player.rollout.name(), "soaking");
        player
    }

    pub(crate) fn take(&mut self, event: &Event) -> &mut Self {
        for action in self.rollout.step(event, self.at) {
            match action {
                Action::Do { key, job } => {
                    match &job {
                        Job::Move { weight, .. } => self.weights.push(*weight),
                        Job::Run { step, is_again } => {
                            self.runs.push(format!("{step:?}{}", if *is_again { " again" } else { "" }));
                        }
                    }
                    self.jobs.push((key, job));
                }
                Action::Cancel => self.jobs.clear(),
                Action::Alert { level, text } => self.alerts.push((level, text)),
                Action::Override { .. } => self.overrides += 1,
                Action::Answer { is_accepted, text } => self.answer = Some((is_accepted, text)),
                Action::Stage { .. } => {}
            }
        }
        self
    }

    pub(crate) fn after(&mut self, seconds: u64) -> &mut Self {
        self.at += Duration::from_secs(seconds);
        self.take(&Event::Clock)
    }

    pub(crate) fn look(&mut self, decision: Decision) -> &mut Self {
        self.look_at(decision, Finding::Good)
    }

    pub(crate) fn look_at(&mut self, decision: Decision, recovery: Finding) -> &mut Self {
        let sentence = format!("the verdict is {}", decision.as_str());
        let (canary, stable, samples, others) = (Some(self.canary), Some(self.stable), self.samples, self.others);
        let watched = self.watched;
        self.take(&Event::Looked(Look { decision, sentence, canary, stable, samples, others, watched, recovery }))
    }

    /// Ends the job in progress well.
    pub(crate) fn done(&mut self) -> &mut Self {
        self.end(&Outcome::Done)
    }

    pub(crate) fn failed(&mut self, why: &str) -> &mut Self {
        self.end(&Outcome::Failed { why: why.to_owned(), is_final: false })
    }

    pub(crate) fn end(&mut self, outcome: &Outcome) -> &mut Self {
        let (key, _) = self.jobs.remove(0);
        self.take(&Event::Finished { key, outcome: outcome.clone() })
    }

    /// Ends jobs well until there is none.
    pub(crate) fn all_done(&mut self) -> &mut Self {
        while !self.jobs.is_empty() {
            self.done();
        }
        self
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> &mut Self {
        self.take(&Event::Asked { id: String::new(), ask, by: "bo".to_owned(), reason: "because".to_owned() })
    }

    pub(crate) fn drift(&mut self) -> &mut Self {
        self.take(&Event::Weight { reading: Reading::Differs { why: "50 %".to_owned() } })
    }

    #[track_caller]
    pub(crate) fn is(&mut self, name: &str) -> &mut Self {
        assert_eq!(self.rollout.name(), name, "{} {:?}", self.rollout.why(), self.alerts);
        self
    }

    #[track_caller]
    pub(crate) fn has_alert(&self, level: Level, text: &str) -> &Self {
        let found = self.alerts.iter().any(|(of, alert)| *of == level && alert.contains(text));
        assert!(found, "{level} {text}: {:?}", self.alerts);
        self
    }
}
