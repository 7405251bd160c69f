//! Does the same to a bulkhead and to the reference, and compares.

use super::reference::{Counts, Fate, Reference, Settings, Time};
use backstop::bulkhead::{BulkheadConfig, PartitionTotal, Permit, QueueOrder, Shedding};
use backstop::clock::{Clock, ManualClock};
use backstop::reject::RejectReason;
use backstop::{Bulkhead, Outcome, Rejected};
use fastrand::Rng;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::runtime::Runtime;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Waiting = Pin<Box<dyn Future<Output = Result<Permit, Rejected>>>>;

/// What the caller of a call has in hand. The reference knows the call under the same number.
enum Hand {
    Waits(Waiting, Arc<Bell>),
    Permit(Permit),
    Nothing,
}

/// That the histories were worth playing.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    counts: Counts,
    above_limit: u64,
    handed_on: u64,
}

impl Seen {
    pub(crate) fn assert_all_happened(&self) {
        let Counts { permitted, rejected_full, timed_out, shed, left_queue, abandoned, revoked, bypassed } =
            self.counts;
        let all = [permitted, rejected_full, timed_out, shed, left_queue, abandoned, revoked, bypassed];
        assert!(all.iter().all(|&count| count > 100) && self.above_limit > 100 && self.handed_on > 100, "{self:?}");
    }
}

pub(crate) struct Player<'a> {
    rng: Rng,
    runtime: &'a Runtime,
    bulkhead: Bulkhead,
    time: ManualClock,
    reference: Reference,
    hands: Vec<Hand>,
    offered: u64,
    story: Vec<String>,
    seen: Seen,
}

fn millis(time: Time) -> Duration {
    Duration::from_millis(time)
}

fn settings(rng: &mut Rng) -> Settings {
    let partitions = if rng.bool() { 0 } else { rng.usize(1..=NAMES.len()) };
    let max_wait = if rng.u8(..4) == 0 { 0 } else { rng.u64(1..=40) };
    let interval = rng.u64(4..=30);
    Settings {
        limit: rng.usize(partitions.max(1)..=5),
        max_wait,
        max_queue: rng.usize(1..=6),
        is_lifo: rng.bool(),
        shedding: (max_wait > 1 && rng.u8(..3) == 0).then(|| (rng.u64(1..=interval.min(max_wait - 1)), interval)),
        max_hold: (rng.u8(..3) == 0).then(|| rng.u64(1..=60)),
        shares: (0..partitions).map(|_| rng.usize(1..=100 / partitions)).collect(),
        is_soft: rng.bool(),
    }
}

fn config(settings: &Settings) -> BulkheadConfig {
    let mut builder = BulkheadConfig::builder()
        .max_concurrent_calls(u32::try_from(settings.limit).unwrap())
        .max_wait(millis(settings.max_wait))
        .max_queue(u32::try_from(settings.max_queue).unwrap())
        .queue_order(if settings.is_lifo { QueueOrder::Lifo } else { QueueOrder::Fifo })
        .partition_total(if settings.is_soft { PartitionTotal::Soft } else { PartitionTotal::Hard })
        .max_hold(settings.max_hold.map(millis));
    if let Some((target, interval)) = settings.shedding {
        builder = builder.shedding(Shedding::new().target(millis(target)).interval(millis(interval)));
    }
    for (name, share) in NAMES.iter().zip(&settings.shares) {
        builder = builder.partition(*name, *share as f64 / 100.0);
    }
    builder.build().expect("the histories' settings are allowed")
}

/// The same settings on a clock: a bulkhead that takes a configuration has the system's.
fn bulkhead(settings: &Settings, clock: Clock) -> Bulkhead {
    let mut builder = Bulkhead::builder("model").clock(clock);
    for (name, share) in NAMES.iter().zip(&settings.shares) {
        builder = builder.partition(*name, *share as f64 / 100.0);
    }
    let bulkhead = builder.build().expect("the histories' settings are allowed");
    bulkhead.reconfigure(config(settings)).expect("the partitions are the same");
    bulkhead
}

impl<'a> Player<'a> {
    pub(crate) fn new(seed: u64, runtime: &'a Runtime) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (clock, time) = Clock::manual();
        let settings = settings(&mut rng);
        let bulkhead = bulkhead(&settings, clock);
        let story = vec![format!("{settings:?}")];
        let reference = Reference::new(settings);
        Self { rng, runtime, bulkhead, time, reference, hands: Vec::new(), offered: 0, story, seen: Seen::default() }
    }

    pub(crate) fn story(&self) -> String {
        self.story.join("\n")
    }

    fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    pub(crate) fn step(&mut self) -> Result<(), String> {
        match self.rng.u8(..100) {
            0..40 => self.acquire()?,
            40..62 => self.let_go(),
            62..82 => {
                let by = if self.rng.u8(..4) == 0 { self.rng.u64(20..80) } else { self.rng.u64(1..12) };
                self.tell(format!("advance {by}"));
                self.time.advance(millis(by));
                self.runtime.block_on(tokio::time::advance(millis(by)));
                self.reference.advance(by);
            }
            82..90 => {
                let limit = self.rng.usize(1..=6);
                self.tell(format!("resize {limit}"));
                self.bulkhead.resize(u32::try_from(limit).unwrap(), "model").unwrap();
                self.reference.set(|settings| settings.limit = limit);
            }
            90..96 => self.reconfigure(),
            96..98 => {
                self.tell("bypass".into());
                self.offered += 1;
                self.reference.counts.bypassed += 1;
                drop(self.bulkhead.bypass());
            }
            _ => {
                self.tell("reset in flight".into());
                self.bulkhead.reset_in_flight("model");
                self.reference.reset_in_flight();
            }
        }
        self.reference.settle(); // as whoever is polled, or looks, does
        if self.rng.u8(..4) > 0 {
            self.poll_whoever_was_woken()?;
        }
        self.compare()
    }

    fn acquire(&mut self) -> Result<(), String> {
        let partition = self.rng.usize(0..=self.reference.settings.shares.len());
        let handle = match partition.checked_sub(1) {
            Some(place) => self.bulkhead.partition(NAMES[place]).expect("it has this partition"),
            None => self.bulkhead.clone(),
        };
        let (wait, mut waiting): (Time, Waiting) = match self.rng.u8(..4) {
            0 => (0, Box::pin(async move { handle.try_acquire() })),
            1 => {
                let wait = self.rng.u64(..40);
                (wait, Box::pin(async move { handle.acquire_within(millis(wait)).await }))
            }
            _ => (self.reference.settings.max_wait, Box::pin(async move { handle.acquire().await })),
        };
        self.offered += 1;
        self.tell(format!("#{}: acquire for {partition}, waits {wait}", self.hands.len()));
        let bell = Arc::new(Bell::default());
        let fate = self.reference.acquire(partition, wait);
        let (hand, got) = match self.poll(&mut waiting, &bell) {
            Poll::Ready(Ok(permit)) => (Hand::Permit(permit), Fate::Holds),
            Poll::Ready(Err(_)) => (Hand::Nothing, Fate::Over),
            Poll::Pending => (Hand::Waits(waiting, bell), Fate::Waits),
        };
        self.hands.push(hand);
        if fate == got { Ok(()) } else { Err(format!("acquire: got {got:?}, want {fate:?}")) }
    }

