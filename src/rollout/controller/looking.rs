//! The thread that looks: a source may block for as long as it likes.

use crate::clock::{Clock, Instant};
use crate::rollback::plan::{Plan, Recovery};
use crate::rollback::{Arm, Decision, Tick, Verdict};
use crate::rollout::filing::Filing;
use crate::rollout::redact::{clean, clean_all};
use crate::rollout::soak::Finding;
use crate::rollout::source::SourceError;
use crate::rollout::stages::{Look, Ready};
use crate::rollout::state_dir::read;
use crate::rollout::verify::{Health, Now};
use crate::rollout::watched::Watched;
use crate::sync::{Arc, Mutex};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::thread::{self, Thread};
use std::time::Duration;

/// Looks of the previous version that count as the time before.
const BEFORE: u32 = 600;

/// A verdict, and the tick behind it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The tick; `None` if the source had nothing new, or did not answer.
    pub tick: Option<Tick>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why the source was not read, if it was not.
    pub failure: Option<String>,
}

/// Looks at both arms, and judges them.
pub trait Looks: Send {
    /// Everything since the look before, judged.
    ///
    /// # Errors
    ///
    /// A source that does not answer, where nothing is known of the verdict either.
    fn look(&mut self) -> Result<Seen, SourceError>;

    /// A stage of this weight begins.
    fn set_stage(&mut self, weight: u32);

    /// A person decides against the verdict.
    fn override_by(&mut self, by: &str, reason: &str);
}

#[derive(Default)]
struct Outbox {
    look: Option<Look>,
    failure: Option<String>,
    /// Whether anything was measured since the controller asked.
    has_measured: bool,
    commands: Vec<Command>,
    is_over: bool,
}

pub(super) enum Command {
    Stage(u32),
    Override(String, String),
}

/// Returns whether a command makes a look void: it counted the samples of the stage before, or has a verdict that was
/// overridden. Who accepted a pause did not accept a rollback.
fn is_void(look: &Look, command: &Command) -> bool {
    matches!(command, Command::Stage(_)) || look.decision != Decision::Rollback
}

/// Looks once an interval.
pub(super) struct Looking {
    outbox: Arc<Mutex<Outbox>>,
    thread: Thread,
}

struct Worker {
    outbox: Arc<Mutex<Outbox>>,
    looks: Box<dyn Looks>,
    every: Duration,
    evidence: PathBuf,
    filing: Filing,
    recovery: Recovery,
    /// A moment, and the time of the rollout at it.
    began: (Instant, Duration),
    clock: Clock,
    /// Weights of the plan's stages, and how long each has to be seen.
    stages: Vec<(u32, Duration)>,
    weight: u32,
    watched: Watched,
    /// Requests of the stage: to the release, and to the previous version.
    samples: f64,
    others: f64,
    before: Health,
    before_looks: u32,
    recent: Now,
    /// Instances at the last tick.
    last: (Option<Ready>, Option<Ready>),
    controller: Thread,
}

impl Looking {
    /// Nothing of a rollback counts as the time before the rollout.
    pub(super) fn new(
        looks: Box<dyn Looks>,
        plan: &Plan,
        (evidence, filing): (&Path, &Filing),
        began: (Instant, Duration),
        every: Duration,
        is_retreat: bool,
    ) -> std::io::Result<Self> {
        let outbox: Arc<Mutex<Outbox>> = Arc::default();
        let known: Option<Health> = read(&evidence.join("before.json"));
        let worker = Worker {
            outbox: Arc::clone(&outbox),
            looks,
            every,
            evidence: evidence.to_owned(),
            filing: filing.clone(),
            began,
            clock: Clock::system(),
            recovery: plan.recovery.clone(),
            stages: plan.stages.iter().map(|stage| (stage.weight, stage.min)).collect(),
            weight: 0,
            watched: Watched::new(plan.recovery.lasts, Duration::ZERO),
            samples: 0.0,
            others: 0.0,
            before_looks: if known.is_some() || is_retreat { BEFORE } else { 0 },
            before: known.unwrap_or_default(),
            recent: Now::default(),
            last: (None, None),
            controller: thread::current(),
        };
        let started = thread::Builder::new().name("backstop-looking".to_owned()).spawn(move || worker.run())?;
        Ok(Self { outbox, thread: started.thread().clone() })
    }

    pub(super) fn send(&self, command: Command) {
        let mut outbox = self.outbox.lock();
        outbox.look.take_if(|look| is_void(look, &command));
        outbox.commands.push(command);
        drop(outbox);
        self.thread.unpark();
    }

    pub(super) fn look(&self) -> Option<Look> {
        self.outbox.lock().look.take()
    }

    /// Whether anything was measured since the last question.
    pub(super) fn has_measured(&self) -> bool {
        std::mem::take(&mut self.outbox.lock().has_measured)
    }

    /// Why the last look failed.
    pub(super) fn failure(&self) -> Option<String> {
        self.outbox.lock().failure.clone()
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.outbox.lock().is_over = true;
        self.thread.unpark();
    }
}

