//! The loop: takes events, writes them down, and has done what follows.

use super::acting::Acting;
use super::error::StartError;
use super::looking::{Command as LookCommand, Looking};
use super::settings::Settings;
use super::status::{Status, number_of, plan_of};
use crate::clock::{Clock, Instant, timestamp};
use crate::rollback::plan::{Level, Plan, TrafficKind};
use crate::rollout::actuator::{Command, actuator};
use crate::rollout::alerts::Alerts;
use crate::rollout::journal::{Journal, Record, replay};
use crate::rollout::requests::{self, Answer};
use crate::rollout::stages::{Action, Ask, End, Event, Job, Look, Rollout, State, Step};
use crate::rollout::state_dir::{Lock, StateDir, write};
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Longest time between two rounds.
const ROUND: Duration = Duration::from_millis(50);
/// Records that wait for a journal that cannot be written.
const BACKLOG: usize = 1_000;
/// Time without a look after which people are told.
const BLIND: Duration = Duration::from_secs(60);
/// Time for the last alerts.
const FAREWELL: Duration = Duration::from_secs(10);

/// End of a controller's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The rollout has ended.
    Done(End),
    /// The release has no traffic, and nothing here can see whether the service recovers.
    Unwatched,
    /// A person has to decide, and nothing here waits for it.
    Escalated,
}

/// Performs one rollout.
pub struct Controller {
    dir: StateDir,
    folder: PathBuf,
    rollout: Rollout,
    journal: Journal,
    backlog: VecDeque<Record>,
    /// Why the journal cannot be written.
    unwritten: Option<String>,
    /// The end of a promoting job, which waits for the journal.
    delayed: Option<Event>,
    /// Requests that were carried out.
    known: BTreeSet<String>,
    acting: Acting,
    looking: Option<Looking>,
    alerts: Alerts,
    last: Option<Look>,
    seen_at: Duration,
    is_blind: bool,
    clock: Clock,
    /// A moment, and the time of the rollout at it.
    base: (Instant, Duration),
    status: (Status, Instant),
    listener: Option<Listener>,
    _lock: Lock,
}

type Listener = Box<dyn FnMut(&Rollout) + Send>;