    fn poll(&self, waiting: &mut Waiting, bell: &Arc<Bell>) -> Poll<Result<Permit, Rejected>> {
        let _guard = self.runtime.enter();
        let waker = Waker::from(Arc::clone(bell)); // another one each time
        waiting.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Somebody lets go of what is in hand.
    fn let_go(&mut self) {
        let busy: Vec<_> = (0..self.hands.len()).filter(|&i| !matches!(self.hands[i], Hand::Nothing)).collect();
        let Some(&call) = self.rng.choice(&busy) else { return };
        match std::mem::replace(&mut self.hands[call], Hand::Nothing) {
            Hand::Permit(permit) if self.rng.u8(..10) == 0 => {
                self.tell(format!("#{call}: forgotten"));
                std::mem::forget(permit);
            }
            Hand::Permit(permit) => {
                let outcome = self.rng.choice([None, Some(Outcome::Success), Some(Outcome::Failure)]).unwrap();
                self.tell(format!("#{call}: release, {outcome:?}"));
                match outcome {
                    None => drop(permit),
                    Some(outcome) => permit.end(outcome),
                }
                self.reference.release(call, false);
            }
            Hand::Waits(waiting, _) => {
                self.tell(format!("#{call}: leave"));
                self.seen.handed_on += u64::from(self.reference.calls[call].fate == Fate::Holds);
                drop(waiting);
                self.reference.leave(call);
            }
            Hand::Nothing => {}
        }
    }

    fn reconfigure(&mut self) {
        let mut new = settings(&mut self.rng);
        let old = &self.reference.settings;
        let shares = old.shares.iter().map(|_| self.rng.usize(1..=100 / old.shares.len()));
        new.shares = shares.collect();
        new.limit = new.limit.max(new.shares.len());
        new.max_hold = old.max_hold.map(|_| self.rng.u64(1..=60)); // calls are timed, or they are not
        self.tell(format!("reconfigure {new:?}"));
        self.bulkhead.reconfigure(config(&new)).expect("the partitions are the same");
        self.reference.set(|settings| *settings = new);
    }

    fn poll_whoever_was_woken(&mut self) -> Result<(), String> {
        for call in 0..self.hands.len() {
            let fate = self.reference.calls[call].fate;
            let is_woken = matches!(&self.hands[call], Hand::Waits(_, bell) if bell.0.swap(false, Ordering::Relaxed));
            if !is_woken {
                if matches!(self.hands[call], Hand::Waits(..)) && fate != Fate::Waits {
                    return Err(format!("#{call} was not woken: it is {fate:?}"));
                }
                continue;
            }
            let Hand::Waits(mut waiting, bell) = std::mem::replace(&mut self.hands[call], Hand::Nothing) else {
                unreachable!("it was woken")
            };
            let got = match self.poll(&mut waiting, &bell) {
                Poll::Pending => {
                    self.hands[call] = Hand::Waits(waiting, bell);
                    Fate::Waits
                }
                Poll::Ready(Ok(permit)) => {
                    let fate = if permit.is_held() { Fate::Holds } else { Fate::TakenAway };
                    self.hands[call] = Hand::Permit(permit);
                    fate
                }
                Poll::Ready(Err(rejected)) => match rejected.reason() {
                    RejectReason::WaitTimeout => Fate::TimedOut,
                    RejectReason::Shed => Fate::Shed,
                    reason => return Err(format!("#{call} waited and was told {reason:?}")),
                },
            };
            if got != fate {
                return Err(format!("#{call}: got {got:?}, want {fate:?}"));
            }
        }
        Ok(())
    }

    /// The state, the counts, and the laws of conservation.
    fn compare(&mut self) -> Result<(), String> {
        let (snapshot, totals) = (self.bulkhead.snapshot(), self.bulkhead.totals());
        let counts = Counts {
            permitted: totals.permitted,
            rejected_full: totals.rejected_full,
            timed_out: totals.timed_out,
            shed: totals.shed,
            left_queue: totals.left_queue,
            abandoned: totals.abandoned,
            revoked: totals.revoked,
            bypassed: totals.bypassed,
        };
        let same = |what: &str, got: &dyn std::fmt::Debug, want: &dyn std::fmt::Debug| {
            let (got, want) = (format!("{got:?}"), format!("{want:?}"));
            if got == want { Ok(()) } else { Err(format!("{what}: got {got}, want {want}")) }
        };
        let reference = &self.reference;
        let got = (snapshot.in_flight, snapshot.limit, snapshot.queue_depth);
        same("state", &got, &(reference.in_flight(), reference.settings.limit, reference.waiting()))?;
        same("counts", &counts, &reference.counts)?;
        for (place, name) in (1..).zip(&NAMES[..reference.settings.shares.len()]) {
            let handle = self.bulkhead.partition(name).expect("it has this partition");
            same(name, &handle.partition_permits().unwrap_or_default(), &reference.partition(place))?;
        }
        if reference.settings.max_hold.is_some() || !reference.settings.shares.is_empty() {
            same("oldest", &self.bulkhead.oldest_call(), &reference.oldest().map(millis))?;
        }
        for (call, hand) in self.hands.iter().enumerate() {
            if let Hand::Permit(permit) = hand {
                same("is_held", &permit.is_held(), &(reference.calls[call].fate == Fate::Holds))?;
            }
        }
        let refused = totals.rejected_full + totals.timed_out + totals.shed + totals.left_queue;
        let waiting = u64::from(snapshot.queue_depth);
        same("law 1", &(totals.permitted + totals.bypassed + refused + waiting), &self.offered)?;
        let in_flight = u64::from(snapshot.in_flight);
        same("law 2", &(reference.finished + totals.abandoned + in_flight), &totals.permitted)?;
        let held = snapshot.available() + snapshot.in_flight;
        same("law 3", &held, &snapshot.limit.max(snapshot.in_flight))?;
        self.seen.above_limit += u64::from(snapshot.in_flight > snapshot.limit);
        Ok(())
    }

    /// Everybody goes; what was leaked is taken back, and then nothing is missing.
    pub(crate) fn finish(mut self, seen: &mut Seen) {
        self.hands.clear();
        self.bulkhead.reset_in_flight("the end");
        let (snapshot, totals) = (self.bulkhead.snapshot(), self.bulkhead.totals());
        assert_eq!((snapshot.in_flight, snapshot.queue_depth, snapshot.available()), (0, 0, snapshot.limit));
        let refused = totals.rejected_full + totals.timed_out + totals.shed + totals.left_queue;
        assert_eq!(totals.permitted + totals.bypassed + refused, self.offered);
        let (all, these) = (&mut seen.counts, self.reference.counts);
        all.permitted += these.permitted;
        all.rejected_full += these.rejected_full;
        all.timed_out += these.timed_out;
        all.shed += these.shed;
        all.left_queue += these.left_queue;
        all.abandoned += these.abandoned;
        all.revoked += these.revoked;
        all.bypassed += these.bypassed;
        seen.above_limit += self.seen.above_limit;
        seen.handed_on += self.seen.handed_on;
    }
}
