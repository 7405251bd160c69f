//! State that all handles of the checks share.

use super::check::Body;
use super::event::{Event, log};
use super::machine::{Action, Change, Machine, Settings};
use super::report::{CheckReport, Report};
use super::state::{Failure, Reason, Role, Status};
use crate::clock::{Clock, Instant};
use crate::events::Events;
use crate::panic::catch_panic;
use crate::parked::Kept;
use crate::registry::Registry;
use crate::shared_ref::Lifecycle;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use std::task::Waker;
use tokio::task::AbortHandle;

/// One check.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) body: Body,
    state: Mutex<State>,
}

struct State {
    machine: Machine,
    /// The task of the last run.
    task: Option<AbortHandle>,
}

/// All checks.
pub(super) struct Shared {
    pub(super) entries: Box<[Entry]>,
    pub(super) registry: Registry,
    pub(super) clock: Clock,
    pub(super) events: Events<Event>,
    is_started: AtomicBool,
    /// Whether a future runs the checks.
    is_running: AtomicBool,
    has_ended: AtomicBool,
    /// Of the future that runs the checks.
    waker: Mutex<Option<Waker>>,
    #[cfg(feature = "metrics")]
    publication: crate::telemetry::Publication,
}

impl Entry {
    pub(super) fn new(role: Role, (name, body, settings): (&'static str, Body, Settings)) -> Self {
        let state = State { machine: Machine::new(settings), task: None };
        Self { name, role, body, state: Mutex::new(state) }
    }

    /// Stops what runs.
    fn cancel(&self) {
        let task = self.state.lock().task.take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl Shared {
    pub(super) fn new(entries: Box<[Entry]>, registry: Registry, clock: Clock) -> Self {
        let is_started = AtomicBool::new(entries.iter().all(|entry| entry.role != Role::Startup));
        Self {
            entries,
            registry,
            clock,
            events: Events::default(),
            is_started,
            is_running: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            waker: Mutex::new(None),
            #[cfg(feature = "metrics")]
            publication: crate::telemetry::Publication::default(),
        }
    }

    pub(super) fn is_started(&self) -> bool {
        self.is_started.load(Ordering::Acquire)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Claims the checks for one future that runs them; `false` if another does.
    pub(super) fn claim(&self) -> bool {
        !self.is_running.swap(true, Ordering::AcqRel)
    }

    /// Ends the claim and every run.
    pub(super) fn release(&self) {
        self.entries.iter().for_each(Entry::cancel);
        self.is_running.store(false, Ordering::Release);
    }

    #[cfg(feature = "axum")]
    pub(super) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    /// Lets the checks begin that may: those of startup, and the others after them.
    pub(super) fn arm(&self) {
        let (now, is_started) = (self.clock.now(), self.is_started());
        for entry in &self.entries {
            if is_started || entry.role == Role::Startup {
                entry.state.lock().machine.arm(now);
            }
        }
    }

    /// Does what is due now, `start`s runs, and returns the time at which there is more to do.
    pub(super) fn tick(&self, start: impl Fn(usize) -> Option<AbortHandle>) -> Instant {
        let now = self.clock.now();
        let mut next = Instant::NEVER;
        for (place, entry) in self.entries.iter().enumerate() {
            let (action, has_changed, wakes_at) = {
                let mut state = entry.state.lock();
                let (action, change) = state.machine.poll(now);
                (action, self.push(entry, change, now), state.machine.wakes_at())
            };
            next = next.min(wakes_at);
            match action {
                Some(Action::Cancel) => entry.cancel(),
                Some(Action::Start) => match start(place) {
                    Some(task) => entry.state.lock().task = Some(task),
                    None => self.finish(place, Some(Err(Reason::NoRuntime.into()))),
                },
                None => {}
            }
            self.tell(has_changed);
        }
        next
    }

    /// A run has ended; `None` if it was dropped.
    pub(super) fn finish(&self, place: usize, result: Option<Result<(), Failure>>) {
        let (entry, now) = (&self.entries[place], self.clock.now());
        let has_changed = {
            let mut state = entry.state.lock();
            let change = state.machine.finish(result, now);
            self.push(entry, change, now)
        };
        if has_changed && entry.role == Role::Startup && !self.is_started() {
            let mut startup = self.entries.iter().filter(|entry| entry.role == Role::Startup);
            if startup.all(|entry| entry.state.lock().machine.has_passed()) {
                self.is_started.store(true, Ordering::Release);
                self.arm();
                self.wake();
            }
        }
        self.tell(has_changed);
    }

    /// Queues the event of a change; the caller holds the lock of the check.
    fn push(&self, entry: &Entry, change: Option<Change>, now: Instant) -> bool {
        let event = change.map(|change| Event::new(entry.name, entry.role, change, now));
        let has_changed = event.is_some();
        self.events.push(event);
        has_changed
    }

    /// Tells the log, listeners and metrics of a change, outside of every lock.
    fn tell(&self, has_changed: bool) {
        if has_changed {
            self.events.dispatch(log);
            self.publish_now();
        }
    }

    /// Has the future that runs the checks look again.
    fn wake(&self) {
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            catch_panic(|| waker.wake());
        }
    }

    pub(super) fn wakes(&self, waker: &Waker) {
        let old = self.waker.lock().replace(waker.clone());
        drop(old); // after the lock: it is foreign code
    }

    /// The checks of a role; readiness has those of startup before its own.
    pub(super) fn report(&self, role: Role) -> Report {
        let now = self.clock.now();
        let is_of = |entry: &&Entry| entry.role == role || role == Role::Readiness && entry.role == Role::Startup;
        let checks = self.entries.iter().filter(is_of).map(|entry| {
            let sample = entry.state.lock().machine.sample(now);
            CheckReport::new(entry.name, entry.role, sample)
        });
        Report::new(checks.collect())
    }

    /// The status of a role, as in its report.
    pub(super) fn status(&self, role: Role) -> Status {
        self.report(role).status
    }
}

#[cfg(feature = "metrics")]
mod publish {
    use super::Shared;
    use crate::health::state::Role;
    use crate::telemetry::{HEALTH_STATUS, Look, Series, Source, Value, Waiting};

    impl Shared {
        /// Publishes if a second has passed since the last time: a status changes by time, too.
        pub(in crate::health) fn look(&self) {
            if self.publication.look(self.clock.coarse()) == Look::Publish {
                self.publish();
            }
        }

        pub(in crate::health) fn publish_now(&self) {
            self.publication.note_time(self.clock.coarse());
            self.publish();
        }
    }

    impl Source for Shared {
        fn waiting(&self) -> &Waiting {
            self.publication.waiting()
        }

        fn publish(&self) -> bool {
            self.publication.run(|publisher| {
                let now = self.clock.now();
                let roles = [Role::Startup, Role::Readiness, Role::Deep];
                let names = roles.into_iter().map(Role::as_str).chain(self.entries.iter().map(|entry| entry.name));
                let series = names.map(|name| Series { metric: HEALTH_STATUS, labels: [name, "", "", ""] });
                let of_roles = roles.into_iter().map(|role| self.status(role));
                let checks = self.entries.iter().map(|entry| entry.state.lock().machine.sample(now).status);
                let values: Vec<_> = of_roles.chain(checks).map(|status| Value::Now(status.code())).collect();
                publisher.publish(&series, values.into_iter())
            })
        }
    }
}

/// Without metrics nothing is published.
#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "nothing to publish to")]
impl Shared {
    pub(super) fn look(&self) {}

    pub(super) fn publish_now(&self) {}
}

impl Lifecycle for Shared {
    fn begin(this: &Arc<Kept<Self>>) {
        #[cfg(feature = "metrics")]
        this.publication.begin(this);
        this.publish_now();
    }

    fn end(&self) {
        #[cfg(feature = "metrics")]
        self.publication.end();
        self.publish_now();
        self.has_ended.store(true, Ordering::Release);
        self.wake();
    }
}
