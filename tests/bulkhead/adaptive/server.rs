//! A server with a knee, in virtual time.
//!
//! Up to `knee` calls are served at full speed, side by side. Beyond, they share that speed, and contention eats
//! into it: with `n` calls its throughput is that of the knee times `1 / (1 + contention * (n / knee - 1))`.
//! It works on every call to the end, whether or not the client still waits.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A call in the server, with what the caller wants back when it ends.
struct Job<T> {
    ends_at_work: f64,
    call: T,
}

impl<T> PartialEq for Job<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<T> Eq for Job<T> {}
impl<T> PartialOrd for Job<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Job<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.ends_at_work.total_cmp(&other.ends_at_work)
    }
}

pub(crate) struct Server<T> {
    pub(crate) knee: f64,
    contention: f64,
    now: f64,
    /// Seconds of work that a call has received which has been there from the beginning.
    work: f64,
    jobs: BinaryHeap<Reverse<Job<T>>>,
}

impl<T> Server<T> {
    pub(crate) fn new(knee: f64, contention: f64) -> Self {
        Self { knee, contention, now: 0.0, work: 0.0, jobs: BinaryHeap::new() }
    }

    /// Seconds of work that each call receives in a second.
    fn speed(&self) -> f64 {
        let load = self.jobs.len() as f64 / self.knee;
        if load <= 1.0 { 1.0 } else { 1.0 / load / (1.0 + self.contention * (load - 1.0)) }
    }

    /// When the next call ends, should none come in.
    pub(crate) fn next_end(&self) -> f64 {
        let first = self.jobs.peek().map(|Reverse(job)| job.ends_at_work - self.work);
        first.map_or(f64::INFINITY, |work| self.now + work.max(0.0) / self.speed())
    }

    /// Lets the time pass; nothing may end before `now`.
    pub(crate) fn advance(&mut self, now: f64) {
        self.work += (now - self.now) * self.speed();
        self.now = now;
    }

    pub(crate) fn begin(&mut self, seconds_of_work: f64, call: T) {
        self.jobs.push(Reverse(Job { ends_at_work: self.work + seconds_of_work, call }));
    }

    /// Takes out the call that ends now.
    pub(crate) fn end(&mut self) -> T {
        self.jobs.pop().expect("somebody waits for it").0.call
    }
}
