//! The thread that acts: one job at a time, in the order in which they were decided.

use crate::rollback::plan::Plan;
use crate::rollout::actuator::{Actuator, Cancel, Command, Environment, Limit, MoveError};
use crate::rollout::stages::{Job, Outcome, Reading, Step};
use crate::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::Duration;

/// Between two looks for a job: the controller wakes the thread before.
const IDLE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Inbox {
    job: Option<(u64, Job)>,
    cancel: Cancel,
    ended: Vec<(u64, Outcome)>,
    /// The weight that should be in force, while nothing moves it.
    expected: Option<u32>,
    reading: Option<(u32, Reading)>,
    /// Interrupts the reading in progress.
    read: Cancel,
    is_over: bool,
}

/// Performs jobs, and reads the weight back between them.
pub(super) struct Acting {
    inbox: Arc<Mutex<Inbox>>,
    thread: Thread,
}

struct Worker {
    inbox: Arc<Mutex<Inbox>>,
    actuator: Box<dyn Actuator>,
    plan: Arc<Plan>,
    command: Command,
    controller: Thread,
    read_every: Duration,
}

impl Acting {
    pub(super) fn new(
        actuator: Box<dyn Actuator>,
        plan: &Arc<Plan>,
        command: Command,
        read_every: Duration,
    ) -> std::io::Result<Self> {
        let inbox: Arc<Mutex<Inbox>> = Arc::default();
        let (plan, controller) = (Arc::clone(plan), thread::current());
        let worker = Worker { inbox: Arc::clone(&inbox), actuator, plan, command, controller, read_every };
        let started = thread::Builder::new().name("backstop-acting".to_owned()).spawn(move || worker.run())?;
        Ok(Self { inbox, thread: started.thread().clone() })
    }

    /// Begins a job. A reading in progress is interrupted: a job does not wait for it.
    pub(super) fn begin(&self, key: u64, job: Job) {
        let mut inbox = self.inbox.lock();
        inbox.job = Some((key, job));
        inbox.read.cancel();
        drop(inbox);
        self.thread.unpark();
    }

    /// Interrupts the job in progress. The next one begins when it has ended.
    pub(super) fn cancel(&self) {
        let mut inbox = self.inbox.lock();
        inbox.cancel.cancel();
        inbox.cancel = Cancel::default();
        inbox.job = None;
    }

    pub(super) fn expect(&self, weight: Option<u32>) {
        self.inbox.lock().expected = weight;
    }

    pub(super) fn ended(&self) -> Vec<(u64, Outcome)> {
        std::mem::take(&mut self.inbox.lock().ended)
    }

    pub(super) fn reading(&self) -> Option<(u32, Reading)> {
        self.inbox.lock().reading.take()
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        let mut inbox = self.inbox.lock();
        inbox.is_over = true;
        inbox.cancel.cancel();
        inbox.read.cancel();
        drop(inbox);
        self.thread.unpark();
    }
}

impl Worker {
    fn run(mut self) {
        let clock = crate::clock::Clock::system();
        let mut read_at = clock.now();
        loop {
            let (job, cancel, expected, read) = {
                let mut inbox = self.inbox.lock();
                if inbox.is_over {
                    return;
                }
                inbox.read = Cancel::default();
                (inbox.job.take(), inbox.cancel.clone(), inbox.expected, inbox.read.clone())
            };
            if let Some((key, job)) = job {
                let outcome = self.perform(key, &job, &cancel);
                self.inbox.lock().ended.push((key, outcome));
                self.controller.unpark();
                read_at = clock.now().saturating_add(self.read_every);
                continue;
            }
            if let Some(weight) = expected.filter(|_| read_at.is_reached(clock.now())) {
                let reading = self.actuator.read(weight, &read);
                if read.is_cancelled() {
                    continue;
                }
                self.inbox.lock().reading = Some((weight, reading));
                self.controller.unpark();
                read_at = clock.now().saturating_add(self.read_every);
            }
            thread::park_timeout(IDLE);
        }
    }

    fn perform(&mut self, key: u64, job: &Job, cancel: &Cancel) -> Outcome {
        let done = match job {
            Job::Move { weight, cut } => self.actuator.set(*weight, *cut, cancel),
            Job::Run { step, is_again } => self.command(key, *step, *is_again, cancel),
        };
        done.map_or_else(Outcome::from, |()| Outcome::Done)
    }

    fn command(&self, key: u64, step: Step, is_again: bool, cancel: &Cancel) -> Result<(), MoveError> {
        let environment = Environment { weight: 0, key };
        let gone = || MoveError::refused("the plan has no such command");
        let action = match step {
            Step::Preserve(place) => {
                let preserve = self.plan.preserve.get(place).ok_or_else(gone)?;
                let limit = Limit::new(preserve.timeout, cancel);
                return self.command.run(&preserve.argv, &environment, &limit);
            }
            Step::Rollback(place) => self.plan.rollback.get(place),
            Step::Promote(place) => self.plan.promote.get(place),
            Step::Weight => None,
        };
        let action = action.ok_or_else(gone)?;
        let limit = Limit::new(action.timeout, cancel);
        if is_again {
            self.command.settle(&limit)?;
        }
        match &action.verify {
            _ if !is_again => {}
            // It shows whether an interrupted run was done.
            Some(verify) => {
                if self.command.run(verify, &environment, &limit).is_ok() {
                    return Ok(());
                }
            }
            None if action.idempotent => {}
            None => {
                let why =
                    "it may have been done, and nothing shows whether it was: look at it, and `resume` runs it again";
                return Err(MoveError::refused(why));
            }
        }
        self.command.run(&action.argv, &environment, &limit)?;
        action.verify.as_ref().map_or(Ok(()), |verify| self.command.verify(verify, &environment, &limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Reads until it is interrupted.
    struct Hanging(Arc<Mutex<u32>>);

    impl Actuator for Hanging {
        fn set(&mut self, _: u32, _: bool, _: &Cancel) -> Result<(), MoveError> {
            Ok(())
        }

        fn read(&mut self, _: u32, cancel: &Cancel) -> Reading {
            *self.0.lock() += 1;
            while !cancel.is_cancelled() {
                thread::yield_now();
            }
            Reading::Differs { why: "half of it".to_owned() }
        }
    }

    #[test]
    fn a_job_does_not_wait_for_a_reading_and_an_interrupted_reading_is_none() {
        let plan = Plan::parse(include_str!("../../../tests/rollout/plan.toml")).unwrap();
        let command = Command::new(&plan, Path::new("."), Path::new("log"));
        let begun = Arc::default();
        let actuator = Box::new(Hanging(Arc::clone(&begun)));
        let acting = Acting::new(actuator, &Arc::new(plan), command, Duration::from_hours(1)).unwrap();
        acting.expect(Some(5));
        while *begun.lock() == 0 {
            thread::yield_now();
        }
        acting.begin(7, Job::Move { weight: 0, cut: false });
        loop {
            let ended = acting.ended();
            if !ended.is_empty() {
                assert_eq!(ended, [(7, Outcome::Done)]);
                break;
            }
            thread::yield_now();
        }
        assert_eq!(acting.reading(), None);
    }
}
