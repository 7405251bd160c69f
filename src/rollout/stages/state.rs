//! State of a rollout.

use super::event::{Action, Event, Job, Ready, Step};
use crate::rollback::plan::{Level, Plan, Stage};
use crate::rollout::soak::Soak;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

// ```text
//  start ──▶ Checking ──ready──▶ Moving ──weight read back──▶ Soaking ──decided──▶ Moving, the next stage
//               │                                            │  ▲   └─last stage──▶ Promoting ──▶ Done (promoted)
//               │                          needs an approval ▼  │ verdict changed
//               │                                           Waiting ──approved──▶ Moving, the next stage
//               │
//  each state ──┴─ verdict rollback, rejection, deadline ──▶ RollingBack ──weight 0, steps done──▶ Recovering
//                                                                │                                    │
//                            superseded, aborted before traffic  └──▶ Done              recovered ──▶ Done (rolled back)
// ```
// Flags beside the state: `escalated` stops everything but a rollback until a person decides; `paused` stops further
// stages; `disabled` stops automatic decisions.

/// Place of a rollout between its start and its end.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// No traffic: waiting for ready instances and an approval, if the plan wants one.
    Checking,
    /// The weight of this stage is being set.
    Moving {
        /// Place of the stage in the plan.
        stage: usize,
    },
    /// The stage has its weight.
    Soaking {
        /// Place of the stage in the plan.
        stage: usize,
    },
    /// The stage is decided and lacks an approval.
    Waiting {
        /// Place of the stage in the plan.
        stage: usize,
    },
    /// The commands after the last stage.
    Promoting {
        /// Place of the next one.
        next: usize,
    },
    /// Traffic returns.
    RollingBack {
        /// The steps that are not done, in order.
        remaining: Vec<Step>,
    },
    /// Traffic is back; errors and latency have to be, too.
    Recovering {
        /// The soak of the previous version.
        #[doc(hidden)]
        soak: Recovery,
    },
    /// The end.
    Done(End),
}

/// A soak in a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery(pub(super) Soak);

/// End of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The release has all of the traffic.
    Promoted,
    /// The previous version has all of the traffic, and has recovered.
    RolledBack,
    /// Another release took its place.
    Superseded,
    /// It ended before it had traffic.
    Aborted,
}

impl End {
    /// Its name in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
            Self::Aborted => "aborted",
        }
    }
}

/// A job in progress.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Doing {
    pub(super) key: u64,
    pub(super) job: Job,
    /// Failures so far.
    pub(super) failures: usize,
    /// Why the last attempt failed.
    pub(super) failed: Option<String>,
    /// Time of the next attempt, between two.
    pub(super) due: Option<Duration>,
}

/// The decision to return.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decided {
    pub(super) at: Duration,
    pub(super) reason: String,
    pub(super) is_cut: bool,
    pub(super) end: End,
    /// Whether the plan's contact was called because recovery takes long.
    pub(super) is_called: bool,
    /// Commands that may have had their effect: one that break-glass interrupted, and all of them without a journal.
    pub(super) doubtful: Vec<Step>,
}

/// A maintenance window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) owner: String,
    pub(super) reason: String,
    pub(super) since: Duration,
    pub(super) until: Duration,
    /// Whether its owner was paged about a rollback that did not happen.
    pub(super) is_paged: bool,
}

/// A rollout: a function of events and time.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    pub(super) plan: Arc<Plan>,
    pub(super) state: State,
    /// Time at which the state was entered, moved on by pauses.
    pub(super) entered: Duration,
    /// The last weight that was set and read back.
    pub(super) weight: u32,
    pub(super) doing: Option<Doing>,
    pub(super) keys: u64,
    pub(super) decided: Option<Decided>,
    pub(super) escalated: Option<String>,
    /// Author, reason and time of a pause.
    pub(super) paused: Option<(String, String, Duration)>,
    pub(super) disabled: Option<Window>,
    /// Sentence of a verdict that pauses, and its time.
    pub(super) held: Option<(String, Duration)>,
    /// Whether the journal was lost: any of it may have been done.
    pub(super) is_lost: bool,
    pub(super) is_approved: bool,
    /// Starts of a controller in this state, each of which begins its time anew.
    pub(super) restarts: u32,
    pub(super) has_drifted: bool,
    /// Reports of this state, so that each is made once.
    pub(super) reported: Vec<&'static str>,
    /// Why the weight cannot be read.
    pub(super) unread: Option<String>,
    /// Difference between the weight in force and the one that was set, while nothing may correct it.
    pub(super) differs: Option<String>,
    /// Kinds of conditions that the last look did not meet.
    pub(super) missing: Vec<String>,
    pub(super) canary: Option<Ready>,
    pub(super) stable: Option<Ready>,
}

