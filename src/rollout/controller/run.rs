//! The loop: takes events, writes them down, and has done what follows.

use super::acting::Acting;
use super::ended::Ended;
use super::error::StartError;
use super::looking::{Command as LookCommand, Looking};
use super::recording::{Append, Recording, WITHIN};
use super::settings::Settings;
use super::status::{Status, plan_of};
use crate::clock::{Clock, Instant, timestamp};
use crate::rollback::plan::{Level, Plan, TrafficKind};
use crate::rollout::actuator::{Command, actuator};
use crate::rollout::alerts::{Alerts, Deliveries, unset};
use crate::rollout::filing::Filing;
use crate::rollout::journal::{Journal, Record, replay};
use crate::rollout::requests::{self, Answer, Request};
use crate::rollout::stages::{Action, Ask, Event, Job, Look, Rollout, Step};
use crate::rollout::state_dir::{Lock, StateDir};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Longest time between two rounds.
pub(super) const ROUND: Duration = Duration::from_millis(50);
/// Longest wait for the record of a start, without which nothing is begun.
const START: Duration = Duration::from_secs(10);
/// Time without a look after which people are told.
const BLIND: Duration = Duration::from_secs(60);

/// Performs one rollout.
pub struct Controller {
    pub(super) dir: StateDir,
    pub(super) folder: PathBuf,
    pub(super) rollout: Rollout,
    pub(super) recording: Recording,
    /// Whether the journal was not written at the last look.
    is_unwritten: bool,
    /// Actions that give the release more traffic, with the records that they wait for.
    pub(super) held: VecDeque<(u64, Action)>,
    pub(super) filing: Filing,
    /// Requests that were carried out or answered.
    known: BTreeSet<String>,
    /// Requests that wait, as the last look at their folder found them; `None` while one is made.
    requests: Arc<Mutex<Option<Vec<Request>>>>,
    pub(super) acting: Acting,
    pub(super) looking: Option<Looking>,
    pub(super) alerts: Alerts,
    pub(super) last: Option<Look>,
    seen_at: Duration,
    is_blind: bool,
    pub(super) clock: Clock,
    /// A moment, and the time of the rollout at it.
    base: (Instant, Duration),
    pub(super) status: (Status, Instant),
    listener: Option<Listener>,
    /// Troubles from the start to the end.
    pub(super) troubles: Vec<String>,
    pub(super) on_trouble: Option<TroubleListener>,
    /// Whether nothing that still waits will be done.
    pub(super) is_leaving: bool,
    /// Whether another process has the place of this one, and the look at that.
    pub(super) is_displaced: Arc<AtomicBool>,
    has_other: Arc<dyn Fn() -> bool + Send + Sync>,
    _lock: Lock,
}

type Listener = Box<dyn FnMut(&Rollout) + Send>;
type TroubleListener = Box<dyn FnMut(&str) + Send>;

