//! The process that judges a release.

use super::evidence::{Shape, Window};
use super::filed::Filed;
use super::metrics::Metrics;
use super::names::Names;
use super::presence::Presence;
use super::published::{DataState, Published};
use super::restarted::Restarted;
use super::shared::Verdicts;
use super::state::{Held, State};
use super::ticks::{first_verdict, line};
use super::timeline::Timeline;
use crate::clock::{Clock, Instant, Timestamp, timestamp};
use crate::config::{ConfigError, Problem};
use crate::rollback::{Judge, Policy, Tick, Verdict};
use crate::rollout::source::Source;
use crate::signals::{Baseline, BaselineRecorder};
use crate::sync::Arc;

/// Time at which a rollout begins: its first tick is the second before.
pub(super) const BEGIN: f64 = 1.0;

/// Judges one service: looks at a source, and publishes a verdict.
///
/// It belongs to one thread, which calls [`look`](Self::look) about once a second; a look blocks as long as the source does.
/// Others read through [`verdicts`](Self::verdicts).
///
/// # Examples
///
/// ```no_run
/// use backstop::rollback::{Decision, Policy};
/// use backstop::rollout::judging::Judging;
/// use backstop::rollout::source::Scrape;
/// use std::time::Duration;
///
/// let source = Scrape::new("checkout", "10.0.0.7:9090".parse()?).baseline("10.0.0.2:9090,10.0.0.3:9090".parse()?);
/// let mut judging = Judging::new("checkout", Policy::default(), source).state("/var/lib/backstop/checkout")?;
/// judging.begin("1.2.4");
/// while judging.look().decision() != Decision::Rollback {
///     std::thread::sleep(Duration::from_secs(1));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Judging {
    pub(super) service: String,
    policy: Policy,
    source: Box<dyn Source>,
    baseline: Option<Baseline>,
    /// Whether it lacks the hour in which the rollout began.
    lacks_hour: bool,
    pub(super) clock: Clock,
    pub(super) judge: Judge,
    /// The last verdict.
    pub(super) verdict: Verdict,
    pub(super) time: Timeline,
    /// Our time at a moment of the rollout, in seconds since it began.
    pub(super) origin: (Instant, f64),
    number: u64,
    pub(super) rollout: Option<String>,
    /// A decision from before a restart, which the ticks that were kept do not give.
    pub(super) held: Option<Held>,
    /// Whether our side began it: then it is judged from that moment, also without an instance.
    pub(super) is_begun: bool,
    pub(super) stage: Option<f64>,
    pub(super) presence: Presence,
    /// When the source had a tick last, and the seconds before it.
    pub(super) heard: (Instant, f64),
    pub(super) has_heard: bool,
    /// When a tick had requests.
    pub(super) measured: Instant,
    pub(super) restarted: Restarted,
    pub(super) state: Option<Filed>,
    pub(super) window: Window,
    shape: Shape,
    evidence_id: String,
    metrics: Metrics,
    pub(super) verdicts: Verdicts,
    pub(super) recorder: Option<BaselineRecorder>,
    /// Why the last look failed.
    failure: Option<String>,
}

impl Judging {
    /// Judges a service by a policy. Nothing happens before the first look.
    pub fn new(service: &str, policy: Policy, source: impl Source + 'static) -> Self {
        Self::with_clock(service, policy, source, Clock::system())
    }

    /// As [`new`](Self::new), with a clock that a test advances.
    pub fn with_clock(service: &str, policy: Policy, source: impl Source + 'static, clock: Clock) -> Self {
        let now = clock.now();
        let judge = Judge::new(policy.clone());
        let verdict = first_verdict(&judge);
        let metrics = Metrics::new(service, policy.triggers().map(str::to_owned));
        let first = Published::new(0, service, None, verdict.clone(), DataState::Restarted, "", now);
        let verdicts = Verdicts::new(service, clock.clone(), first, Names::default());
        let mut judging = Self {
            service: service.to_owned(),
            policy,
            source: Box::new(source),
            baseline: None,
            lacks_hour: false,
            clock,
            judge,
            verdict,
            time: Timeline::default(),
            origin: (now, BEGIN),
            number: 0,
            rollout: None,
            held: None,
            is_begun: false,
            stage: None,
            presence: Presence::default(),
            heard: (now, 0.0),
            has_heard: false,
            measured: now,
            restarted: Restarted::Since(None),
            state: None,
            window: Window::default(),
            shape: Shape::default(),
            evidence_id: String::new(),
            metrics,
            verdicts,
            recorder: None,
            failure: None,
        };
        judging.publish();
        judging
    }