impl Controller {
    /// Begins a rollout, or goes on with one whose controller ended, in a folder that it holds the lock of.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn new(settings: Settings, lock: Lock) -> Result<Self, StartError> {
        let Settings { dir, folder, commands_in, looks, look_every, by, reason } = settings;
        let plan = plan_of(&folder).ok_or_else(|| StartError::Plan(folder.clone()))?;
        let path = folder.join("journal.jsonl");
        let records = Journal::read(&path)?;
        let (rollout, last) = replay(&plan, &records);
        let evidence = folder.join("evidence");
        let log = evidence.join("commands.log");
        let actuator = actuator(&plan, &commands_in, &log).ok_or(StartError::NoTraffic)?;
        let command = Command::new(&plan, &commands_in, &log);
        let acting = Acting::new(actuator, &plan, command, read_every(&plan)).map_err(StartError::Thread)?;
        let looking = looks.map(|looks| Looking::new(looks, &plan, &evidence, look_every, rollout.is_retreat()));
        let clock = Clock::system();
        let now = clock.now();
        let begun =
            records.first().map(|first| Duration::try_from(timestamp().duration_since(first.at)).unwrap_or_default());
        let known = records.iter().filter_map(|record| match &record.event {
            Event::Asked { id, .. } => Some(id.clone()),
            _ => None,
        });
        let elapsed = begun.unwrap_or_default().max(last);
        let mut controller = Self {
            known: known.collect(),
            alerts: Alerts::new(&plan, &number_of(&folder)),
            journal: Journal::new(path),
            backlog: VecDeque::new(),
            unwritten: None,
            delayed: None,
            acting,
            looking: looking.transpose().map_err(StartError::Thread)?,
            last: None,
            seen_at: elapsed,
            is_blind: false,
            base: (now, elapsed),
            status: (Status::default(), now),
            listener: None,
            clock,
            dir,
            folder,
            rollout,
            _lock: lock,
        };
        let event = if records.is_empty() { Event::Started { by, reason } } else { Event::Resumed };
        controller.take(event, None);
        match controller.unwritten.take() {
            Some(why) if records.is_empty() => Err(StartError::NotWritten(why)),
            why => {
                controller.unwritten = why;
                Ok(controller)
            }
        }
    }

    /// Carries out a command as if it had been requested.
    pub fn ask(&mut self, request: requests::Request) -> Answer {
        let requests::Request { id, ask, by, reason, .. } = request;
        let mut said = Answer { is_accepted: false, text: "nothing was done".to_owned() };
        self.take(Event::Asked { id, ask, by, reason }, Some(&mut said));
        said
    }

    /// Calls a function at every change of the state's name or of the weight, on the thread that runs.
    #[must_use]
    pub fn on_change(self, listener: impl FnMut(&Rollout) + Send + 'static) -> Self {
        Self { listener: Some(Box::new(listener)), ..self }
    }

    /// The rollout.
    pub const fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// Runs to the end of the rollout. Blocks the current thread.
    pub fn run(mut self) -> Ended {
        loop {
            self.round();
            if let Some(ended) = self.ended()
                && self.is_over()
            {
                return ended;
            }
            thread::park_timeout(ROUND);
        }
    }

    fn ended(&self) -> Option<Ended> {
        if let Some(end) = self.rollout.end() {
            return Some(Ended::Done(end));
        }
        if self.looking.is_some() || !self.rollout.is_retreat() {
            return None;
        }
        match self.rollout.state() {
            _ if self.rollout.name() == "escalated" => Some(Ended::Escalated),
            State::Recovering { .. } if self.rollout.expected().is_some() => Some(Ended::Unwatched),
            // It waits for a stable version that nothing looks at.
            State::RollingBack { .. } if self.rollout.expected().is_some() => Some(Ended::Escalated),
            _ => None,
        }
    }

    /// Waits for the last alerts, and says the last word. A command in this time may call the rollout back.
    fn is_over(&mut self) -> bool {
        let begun = self.clock.now();
        loop {
            self.requests();
            if self.ended().is_none() {
                return false;
            }
            if self.alerts.are_sent() || self.clock.now().saturating_duration_since(begun) >= FAREWELL {
                break;
            }
            thread::park_timeout(ROUND);
        }
        self.status.1 = self.clock.now();
        self.say();
        true
    }

    fn requests(&mut self) {
        let number = number_of(&self.folder);
        for requests::Request { id, ask, by, reason, rollout } in requests::waiting(&self.dir) {
            if self.known.contains(&id) {
                requests::remove(&self.dir, &id);
                continue;
            }
            if rollout != number && !rollout.is_empty() {
                let text = format!("the command was for rollout {rollout}, and this is {number}");
                requests::answer(&self.dir, &id, &Answer { is_accepted: false, text });
                continue;
            }
            let mut said = Answer { is_accepted: false, text: "nothing was done".to_owned() };
            self.take(Event::Asked { id: id.clone(), ask, by, reason }, Some(&mut said));
            requests::answer(&self.dir, &id, &said);
        }
    }

    fn round(&mut self) {
        self.requests();
        if let Some((weight, reading)) = self.acting.reading()
            && self.rollout.expected() == Some(weight)
        {
            self.take(Event::Weight { reading }, None);
        }
        for (key, outcome) in self.acting.ended() {
            self.take(Event::Finished { key, outcome }, None);
        }
        if let Some(look) = self.looking.as_ref().and_then(Looking::look) {
            (self.seen_at, self.is_blind) = (self.now(), false);
            self.last = Some(look.clone());
            self.take(Event::Looked(look), None);
        }
        self.notice_blindness();
        if let Some(event) = self.delayed.take() {
            self.take(event, None);
        }
        self.take(Event::Clock, None);
        self.acting.expect(self.rollout.expected());
        self.say();
    }

    fn now(&self) -> Duration {
        let (at, elapsed) = self.base;
        let now = elapsed.saturating_add(self.clock.now().saturating_duration_since(at));
        Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX)) // as the journal keeps it
    }

    /// Takes an event: writes down what changed, then begins what follows.
    fn take(&mut self, event: Event, mut said: Option<&mut Answer>) {
        let at = self.now();
        let mut next = self.rollout.clone();
        let actions = next.step(&event, at);
        if let Event::Asked { id, .. } = &event {
            self.known.insert(id.clone());
        } else if next == self.rollout && actions.is_empty() {
            return;
        }
        let record = Record::new(timestamp(), at, &event, &next, &actions);
        if let Err(record) = self.keep(record) {
            if is_promotion(&self.rollout, &next, &event, &actions) {
                if let (Some(said), Some(why)) = (said, &self.unwritten) {
                    *said = Answer { is_accepted: false, text: format!("not done, as it cannot be recorded: {why}") };
                }
                if matches!(event, Event::Finished { .. }) {
                    self.delayed = Some(event);
                }
                return;
            }
            if self.backlog.len() < BACKLOG {
                self.backlog.push_back(*record);
            }
        }
        let before = std::mem::replace(&mut self.rollout, next);
        if let Some(listener) = &mut self.listener
            && (before.name(), before.weight()) != (self.rollout.name(), self.rollout.weight())
        {
            listener(&self.rollout);
        }
        for action in actions {
            self.perform(action, &mut said);
        }
    }

    fn perform(&mut self, action: Action, said: &mut Option<&mut Answer>) {
        match action {
            Action::Do { key, job } => self.acting.begin(key, job),
            Action::Cancel => self.acting.cancel(),
            Action::Alert { level, text } => {
                log(&self.rollout, level, &text);
                self.alerts.push(level, text);
            }
            Action::Stage { weight } => {
                self.last = None;
                self.looking.iter().for_each(|looking| looking.send(LookCommand::Stage(weight)));
            }
            Action::Override { by, reason } => {
                self.looking.iter().for_each(|looking| looking.send(LookCommand::Override(by.clone(), reason.clone())));
            }
            Action::Answer { is_accepted, text } => {
                if let Some(said) = said {
                    **said = Answer { is_accepted, text };
                }
            }
        }
    }

    /// Appends a record after those that wait. Gives it back if that cannot be done.
    fn keep(&mut self, record: Record) -> Result<(), Box<Record>> {
        let mut written = Ok(());
        while written.is_ok()
            && let Some(first) = self.backlog.front()
        {
            written = self.journal.append(first.clone());
            if written.is_ok() {
                self.backlog.pop_front();
            }
        }
        match written.and_then(|()| self.journal.append(record.clone())) {
            Ok(()) => {
                if self.unwritten.take().is_some() {
                    self.alerts.push(Level::Info, "the journal is written again".to_owned());
                }
                Ok(())
            }
            Err(why) => {
                if self.unwritten.is_none() {
                    let text = format!(
                        "the journal cannot be written: nothing is promoted, and a rollback goes on unrecorded. {why}"
                    );
                    log(&self.rollout, Level::Page, &text);
                    self.alerts.push(Level::Page, text);
                }
                self.unwritten = Some(why);
                Err(Box::new(record))
            }
        }
    }

    fn notice_blindness(&mut self) {
        let Some(looking) = &self.looking else { return };
        if !self.is_blind && self.now().saturating_sub(self.seen_at) >= BLIND {
            self.is_blind = true;
            let why = looking.failure().unwrap_or_else(|| "the source does not answer".to_owned());
            self.alerts.push(Level::Notify, format!("nothing was seen of the release for a minute: {why}"));
        }
    }

    /// Replaces the status when it has changed, once a second.
    fn say(&mut self) {
        let now = self.clock.now();
        let number = number_of(&self.folder);
        let mut status = Status::of(&self.rollout, &number, self.now(), self.last.as_ref());
        status.troubles.extend(self.unwritten.iter().map(|why| format!("the journal cannot be written: {why}")));
        status.troubles.extend(self.looking.as_ref().and_then(Looking::failure));
        let failures = self.alerts.failures();
        if failures > 0 {
            status.troubles.push(format!("{failures} alerts did not arrive"));
        }
        let (last, due) = &self.status;
        let has_moved = (&last.state, last.weight, &last.why) != (&status.state, status.weight, &status.why);
        if has_moved || (*last != status && due.is_reached(now)) {
            let bytes = serde_json::to_vec(&status).unwrap_or_default();
            let _ = write(&self.dir.path().join("status.json"), &bytes);
            self.status = (status, now.saturating_add(Duration::from_secs(1)));
        }
    }
}