impl Controller {
    /// Begins a rollout, or goes on with one whose controller ended, in a folder that it holds the lock of.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn new(settings: Settings, lock: Lock) -> Result<Self, StartError> {
        let journal = Journal::new(settings.folder.join("journal.jsonl"));
        Self::with(settings, lock, Box::new(move |record| journal.append(record)))
    }

    /// With the function that appends to the journal.
    pub(super) fn with(settings: Settings, lock: Lock, append: Append) -> Result<Self, StartError> {
        let plan = plan_of(&settings.folder).ok_or_else(|| StartError::Plan(settings.folder.clone()))?;
        let records = Journal::read(&settings.folder.join("journal.jsonl"))?;
        let first = match &records[..] {
            [] => Event::Started { by: settings.by.clone(), reason: settings.reason.clone() },
            _ => Event::Resumed,
        };
        Self::build(settings, lock, &plan, &records, first, append)
    }

    /// `records` are those of the journal, and `first` is the first event after them.
    pub(super) fn build(
        settings: Settings,
        lock: Lock,
        plan: &Arc<Plan>,
        records: &[Record],
        first: Event,
        append: Append,
    ) -> Result<Self, StartError> {
        let Settings { dir, folder, commands_in, looks, look_every, .. } = settings;
        let (rollout, last) = replay(plan, records);
        let evidence = folder.join("evidence");
        let log = evidence.join("commands.log");
        let actuator = actuator(plan, &commands_in, &log).ok_or(StartError::NoTraffic)?;
        let command = Command::new(plan, &commands_in, &log);
        let acting = Acting::new(actuator, plan, command, read_every(plan)).map_err(StartError::Thread)?;
        let filing = Filing::new().map_err(StartError::Thread)?;
        let deliveries = Deliveries { path: evidence.join("alerts.jsonl"), filing: filing.clone() };
        let clock = Clock::system();
        let now = clock.now();
        let begun =
            records.first().map(|first| Duration::try_from(timestamp().duration_since(first.at)).unwrap_or_default());
        let known = records.iter().filter_map(|record| match &record.event {
            Event::Asked { id, .. } => Some(id.clone()),
            _ => None,
        });
        let base = (now, begun.unwrap_or_default().max(last));
        let is_retreat = rollout.is_retreat();
        let looking = looks.map(|looks| Looking::new(looks, plan, (&evidence, &filing), base, look_every, is_retreat));
        let mut controller = Self {
            known: known.collect(),
            alerts: Alerts::new(plan, &StateDir::number(&folder), &deliveries),
            recording: Recording::new(append, clock.clone()).map_err(StartError::Thread)?,
            is_unwritten: false,
            held: VecDeque::new(),
            filing,
            requests: Arc::new(Mutex::new(Some(Vec::new()))),
            acting,
            looking: looking.transpose().map_err(StartError::Thread)?,
            last: None,
            seen_at: base.1,
            is_blind: false,
            base,
            status: (Status::default(), now),
            listener: None,
            troubles: unset(plan),
            on_trouble: None,
            is_leaving: false,
            clock,
            dir,
            folder,
            rollout,
            is_displaced: Arc::default(),
            has_other: Arc::new(lock.watch()),
            _lock: lock,
        };
        let is_start = matches!(first, Event::Started { .. });
        if is_start {
            requests::forget_bare(&controller.dir);
        }
        controller.take(first);
        if is_start && !controller.recording.wait(1, START) {
            let why = controller.recording.failure();
            return Err(StartError::NotWritten(why.unwrap_or_else(|| "the disk does not answer".to_owned())));
        }
        Ok(controller)
    }

    /// Carries out a command as if it had been requested.
    pub fn ask(&mut self, request: Request) -> Answer {
        let checked = request.check();
        let Request { id, ask, by, reason, .. } = request;
        self.known.insert(id.clone());
        if let Err(problem) = checked {
            return Answer { is_accepted: false, text: problem.to_string() };
        }
        if let (Ask::Approve | Ask::Resume, Some(why)) = (&ask, self.recording.failure()) {
            let text = format!("not done, as it cannot be recorded: {why}");
            return Answer { is_accepted: false, text };
        }
        let said = self.take(Event::Asked { id, ask, by, reason });
        said.unwrap_or_else(|| Answer { is_accepted: false, text: "nothing was done".to_owned() })
    }

    /// Calls a function at every change of the state's name or of the weight, on the thread that runs.
    #[must_use]
    pub fn on_change(self, listener: impl FnMut(&Rollout) + Send + 'static) -> Self {
        Self { listener: Some(Box::new(listener)), ..self }
    }

    /// Calls a function with each new trouble of the controller itself, on the thread that runs: a journal that cannot be
    /// written, a source that does not answer, alerts that do not arrive.
    #[must_use]
    pub fn on_trouble(self, listener: impl FnMut(&str) + Send + 'static) -> Self {
        Self { on_trouble: Some(Box::new(listener)), ..self }
    }

    /// The rollout.
    pub const fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// Runs to the end of the rollout, and releases the lock. Blocks the current thread.
    pub fn run(mut self) -> Ended {
        self.work()
    }

    /// As [`run`](Self::run), and keeps the lock: for its [`rollout`](Self::rollout) at the end.
    pub fn work(&mut self) -> Ended {
        loop {
            self.round();
            if self.is_displaced.load(Ordering::Relaxed) {
                return self.leave();
            }
            if let Some(ended) = self.ended()
                && self.is_over()
            {
                return ended;
            }
            thread::park_timeout(ROUND);
        }
    }

    pub(super) fn requests(&mut self) {
        let number = StateDir::number(&self.folder);
        let Some(waiting) = self.requests.lock().take() else { return };
        for request in waiting {
            let (dir, id) = (self.dir.clone(), request.id.clone());
            if self.known.contains(&id) {
                self.filing.add(move || requests::remove(&dir, &id));
                continue;
            }
            let said = if request.rollout == number || request.rollout.is_empty() {
                self.ask(request)
            } else {
                self.known.insert(id.clone());
                let text = format!("the command was for rollout {}, and this is {number}", request.rollout);
                Answer { is_accepted: false, text }
            };
            self.filing.add(move || requests::answer(&dir, &id, &said));
        }
        let (dir, found, controller) = (self.dir.clone(), Arc::clone(&self.requests), thread::current());
        let (has_other, is_displaced) = (Arc::clone(&self.has_other), Arc::clone(&self.is_displaced));
        let look = move || {
            is_displaced.fetch_or(has_other(), Ordering::Relaxed);
            let waiting = requests::waiting(&dir);
            let is_any = !waiting.is_empty();
            *found.lock() = Some(waiting);
            if is_any {
                controller.unpark();
            }
        };
        if !self.filing.add(look) {
            *self.requests.lock() = Some(Vec::new());
        }
    }

    fn round(&mut self) {
        self.requests();
        if let Some((weight, reading)) = self.acting.reading()
            && self.rollout.expected() == Some(weight)
        {
            self.take(Event::Weight { reading });
        }
        for (key, outcome) in self.acting.ended() {
            self.take(Event::Finished { key, outcome });
        }
        if let Some(look) = self.looking.as_ref().and_then(Looking::look) {
            self.last = Some(look.clone());
            self.take(Event::Looked(look));
        }
        if self.looking.as_ref().is_some_and(Looking::has_measured) {
            (self.seen_at, self.is_blind) = (self.now(), false);
        }
        self.notice_blindness();
        self.take(Event::Clock);
        self.release();
        self.notice_journal();
        self.acting.expect(self.rollout.expected());
        self.say();
    }

    pub(super) fn now(&self) -> Duration {
        let (at, elapsed) = self.base;
        let now = elapsed.saturating_add(self.clock.now().saturating_duration_since(at));
        Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX)) // as the journal keeps it
    }

    /// Takes an event: writes down what changed, then begins what follows. Returns the answer to a command.
    pub(super) fn take(&mut self, event: Event) -> Option<Answer> {
        let (at, event) = (self.now(), event.redacted());
        let mut next = self.rollout.clone();
        let actions = next.step(&event, at);
        if !matches!(event, Event::Asked { .. }) && next == self.rollout && actions.is_empty() {
            return None;
        }
        let number = self.recording.add(Record::new(timestamp(), at, &event, &next, &actions));
        let is_written = self.recording.wait(number, WITHIN);
        let before = std::mem::replace(&mut self.rollout, next);
        if let Some(listener) = &mut self.listener
            && (before.name(), before.weight()) != (self.rollout.name(), self.rollout.weight())
        {
            listener(&self.rollout);
        }
        let is_start = matches!(event, Event::Started { .. });
        let mut said = None;
        for action in actions {
            if !is_written && (is_start || is_more(&action, before.weight())) {
                self.held.push_back((number, action));
            } else if let Action::Answer { is_accepted, text } = action {
                said = Some(Answer { is_accepted, text });
            } else {
                self.perform(action);
            }
        }
        said
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Do { key, job } => self.acting.begin(key, job),
            Action::Cancel => {
                self.held.clear();
                self.acting.cancel();
            }
            Action::Alert { level, text } => self.alert(level, text),
            Action::Stage { weight } => {
                self.last = None;
                self.looking.iter().for_each(|looking| looking.send(LookCommand::Stage(weight)));
            }
            Action::Override { by, reason } => {
                self.looking.iter().for_each(|looking| looking.send(LookCommand::Override(by.clone(), reason.clone())));
            }
            Action::Answer { .. } => {}
        }
    }

    /// Begins what has waited for its record. A person who was called meanwhile decides about it.
    fn release(&mut self) {
        while self.held.front().is_some_and(|(number, _)| self.recording.is_written(*number)) {
            let Some((_, action)) = self.held.pop_front() else { return };
            if self.rollout.name() != "escalated" {
                self.perform(action);
            }
        }
    }

    pub(super) fn notice_journal(&mut self) {
        match self.recording.failure() {
            Some(why) if !self.is_unwritten => {
                let text = format!(
                    "the journal cannot be written: nothing is promoted, and a rollback goes on unrecorded. {why}"
                );
                self.is_unwritten = true;
                self.alert(Level::Page, text);
            }
            None if self.is_unwritten && self.recording.is_done() => {
                self.is_unwritten = false;
                self.alert(Level::Info, "the journal is written again".to_owned());
            }
            _ => {}
        }
    }

    pub(super) fn alert(&self, level: Level, text: String) {
        log(&self.rollout, level, &text);
        self.alerts.push(level, text);
    }

    fn notice_blindness(&mut self) {
        let Some(looking) = &self.looking else { return };
        if !self.is_blind && self.now().saturating_sub(self.seen_at) >= BLIND {
            self.is_blind = true;
            let why = looking.failure().unwrap_or_else(|| "the source does not answer".to_owned());
            self.alerts.push(Level::Notify, format!("nothing was seen of the release for a minute: {why}"));
        }
    }
}

/// Returns whether an action must not begin before its record is on the disk: more traffic for the release.
fn is_more(action: &Action, weight: u32) -> bool {
    match action {
        Action::Do { job: Job::Move { weight: next, .. }, .. } => *next > weight,
        Action::Do { job: Job::Run { step: Step::Promote(_), .. }, .. } => true,
        _ => false,
    }
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