impl Worker {
    fn run(mut self) {
        let mut next = self.clock.now();
        loop {
            let commands = {
                let mut outbox = self.outbox.lock();
                if outbox.is_over {
                    return;
                }
                std::mem::take(&mut outbox.commands)
            };
            for command in commands {
                self.take(command);
            }
            if !next.is_reached(self.clock.now()) {
                thread::park_timeout(next.saturating_duration_since(self.clock.now()));
                continue;
            }
            next = self.clock.now().saturating_add(self.every);
            let look = self.looks.look().map(|seen| (self.see(&seen), seen.tick.is_some(), seen.failure));
            let mut outbox = self.outbox.lock();
            match look {
                Err(error) => outbox.failure = Some(clean(&error.to_string())),
                Ok((look, has_measured, failure)) => {
                    outbox.failure = failure.map(|why| clean(&why));
                    outbox.has_measured |= has_measured;
                    if let Some(look) =
                        look.filter(|look| !outbox.commands.iter().any(|command| is_void(look, command)))
                    {
                        outbox.look = Some(look);
                    }
                }
            }
            drop(outbox);
            self.controller.unpark();
        }
    }

    /// Seconds since the rollout began.
    fn elapsed(&self) -> f64 {
        let (at, elapsed) = self.began;
        elapsed.saturating_add(self.clock.now().saturating_duration_since(at)).as_secs_f64()
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Stage(weight) => {
                (self.weight, self.samples, self.others) = (weight, 0.0, 0.0);
                let min = self.stages.iter().find(|(of, _)| *of == weight).map(|(_, min)| *min);
                self.watched = Watched::new(min.unwrap_or(self.recovery.lasts), self.now());
                self.recent.clear();
                self.looks.set_stage(weight);
            }
            Command::Override(by, reason) => self.looks.override_by(&by, &reason),
        }
    }

    fn now(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.began.0)
    }

    /// Nothing new says nothing new: a verdict that goes on is no reason to go on then.
    fn see(&mut self, Seen { tick, verdict, .. }: &Seen) -> Option<Look> {
        let elapsed = self.elapsed();
        let mut kept = json!(verdict);
        kept["elapsed"] = json!(elapsed);
        clean_all(&mut kept);
        self.filing.append(self.evidence.join("verdicts.jsonl"), &kept);
        let (decision, sentence) = (verdict.decision, verdict.sentence.clone());
        let Some(tick) = tick else {
            // Before the first stage, a measurement is what lets the release have traffic at all.
            let says_nothing = decision == Decision::Continue || decision == Decision::Collecting && self.weight == 0;
            if says_nothing {
                return None;
            }
            self.watched.look(self.now(), false);
            let recovery = Finding::Waiting("data: nothing is measured".to_owned());
            let (canary, stable) = self.last;
            let (samples, others, watched) = (self.samples, self.others, self.watched.total());
            return Some(Look { decision, sentence, canary, stable, samples, others, watched, recovery });
        };
        let (stage, canary, baseline) = (self.weight, &tick.canary, &tick.baseline);
        let kept = json!({ "at": tick.at, "elapsed": elapsed, "stage": stage, "canary": canary, "baseline": baseline });
        self.filing.append(self.evidence.join("ticks.jsonl"), &kept);
        self.samples += Health::of(canary).requests;
        let stable = baseline.as_ref().and_then(ready);
        self.last = (ready(canary), stable);
        let health = baseline.as_ref().map(Health::of).unwrap_or_default();
        self.others += health.requests;
        let first = self.stages.first().map_or(0, |(weight, _)| *weight);
        let is_before = self.weight <= first && decision != Decision::Rollback;
        if is_before && self.before_looks < BEFORE && health.requests > 0.0 {
            self.before.add(&health);
            self.before_looks += 1;
            let bytes = serde_json::to_vec(&self.before).unwrap_or_default();
            self.filing.replace(self.evidence.join("before.json"), bytes);
        }
        self.recent.push(health);
        let is_seen = self.watched.look(self.now(), decision == Decision::Continue);
        let recovery = match self.weight {
            0 if !is_seen => Finding::Waiting("data: for some time nothing was measured".to_owned()),
            0 => self.recent.recovery(&self.recovery, &self.before, stable),
            weight => Finding::Waiting(format!("traffic: the release still has {weight} %")),
        };
        let (samples, others, watched) = (self.samples, self.others, self.watched.total());
        Some(Look { decision, sentence, canary: ready(canary), stable, samples, others, watched, recovery })
    }
}

fn ready(arm: &Arm) -> Option<Ready> {
    let instances = arm.instances?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is limited, and ticks are not negative"
    )]
    let whole = |count: f64| count.clamp(0.0, 1e9) as u32;
    let total = whole(instances.total);
    Some(Ready { ready: total.saturating_sub(whole(instances.not_ready + instances.not_started)), total })
}