    /// Uses a recorded baseline while there is no live one: that of the hour in which a rollout begins. Default: none.
    ///
    /// Call it before [`state`](Self::state).
    #[must_use]
    pub fn recorded(mut self, baseline: Baseline) -> Self {
        self.baseline = Some(baseline);
        self.judge = self.new_judge(timestamp().as_duration().as_secs_f64());
        self
    }

    /// Looks at the source, judges what is new, and publishes the verdict.
    ///
    /// A look that fails or finds nothing leaves the verdict as it is, with the source's sentence among the warnings. After 10
    /// seconds, or three of the usual gaps between ticks, it counts as a tick without measurements, so that the policy's rule
    /// for missing data runs.
    pub fn look(&mut self) -> Arc<Published> {
        self.follow_names();
        if let Some((by, reason)) = self.verdicts.asked() {
            self.override_by(&by, &reason);
        }
        let looked = self.source.look();
        let now = self.now();
        match looked {
            Ok(Some(tick)) => {
                self.failure = None;
                self.take(tick, now);
            }
            Ok(None) => {
                self.failure = None;
                self.miss(now);
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                self.miss(now);
            }
        }
        self.publish()
    }

    /// Share of the traffic in the canary from the next tick on, in percent. A tick that has its own keeps it.
    ///
    /// # Errors
    ///
    /// A share outside 0 to 100.
    pub fn set_stage(&mut self, percent: f64) -> Result<(), ConfigError> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(ConfigError::of(Problem::new("stage", percent, "a percentage from 0 to 100")));
        }
        self.stage = Some(percent);
        Ok(())
    }

    /// A person decides against a pause or a rollback, as [`Judge::override_by`] says. It is kept with the state.
    pub fn override_by(&mut self, by: &str, reason: &str) {
        self.follow_names();
        let (who, why) = (by.to_owned(), reason.to_owned());
        self.file(move |state| state.push_override(&who, &why));
        self.judge.override_by(by, reason);
        self.held = None;
        let now = self.now();
        self.observe_nothing(now);
        self.publish();
    }

    /// Begins a rollout of this name: nothing that was judged before counts any more. Evidence that was kept stays.
    pub fn begin(&mut self, rollout: &str) {
        self.verdicts.begin(Some(rollout));
        self.restarted = Restarted::No;
        self.begun();
    }

    /// Judges the rollout that was named as one that our side began.
    pub(super) fn begun(&mut self) {
        self.follow_names();
        self.is_begun = true;
        self.file(State::begun_by_us);
        self.publish();
    }

    /// Why the last look failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The verdicts, for readers on other threads.
    pub fn verdicts(&self) -> Verdicts {
        self.verdicts.clone()
    }

    /// Seconds since the rollout began.
    fn now(&self) -> f64 {
        let (at, seconds) = self.origin;
        seconds + self.clock.now().saturating_duration_since(at).as_secs_f64()
    }

    pub(super) fn new_judge(&mut self, begun: f64) -> Judge {
        #[expect(clippy::cast_possible_truncation, reason = "it is limited to what a time takes")]
        let at = Timestamp::from_second(begun.clamp(0.0, 1e11) as i64);
        let recorded = self.baseline.as_ref().zip(at.ok()).and_then(|(baseline, at)| baseline.at(at));
        self.lacks_hour = self.baseline.is_some() && recorded.is_none();
        match recorded {
            Some(recorded) => Judge::recorded(self.policy.clone(), &recorded),
            None => Judge::new(self.policy.clone()),
        }
    }

    /// Follows controllers that named a rollout.
    pub(super) fn follow_names(&mut self) {
        let names = self.verdicts.names();
        if names.number != self.number {
            self.number = names.number;
            self.begin_anew(names.current.clone());
        } else if names.current != self.rollout {
            self.rollout.clone_from(&names.current);
            let rollout = self.rollout.clone();
            self.file(move |state| state.name(rollout.as_deref()));
        }
    }

    fn begin_anew(&mut self, rollout: Option<String>) {
        let wall = timestamp().as_duration().as_secs_f64();
        (self.rollout, self.held, self.is_begun) = (rollout, None, false);
        self.judge = self.new_judge(wall);
        self.verdict = first_verdict(&self.judge);
        self.time = Timeline::default();
        self.origin = (self.clock.now(), BEGIN);
        self.presence = Presence::default();
        self.window = Window::default();
        self.shape = Shape::default();
        if self.number > 0 {
            self.restarted = Restarted::No;
        }
        let rollout = self.rollout.clone();
        if let Some(state) = &self.state {
            state.begin(move |state| state.begin(rollout.as_deref(), wall));
        }
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "backstop::rollout",
            service = %self.service,
            rollout = self.rollout.as_deref().unwrap_or_default(),
            "a rollout begins"
        );
    }

    pub(super) fn observe(&mut self, tick: Tick) {
        let line: Arc<str> = line(&tick).into();
        let kept = Arc::clone(&line);
        self.file(move |state| state.push(&kept));
        self.window.push(line);
        self.verdict = self.judge.observe(tick);
        self.hold();
        self.keep_evidence();
        let (decision, sentence) = (self.verdict.decision, self.verdict.sentence.clone());
        self.file(move |state| state.decided(decision, &sentence));
    }

    /// Changes the state on disk, if there is one.
    fn file(&self, work: impl FnOnce(&mut State) + Send + 'static) {
        if let Some(state) = &self.state {
            state.add(work);
        }
    }

    /// Holds a decision from before a restart.
    pub(super) fn hold(&mut self) {
        let Some(held) = &self.held else { return };
        let verdict = &mut self.verdict;
        if held.decision.code() > verdict.decision.code() {
            (verdict.decision, verdict.code) = (held.decision, held.decision.code());
            verdict.sentence.clone_from(&held.sentence);
        }
    }

    pub(super) fn keep_evidence(&mut self) {
        let shape = Shape::of(&self.verdict);
        if shape == self.shape {
            return;
        }
        for (trigger, state) in shape.changes(&self.shape) {
            self.metrics.count(trigger, state);
        }
        if shape.decision() != self.shape.decision() {
            self.log();
        }
        self.shape = shape;
        let evidence = self.window.freeze(&self.service, self.rollout.as_deref(), &self.verdict);
        evidence.id().clone_into(&mut self.evidence_id);
        self.verdicts.keep(evidence);
    }

    #[cfg(feature = "tracing")]
    fn log(&self) {
        let Verdict { decision, sentence, .. } = &self.verdict;
        let (service, decision) = (&self.service, decision.as_str());
        if self.verdict.decision == crate::rollback::Decision::Rollback {
            tracing::warn!(target: "backstop::rollout", %service, decision, "{sentence}");
        } else {
            tracing::info!(target: "backstop::rollout", %service, decision, "{sentence}");
        }
    }

    #[cfg(not(feature = "tracing"))]
    #[expect(clippy::unused_self, reason = "nothing to log to")]
    fn log(&self) {}

    pub(super) fn publish(&mut self) -> Arc<Published> {
        let mut verdict = self.verdict.clone();
        verdict.warnings.extend(self.failure.iter().cloned());
        verdict.warnings.extend(self.source.warnings().iter().cloned());
        if self.lacks_hour && verdict.n.baseline <= 0.0 {
            let sentence = "the recorded baseline lacks the hour of the week in which the rollout began: without a live one, the \
                            limits of the policy count";
            verdict.warnings.push(sentence.to_owned());
        }
        verdict.warnings.extend(self.state.iter().flat_map(Filed::warnings));
        let mut data = DataState::from(verdict.data);
        if self.restarted.hold(&mut verdict, self.time.last()) {
            data = DataState::Restarted;
        }
        let stale = self.clock.now().saturating_duration_since(self.measured).as_secs_f64();
        let metrics = self.metrics.publish(&verdict, stale);
        let rollout = self.rollout.clone();
        let now = self.clock.now();
        let mut published = Published::new(self.number, &self.service, rollout, verdict, data, &self.evidence_id, now);
        published.metrics = metrics;
        self.verdicts.publish(published)
    }
}

impl std::fmt::Debug for Judging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judging")
            .field("service", &self.service)
            .field("rollout", &self.rollout)
            .finish_non_exhaustive()
    }
}