/// Returns whether an event must not take effect before it is on the disk: more traffic for the release, or its end.
fn is_promotion(before: &Rollout, after: &Rollout, event: &Event, actions: &[Action]) -> bool {
    let is_more = |action: &Action| match action {
        Action::Do { job: Job::Move { weight, .. }, .. } => *weight > before.weight(),
        Action::Do { job: Job::Run { step: Step::Promote(_), .. }, .. } => true,
        _ => false,
    };
    let is_start = matches!(event, Event::Started { .. });
    let is_approval = matches!(event, Event::Asked { ask: Ask::Approve, .. });
    is_start || is_approval || after.end() == Some(End::Promoted) || actions.iter().any(is_more)
}

/// Interval of reading the weight back: what costs requests of its own is read seldom.
fn read_every(plan: &Plan) -> Duration {
    let kind = plan.traffic.as_ref().map(|traffic| traffic.kind);
    let is_cheap = matches!(kind, Some(TrafficKind::Haproxy | TrafficKind::Nginx));
    Duration::from_secs(if is_cheap { 1 } else { 15 })
}

#[cfg(feature = "tracing")]
fn log(rollout: &Rollout, level: Level, text: &str) {
    let (service, artifact) = (&rollout.plan().service, &rollout.plan().artifact);
    if level == Level::Info {
        tracing::info!(target: "backstop::rollout", %service, %artifact, "{text}");
    } else {
        tracing::warn!(target: "backstop::rollout", %service, %artifact, "{text}");
    }
}

#[cfg(not(feature = "tracing"))]
fn log(_: &Rollout, _: Level, _: &str) {}
