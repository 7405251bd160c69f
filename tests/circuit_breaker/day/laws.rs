//! The laws of a simulated day, checked after every step.
//!
//! 1. A healthy service rejects calls for a minute of the day at most.
//! 2. With traffic, the circuit is closed again within a bound after the end of an outage.
//! 3. A dependency that fails or hangs stays closed for as many calls as the rule needs, and those in flight.
//! 4. A round has no more probes than the setting says; a place comes back when its caller left after a moment, as
//!    many times as there are places, or on the inbound side, where its caller is a client.

use super::evidence::Watch;
use super::plan::{Plan, seconds};
use super::recipe::Evidence;
use super::report::Report;
use backstop::circuit_breaker::{Reason, State, Transition};
use backstop::clock::Instant;
use std::time::Duration;

/// How a call ended, as the simulation knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Good,
    Bad,
    /// Its caller left before an answer could be expected, or had one from the other call of a race.
    Early,
    /// Its caller has waited many times the usual time.
    Unanswered,
}

/// What the laws need to know of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    /// Changes of state until then.
    epoch: u64,
    is_probe: bool,
    in_outage: bool,
    /// Whether its head has come.
    flows: bool,
}

#[derive(Debug, Default)]
struct Round {
    begun: u32,
    waiting: u32,
    /// Probes whose places may be given out again: they flow, or their callers left early.
    again: u32,
    /// Probes that say nothing.
    neutral: u32,
}

pub(crate) struct Laws<'p> {
    plan: &'p Plan,
    state: State,
    epoch: u64,
    outage: Option<usize>,
    /// Calls in flight that began in an outage.
    in_flight: u64,
    /// Outcomes since the last call of an outage ended, and when that was; `None` when it is forgotten.
    aftermath: Option<(u64, Instant)>,
    /// The circuit opened although all was well.
    is_mistake: bool,
    wrongly_open: Duration,
    recovery: Option<(Instant, Instant)>,
    watch: Watch,
    round: Round,
    pub(crate) report: Report,
}

