//! The judge of one canary: what both arms export, a tick and a verdict each second.

use crate::console::Tone;
use crate::load::Arm;
use crate::report::share;
use crate::story::Story;
use backstop::BoxError;
use backstop::rollback::{Decision, Judge, Policy, TriggerReport, TriggerState, Verdict};
use backstop::rollout::source::{Scrape, Source};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two looks.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// The shop's policy: the default one, with a shorter memory for the demonstration and two changes of the team's own.
pub(crate) const POLICY: &str = include_str!("policy.toml");

/// The trigger that does not act in that policy.
const REPORTED: &str = "latency";

/// A verdict, at a time of the act.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) at: Duration,
    pub(crate) verdict: Verdict,
}

/// A judge at work, on a thread of its own. Dropping it stops the judge.
pub(crate) struct Judging {
    pub(crate) canary: Arm,
    looks: watch::Receiver<Option<Look>>,
    history: Arc<Mutex<Vec<Look>>>,
}

/// Source of the ticks: `/metrics` of both arms.
pub(crate) fn source(stable: &str, canary: &str) -> Result<Scrape, BoxError> {
    Ok(Scrape::new("shop", canary.parse()?).baseline(stable.parse()?))
}

impl Judging {
    /// A judge at the beginning of a rollout.
    pub(crate) fn start(
        story: &Arc<Story>,
        canary: Arm,
        stable: &str,
        canary_url: &str,
        policy: Policy,
    ) -> Result<Self, BoxError> {
        let mut source = source(stable, canary_url)?;
        let (sender, looks) = watch::channel(None);
        let history = Arc::new(Mutex::new(Vec::new()));
        let (kept, story) = (Arc::clone(&history), Arc::clone(story));
        std::thread::spawn(move || {
            let mut judge = Judge::new(policy);
            let mut said = Said::default();
            while !sender.is_closed() {
                let begun = Instant::now();
                match source.look() {
                    Ok(Some(tick)) => {
                        let look = Look { at: story.now(), verdict: judge.observe(tick) };
                        said.tell(&story, canary, &look.verdict);
                        kept.lock().expect("no panic while locked").push(look.clone());
                        sender.send_replace(Some(look));
                    }
                    Ok(None) => {}
                    Err(error) => story.say("judge", Tone::Plain, &error.to_string()),
                }
                std::thread::sleep(EVERY.saturating_sub(begun.elapsed()));
            }
        });
        Ok(Self { canary, looks, history })
    }

    /// The first verdict from now on that is as wanted.
    pub(crate) async fn until(&self, is_wanted: impl Fn(&Verdict) -> bool) -> Result<Look, BoxError> {
        let mut looks = self.looks.clone();
        looks.mark_unchanged();
        loop {
            looks.changed().await?;
            let look = looks.borrow_and_update().clone();
            if let Some(look) = look.filter(|look| is_wanted(&look.verdict)) {
                return Ok(look);
            }
        }
    }

    pub(crate) fn history(&self) -> Vec<Look> {
        self.history.lock().expect("no panic while locked").clone()
    }
}

/// The last decision that was printed, and the triggers that had more than nothing to say.
#[derive(Default)]
struct Said {
    decision: Option<Decision>,
    states: Vec<TriggerState>,
}

impl Said {
    fn tell(&mut self, story: &Story, canary: Arm, verdict: &Verdict) {
        let is_sure = |state: &TriggerState| matches!(state, TriggerState::Borderline | TriggerState::Fired);
        let states: Vec<_> = verdict.triggers.iter().map(|trigger| trigger.state).collect();
        let is_new = |at: usize| is_sure(&states[at]) && self.states.get(at) != Some(&states[at]);
        let fired: Vec<_> = (0..states.len()).filter(|at| is_new(*at)).map(|at| &verdict.triggers[at]).collect();
        let (reported, acting): (Vec<_>, Vec<_>) = fired.into_iter().partition(|trigger| trigger.name == REPORTED);
        if self.decision != Some(verdict.decision) {
            let decision = verdict.decision.as_str().to_uppercase();
            let tone = match verdict.decision {
                Decision::Continue => Tone::Good,
                Decision::Collecting => Tone::Plain,
                Decision::Pause | Decision::Rollback => Tone::Bad,
            };
            let sentence = format!("{}: {decision}: {}", canary.as_str(), verdict.sentence);
            let evidence = acting.iter().map(|trigger| evidence(trigger));
            let text = std::iter::once(sentence).chain(evidence).collect::<Vec<_>>().join("\n");
            match verdict.decision {
                Decision::Collecting => story.say("judge", tone, &text),
                _ => _ = story.mark("judge", tone, &format!("{}: {decision}", canary.as_str()), &text),
            }
        }
        for trigger in reported {
            story.say("judge", Tone::Plain, &format!("{}: only reported: {}", canary.as_str(), trigger.sentence));
        }
        (self.decision, self.states) = (Some(verdict.decision), states);
    }
}

/// The numbers behind a trigger.
fn evidence(trigger: &TriggerReport) -> String {
    let value = |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), share);
    let (canary, baseline) = (value(trigger.canary), value(trigger.baseline));
    let values = format!("trigger \"{}\": canary {canary}, baseline {baseline}", trigger.name);
    match trigger.log_e.zip(trigger.log_threshold) {
        Some((log_e, acts)) => {
            format!("{values}, {:.0} requests, evidence e^{log_e:.1} where e^{acts:.1} acts", trigger.samples)
        }
        None => values,
    }
}