impl Rollout {
    /// A rollout before [`Event::Started`].
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            state: State::Checking,
            entered: Duration::ZERO,
            weight: 0,
            doing: None,
            keys: 0,
            decided: None,
            escalated: None,
            paused: None,
            disabled: None,
            held: None,
            is_lost: false,
            is_approved: false,
            restarts: 0,
            has_drifted: false,
            reported: Vec::new(),
            unread: None,
            differs: None,
            missing: Vec::new(),
            canary: None,
            stable: None,
        }
    }

    /// The state that these events lead to.
    pub fn replay<'a>(plan: Arc<Plan>, events: impl IntoIterator<Item = (&'a Event, Duration)>) -> Self {
        let mut rollout = Self::new(plan);
        for (event, at) in events {
            rollout.step(event, at);
        }
        rollout
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The state.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The end, if it is reached.
    pub const fn end(&self) -> Option<End> {
        if let State::Done(end) = self.state { Some(end) } else { None }
    }

    /// The last weight that was set and read back, in percent.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// The weight that should be in force; `None` while something moves it, and after the end.
    pub fn expected(&self) -> Option<u32> {
        (self.doing.is_none() && self.end().is_none()).then_some(self.weight)
    }

    /// Returns whether a difference from the weight is a person's to correct: in a maintenance window, and while one is waited
    /// for. A release that has lost its traffic stays without in both.
    pub(super) fn is_hands_off(&self) -> bool {
        let has_returned = match &self.state {
            State::RollingBack { remaining } => self.weight == 0 && !remaining.contains(&Step::Weight),
            state => matches!(state, State::Recovering { .. }),
        };
        self.escalated.is_some() && !has_returned || self.disabled.is_some() && !self.is_retreat()
    }

    /// Name of the state, as `status` shows it.
    pub fn name(&self) -> &'static str {
        match &self.state {
            State::Done(end) => end.as_str(),
            _ if self.escalated.is_some() => "escalated",
            State::RollingBack { .. } => "rolling_back",
            State::Recovering { .. } => "recovering",
            _ if self.disabled.is_some() => "disabled",
            _ if self.paused.is_some() || self.held.is_some() => "paused",
            State::Checking => "checking",
            State::Moving { .. } => "moving",
            State::Soaking { .. } => "soaking",
            State::Waiting { .. } => "waiting",
            State::Promoting { .. } => "promoting",
        }
    }

    /// The reason for the state in one sentence; empty if all is as planned.
    pub fn why(&self) -> String {
        if let Some(why) = &self.escalated {
            return format!("{why}; {} decides", self.contact());
        }
        let window = self.disabled.as_ref().map(|window| format!("disabled by {}: {}", window.owner, window.reason));
        let pause = self.paused.as_ref().map(|(by, reason, _)| format!("paused by {by}: {reason}"));
        let unread = self.unread.as_ref().map(|why| format!("the weight cannot be read: {why}"));
        let decided = self.decided.as_ref().map(|decided| decided.reason.clone());
        let held = self.held.clone().map(|(why, _)| why);
        decided.or(window).or(pause).or(held).or(unread).or_else(|| self.approval()).unwrap_or_default()
    }

    /// Returns whether the traffic returns or has returned.
    pub const fn is_retreat(&self) -> bool {
        self.decided.is_some()
    }

    /// The stage that the state belongs to.
    pub fn stage(&self) -> Option<(usize, &Stage)> {
        match self.state {
            State::Moving { stage } | State::Soaking { stage } | State::Waiting { stage } => {
                self.plan.stages.get(stage).map(|of| (stage, of))
            }
            _ => None,
        }
    }

    /// Time in the state, without the time in which a person or a verdict kept it from going on.
    pub fn elapsed(&self, at: Duration) -> Duration {
        self.stopped_since().unwrap_or(at).saturating_sub(self.entered)
    }

    fn stopped_since(&self) -> Option<Duration> {
        let paused = self.paused.as_ref().map(|(.., since)| *since);
        let disabled = self.disabled.as_ref().map(|window| window.since);
        let held = self.held.as_ref().map(|(_, since)| *since);
        [paused, disabled, held].into_iter().flatten().min()
    }

    /// Ends what kept it from going on; the clock of the state goes on once nothing else does.
    pub(super) fn let_go(&mut self, at: Duration, end: impl FnOnce(&mut Self)) {
        let since = self.stopped_since();
        end(self);
        if let Some(since) = since.filter(|_| self.stopped_since().is_none()) {
            self.entered = self.entered.saturating_add(at.saturating_sub(since));
        }
    }

    /// The person to call.
    pub(super) fn contact(&self) -> &str {
        self.plan.escalation.contacts.first().map_or(&*self.plan.owner, |contact| contact)
    }

    pub(super) fn enter(&mut self, state: State, at: Duration) {
        self.state = state;
        self.reported.clear();
        self.has_drifted = false;
        self.is_approved = false;
        self.restarts = 0;
        self.begin_anew(at);
    }

    /// Begins the time of the state at this moment.
    pub(super) fn begin_anew(&mut self, at: Duration) {
        self.entered = at;
        self.missing.clear();
        if let State::Recovering { soak } = &mut self.state {
            soak.0.begin_anew();
        }
        let pause = self.paused.as_mut().map(|(.., since)| since);
        let window = self.disabled.as_mut().map(|window| &mut window.since);
        let held = self.held.as_mut().map(|(_, since)| since);
        [pause, window, held].into_iter().flatten().for_each(|since| *since = at);
    }

    /// Begins a job. There is none in progress.
    pub(super) fn begin(&mut self, job: Job, out: &mut Vec<Action>) {
        self.keys += 1;
        self.doing = Some(Doing { key: self.keys, job: job.clone(), failures: 0, failed: None, due: None });
        out.push(Action::Do { key: self.keys, job });
    }

    pub(super) fn cancel(&mut self, out: &mut Vec<Action>) {
        if self.doing.take().is_some_and(|doing| doing.due.is_none()) {
            out.push(Action::Cancel);
        }
    }

    /// Reports something once in a state.
    pub(super) fn report(&mut self, about: &'static str, level: Level, text: String, out: &mut Vec<Action>) {
        if !self.reported.contains(&about) {
            self.reported.push(about);
            out.push(Action::Alert { level, text });
        }
    }

    /// Stops, and calls a person.
    pub(super) fn escalate(&mut self, why: String, out: &mut Vec<Action>) {
        if self.escalated.is_none() {
            let contact = self.contact();
            let text = format!(
                "{why}. {contact} decides: `resume` tries again, `rollback --break-glass` takes all traffic from the release"
            );
            out.push(Action::Alert { level: Level::Page, text });
            self.escalated = Some(why);
        }
    }
}