impl<'p> Laws<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            state: State::Closed,
            epoch: 0,
            outage: None,
            in_flight: 0,
            aftermath: None,
            is_mistake: false,
            wrongly_open: Duration::ZERO,
            recovery: None,
            watch: Watch::new(Instant::default()),
            round: Round::default(),
            report: Report { services: 1, ..Report::default() },
        }
    }

    fn broken(&mut self, now: Instant, law: &str) {
        let Plan { seed, recipe, shape, .. } = self.plan;
        if self.report.broken.iter().any(|known| known.contains(law)) {
            return;
        }
        let time = now.as_nanos() as f64 / 1e9;
        self.report.broken.push(format!("BACKSTOP_DAY_SEED={seed} at {time:.3} s: {law} ({recipe:?}, {shape:?})"));
    }

    pub(crate) fn outage(&self) -> Option<usize> {
        self.outage
    }

    pub(crate) fn outage_begins(&mut self, number: usize, now: Instant) {
        (self.outage, self.recovery) = (Some(number), None);
        self.watch = Watch::new(now);
        self.aftermath = Some((0, now));
    }

    pub(crate) fn outage_ends(&mut self, now: Instant) {
        self.outage = None;
        self.aftermath = Some((0, now));
        if self.state != State::Closed {
            self.recovers_from(now);
        }
    }

    fn recovers_from(&mut self, now: Instant) {
        let due = now.saturating_add(seconds(self.recovery_max()));
        self.recovery.get_or_insert((now, due));
    }

    /// Seconds after which the circuit is closed: as many rounds as chance needs to give one that closes, each of them
    /// an open time, a pause until the next call, and the limit of the round.
    fn recovery_max(&self) -> f64 {
        let plan = self.plan;
        let pause = 30.0 / plan.thin_rate;
        // The limit of a round is the time after which a call is unanswered, where that is longer than the setting.
        let limit = (12.0 * plan.median).max(60.0);
        let places = f64::from(plan.recipe.probes());
        let answered = (1.0 - plan.leaving) * (1.0 - plan.failing);
        let closes = (1.0 - (1.0 - answered).powf(places)) * (1.0 - plan.failing).powf(places);
        let rounds = 10.0 + 1e-6_f64.ln() / (1.0 - closes).max(1e-6).ln();
        plan.patience + rounds * (plan.recipe.open_time_max() + pause + limit)
    }

    /// A new process with a new breaker; its calls are gone with the old one.
    pub(crate) fn restarts(&mut self, now: Instant) {
        self.state = State::Closed;
        self.epoch += 1;
        (self.in_flight, self.is_mistake, self.recovery) = (0, false, None);
        self.watch = Watch::new(now);
        self.aftermath = self.outage.map(|_| (0, now));
    }

    /// The circuit has changed its state; open, it is so for `wait`.
    pub(crate) fn changes(&mut self, change: &Transition, wait: Option<Duration>) {
        let &Transition { from, to, at, reason, .. } = change;
        self.state = to;
        self.epoch += 1;
        self.round = Round::default();
        match to {
            State::Closed => {
                if let Some((since, _)) = self.recovery.take() {
                    self.report.recovers(at.saturating_duration_since(since));
                }
                self.watch = Watch::new(at);
                self.is_mistake = false;
                if self.outage.is_none() {
                    self.aftermath = None;
                }
            }
            State::Open => {
                self.report.openings += u64::from(from == State::Closed);
                if from == State::Closed && self.outage.is_none() {
                    if self.aftermath.is_some() {
                        self.recovers_from(at);
                    } else {
                        self.is_mistake = true;
                    }
                }
                if from == State::Closed && self.outage.is_some() {
                    self.report.outages_seen += 1;
                }
                if self.is_mistake {
                    self.is_open_wrongly(at, wait.unwrap_or_default(), reason);
                }
            }
            _ => {}
        }
    }

    fn is_open_wrongly(&mut self, at: Instant, wait: Duration, reason: Reason) {
        self.wrongly_open += wait;
        self.report.wrongly_open = self.wrongly_open;
        if self.wrongly_open > seconds(66.0) {
            self.broken(at, &format!("law 1: a healthy service is rejected for more than a minute, {reason:?}"));
        }
    }

    /// A call is let through.
    pub(crate) fn begins(&mut self, now: Instant) -> Begun {
        let is_probe = self.state == State::HalfOpen;
        let in_outage = self.outage.is_some();
        self.in_flight += u64::from(in_outage);
        if is_probe {
            let places = self.plan.recipe.probes();
            self.round.begun += 1;
            self.round.waiting += 1;
            let Round { begun, waiting, again, neutral } = self.round;
            self.report.probes = self.report.probes.max(begun - neutral);
            self.report.probes_at_once = self.report.probes_at_once.max(waiting);
            if begun > places + again.min(places) + neutral || waiting > places {
                self.broken(now, "law 4: too many probes");
            }
        }
        Begun { epoch: self.epoch, is_probe, in_outage, flows: false }
    }

    /// The head of a call's response has come, and its body flows.
    pub(crate) fn flows(&mut self, call: Begun) -> Begun {
        if call.is_probe && !call.flows && call.epoch == self.epoch {
            self.round.waiting -= 1;
            self.round.again += 1;
        }
        Begun { flows: true, ..call }
    }

    /// A call has ended, and what that changed is known.
    pub(crate) fn ends(&mut self, call: Begun, end: End, now: Instant) {
        self.in_flight -= u64::from(call.in_outage);
        if call.epoch != self.epoch {
            return;
        }
        let is_neutral = self.plan.shape.is_inbound() && matches!(end, End::Early | End::Unanswered);
        if call.is_probe {
            self.round.waiting -= u32::from(!call.flows);
            self.round.neutral += u32::from(is_neutral);
            self.round.again += u32::from(!call.flows && !is_neutral && end == End::Early);
        }
        if self.state != State::Closed || is_neutral {
            return;
        }
        match self.outage.map(|number| self.plan.outages[number].fault) {
            Some(fault) => {
                if self.watch.is_overdue(self.plan.recipe, fault, (end, call.in_outage), now) {
                    self.watch = Watch::new(now);
                    self.broken(now, &format!("law 3: closed although it {fault:?}"));
                }
            }
            None => self.forgets(call, end, now),
        }
    }

    /// Forgets an outage with the evidence of it.
    fn forgets(&mut self, call: Begun, end: End, now: Instant) {
        let Some((outcomes, since)) = &mut self.aftermath else { return };
        if call.in_outage || self.in_flight > 0 {
            (*outcomes, *since) = (0, now);
        } else if end == End::Good {
            *outcomes += 1;
        }
        let is_over = match self.plan.recipe.evidence() {
            Evidence::Last(calls) => *outcomes >= calls,
            Evidence::Seconds(length, _) => *outcomes > 0 && now.saturating_duration_since(*since) > seconds(length),
            Evidence::Row(_) => *outcomes > 0,
        };
        if is_over {
            self.aftermath = None;
        }
    }

    /// Another call is made.
    pub(crate) fn asks(&mut self, now: Instant) {
        self.report.calls += 1;
        if let Some((_, due)) = self.recovery
            && due.is_reached(now)
            && self.state != State::Closed
        {
            self.recovery = None;
            self.broken(now, "law 2: is not closed long after the end of an outage");
        }
    }

    pub(crate) fn finish(mut self) -> Report {
        self.report.unfinished += u64::from(self.recovery.is_some());
        self.report
    }
}
