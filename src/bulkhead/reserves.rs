//! Permits, some of them in reserve on cache lines of threads.
//!
//! Threads that share a bulkhead take turns in writing its [word](super::permit_word), which costs each of them several
//! times the work itself. While a large bulkhead is nearly empty, a thread takes some permits more than its call needs, and
//! its next calls take and return them on a line of the thread's own:
//!
//! ```text
//!  word:  permits of calls in flight + permits in reserve, `RESERVES`      at most half of the limit
//!            │ under the lock: refill, what is too much, recall
//!  lines:    ├─ in reserve 8, room 8        take:   in reserve - 1, room + 1
//!            ├─ in reserve 3, room 13       return: in reserve + 1, room - 1
//!            └─ in reserve 0, room 0: closed
//! ```
//!
//! - Permits are in reserve only where the limit is 64 or more. A thread begins when less than a quarter of the permits is in
//!   flight. When a refill would let calls in flight and reserves exceed half of the limit, all reserves are recalled: the
//!   lines are closed, their permits go back to the word, and the word alone counts.
//! - Code that takes the compartment's lock, except to move permits between word and line, recalls the reserves first. So
//!   queue, rejections, limits, settings, snapshots and totals know the one word only. While calls wait, are rejected or are
//!   timed, there are no reserves.
//! - A permit returns to the line of the thread that drops it, whichever thread took it. A line may have several threads; any
//!   thread may use any line. Permits on the line of an ended thread are used by the next one or recalled.
//!
//! # Invariants
//!
//! 1. *The word counts at least the calls in flight and the reserves.* A refill adds to the word before the line, everything
//!    else takes from the line before it takes from the word. The word never exceeds the limit through an acquisition, so
//!    neither do the calls in flight.
//! 2. *No rejection while a permit is free.* Permits move between word and lines under the lock only. With `RESERVES` set
//!    no call is rejected; it is cleared, under the lock, in the same change that returns the permits of the lines, which were
//!    closed before. A closed line has nothing to take and no room: a permit that is dropped later goes to the word.
//! 3. *A revoked permit returns nothing.* An open line has the epoch of the word. Revocation, under the lock, recalls first.
//!
//! # Memory ordering
//!
//! As with the word: taken with acquire, returned with release; a move reads the line with acquire and changes the word with
//! release, so that the next holder sees what the last one wrote.

use super::permit_word::{EPOCH_SHIFT, LOCKED, LOOKS, PERMITTED_ONE, PermitWord, REJECTING, RESERVES, WAITERS, Word};
use crate::sync::{AtomicU64, Ordering};
use crate::thread_id::{lines_of_threads, thread_id, thread_id_if_known};
use std::ops::Deref;
use std::sync::OnceLock;

/// The smallest limit with reserves.
const LIMIT_MIN: u32 = if cfg!(backstop_loom) { 4 } else { 64 };
/// Permits of the limit for each line in use. Fewer lines serve a small limit, so that a refill is worth the lock.
const PERMITS_PER_LINE: u32 = if cfg!(backstop_loom) { 4 } else { 32 };
/// The most permits of a refill. A line has at most twice as many, and as many more if it is filled while permits return.
const REFILL_MAX: u32 = 32;

/// The bits of a line below its epoch; the epoch and the number of permits taken are where the word has them.
const IN_RESERVE: u64 = (1 << ROOM_SHIFT) - 1;
const ROOM_SHIFT: u32 = EPOCH_SHIFT / 2;
const ROOM_ONE: u64 = 1 << ROOM_SHIFT;
const ROOM: u64 = IN_RESERVE << ROOM_SHIFT;

const _: () = assert!(3 * REFILL_MAX as u64 <= IN_RESERVE);

/// The word, and the lines if there may be any.
#[derive(Debug)]
pub(crate) struct Permits {
    word: PermitWord,
    reserves: Option<Reserves>,
}

#[derive(Debug, Default)]
struct Reserves {
    /// Made by the first refill.
    lines: OnceLock<Box<[Line]>>,
    /// Permits that were taken on lines, by the time these were closed.
    permitted: AtomicU64,
}

/// Permits in reserve, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Deref for Permits {
    type Target = PermitWord;

    fn deref(&self) -> &PermitWord {
        &self.word
    }
}

impl Permits {
    /// Permits of one compartment among many: a line for each thread would be too much memory.
    pub(crate) fn without_reserves(limit: u32) -> Self {
        Self { word: PermitWord::new(limit), reserves: None }
    }

    pub(crate) fn with_reserves(limit: u32) -> Self {
        Self { word: PermitWord::new(limit), reserves: Some(Reserves::default()) }
    }

    /// Takes a permit from this thread's line or from the word. `Err` is the word that blocked it: there may still be one,
    /// if it [`may_reserve`](Self::may_reserve).
    #[inline]
    pub(crate) fn take_fast(&self) -> Result<Word, Word> {
        let word = self.word.word();
        if word.has(RESERVES) {
            let taken = self.own_line().and_then(Line::take);
            return taken.map(|taken| Word(taken.0 | word.0 & LOOKS)).ok_or(word);
        }
        if self.may_reserve(word) { Err(word) } else { self.word.take_from(word, LOCKED | WAITERS | RESERVES) }
    }

    /// Returns whether [`reserve`](Self::reserve) is worth the lock.
    #[inline]
    pub(crate) fn may_reserve(&self, word: Word) -> bool {
        word.has(RESERVES) || begins_reserve(word, self.limit()) && self.reserves.is_some()
    }

    /// Takes a permit, and some more into reserve if they fit. The caller holds the lock.
    pub(crate) fn reserve(&self) -> Result<Word, Word> {
        if let Some(reserves) = &self.reserves {
            reserves.lines.get_or_init(|| (0..lines_of_threads()).map(|_| Line::default()).collect());
        }
        let Some(line) = self.line() else { return self.word.take(LOCKED | WAITERS) };
        if let Some(taken) = line.take() {
            return Ok(taken); // another thread has refilled it or returned one
        }
        let refill = self.refill();
        let added = self.add(refill + 1).or_else(|| {
            self.recall();
            self.add(refill + 1)
        });
        let Some(word) = added else { return self.word.take(LOCKED | WAITERS) };
        line.open(word.epoch(), self.close(line) + refill, 2 * refill);
        Ok(word)
    }

    /// Counts a permit of a call, and others in reserve, if so many fit.
    fn add(&self, permits: u32) -> Option<Word> {
        let limit = self.limit();
        let fits = |word: Word| {
            let is_reserving = word.has(RESERVES) && word.in_flight() + permits <= limit / 2;
            is_reserving || begins_reserve(word, limit)
        };
        let added = |word: Word| word.0.wrapping_add(PERMITTED_ONE + u64::from(permits)) | RESERVES;
        self.word.update_if(|word| fits(word).then(|| added(word)))
    }

    /// Takes a permit from this thread's line.
    pub(crate) fn take_from_line(&self) -> Option<Word> {
        self.line().and_then(Line::take)
    }

    /// Returns a permit to a line of this thread's own, if that is open and has room.
    #[inline]
    pub(crate) fn give_back_fast(&self, epoch: u16) -> bool {
        self.own_line().is_some_and(|line| line.give_back(epoch))
    }

    /// Returns a permit to this thread's line, if that is open and has room.
    pub(crate) fn give_back_to_line(&self, epoch: u16) -> bool {
        self.line().is_some_and(|line| line.give_back(epoch))
    }

    /// Returns a permit to this thread's line, and what is too much there to the word; `None` if it was revoked. The caller
    /// holds the lock.
    pub(crate) fn stow(&self, epoch: u16) -> Option<Word> {
        let word = self.word.word();
        match self.line() {
            Some(line) if word.has(RESERVES) && word.epoch() == epoch => {
                let refill = self.refill();
                let returned = self.close(line) + 1;
                let kept = returned.min(refill);
                line.open(epoch, kept, 2 * refill);
                if kept < returned {
                    self.word.update(|word| word - u64::from(returned - kept));
                }
                Some(word)
            }
            _ => self.word.give_back(epoch),
        }
    }

    /// Returns all reserves to the word. The caller holds the lock.
    pub(crate) fn recall(&self) {
        if self.word.word().has(RESERVES) {
            let held: u32 = self.lines().iter().map(|line| self.close(line)).sum();
            self.word.update(|word| (word - u64::from(held)) & !RESERVES);
        }
    }

    /// Permits that were taken on lines. They have been recalled.
    pub(crate) fn permitted_on_lines(&self) -> u64 {
        self.reserves.as_ref().map_or(0, |reserves| reserves.permitted.load(Ordering::Relaxed))
    }

    /// Returns what a line held. The caller holds the lock.
    fn close(&self, line: &Line) -> u32 {
        let (held, taken) = line.close();
        if let Some(reserves) = &self.reserves {
            reserves.permitted.fetch_add(taken, Ordering::Relaxed);
        }
        held
    }

    /// A line that only this thread uses.
    #[inline]
    fn own_line(&self) -> Option<&Line> {
        let id = thread_id_if_known();
        let is_used = id < (self.limit() / PERMITS_PER_LINE) as usize;
        if is_used { self.lines().get(id) } else { None }
    }

    /// This thread's line, which it may share with others.
    fn line(&self) -> Option<&Line> {
        self.lines().get(thread_id().checked_rem(self.used())?)
    }

    /// The number of lines in use.
    fn used(&self) -> usize {
        self.lines().len().min((self.limit() / PERMITS_PER_LINE) as usize)
    }

    /// The number of permits of a refill: those of all lines are a quarter of the limit.
    fn refill(&self) -> u32 {
        let used = u32::try_from(self.used()).unwrap_or(u32::MAX / 4).max(1);
        (self.limit() / (4 * used)).clamp(1, REFILL_MAX)
    }

    #[inline]
    fn lines(&self) -> &[Line] {
        self.reserves.as_ref().and_then(|reserves| reserves.lines.get()).map_or(&[], |lines| lines)
    }
}

/// Returns whether so few calls are in flight that reserves may begin.
#[inline]
fn begins_reserve(word: Word, limit: u32) -> bool {
    limit >= LIMIT_MIN && word.in_flight() < limit / 4 && !word.has(LOCKED | WAITERS | REJECTING | RESERVES)
}

impl Line {
    #[inline]
    fn take(&self) -> Option<Word> {
        let mut line = self.0.load(Ordering::Relaxed);
        while line & IN_RESERVE > 0 {
            let next = line.wrapping_add(PERMITTED_ONE + ROOM_ONE - 1);
            // Acquire: pairs with the return of a permit. Release: a later taker continues the sequence.
            match self.0.compare_exchange_weak(line, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(Word(next)),
                Err(now) => line = now,
            }
        }
        None
    }

    #[inline]
    fn give_back(&self, epoch: u16) -> bool {
        let mut line = self.0.load(Ordering::Relaxed);
        while line & ROOM > 0 && Word(line).epoch() == epoch {
            // Release: pairs with the acquisition in `take` and `close`.
            match self.0.compare_exchange_weak(line, line - ROOM_ONE + 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => line = now,
            }
        }
        false
    }

    /// Leaves nothing to take and no room. Returns the permits in reserve, and how many were taken since it was opened.
    fn close(&self) -> (u32, u64) {
        let line = self.0.swap(0, Ordering::AcqRel);
        let taken = Word(line).permitted_since(0).1;
        ((line & IN_RESERVE) as u32, taken)
    }

    /// Opens a closed line; no other thread changes it.
    fn open(&self, epoch: u16, in_reserve: u32, places: u32) {
        let room = u64::from(places.saturating_sub(in_reserve));
        let line = u64::from(in_reserve) | room << ROOM_SHIFT | u64::from(epoch) << EPOCH_SHIFT;
        self.0.store(line, Ordering::Release); // pairs with the acquisition in `take`
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::Bulkhead;
    use std::sync::Barrier;
    use std::thread;

    fn bulkhead(limit: u32) -> Bulkhead {
        Bulkhead::builder("reserves").max_concurrent_calls(limit).build().unwrap()
    }

    fn permits(bulkhead: &Bulkhead) -> &Permits {
        &bulkhead.shared.compartment.permits
    }

    /// Changes of the word by 10,000 calls on each of two threads.
    fn changes(limit: u32, held: usize) -> u64 {
        let (bulkhead, barrier) = (bulkhead(limit), Barrier::new(2));
        let before = permits(&bulkhead).changes.load(Ordering::Relaxed);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    barrier.wait();
                    let mut in_flight = std::collections::VecDeque::new();
                    for _ in 0..10_000 {
                        in_flight.push_back(bulkhead.try_acquire().unwrap());
                        if in_flight.len() > held {
                            in_flight.pop_front();
                        }
                    }
                });
            }
        });
        let changes = permits(&bulkhead).changes.load(Ordering::Relaxed) - before;
        assert_eq!((bulkhead.totals().permitted, bulkhead.snapshot().in_flight), (20_000, 0));
        changes
    }

    #[test]
    fn calls_of_two_threads_hardly_ever_change_the_word() {
        for (limit, held) in [(64, 0), (64, 4), (100, 0), (1_000, 100), (500_000, 1_000)] {
            let changes = changes(limit, held);
            assert!(changes <= 10_000 / 16, "{changes} changes with {held} of {limit} in flight");
        }
        assert!(changes(63, 0) >= 40_000, "without reserves each call takes from the word and returns to it");
    }

    #[test]
    fn permits_that_another_thread_returns_hardly_ever_change_the_word() {
        let bulkhead = bulkhead(200);
        let (hand_over, returned) = std::sync::mpsc::sync_channel(1);
        let before = permits(&bulkhead).changes.load(Ordering::Relaxed);
        thread::scope(|scope| {
            scope.spawn(move || returned.into_iter().for_each(drop));
            (0..10_000).for_each(|_| hand_over.send(bulkhead.try_acquire().unwrap()).unwrap());
            drop(hand_over);
        });
        let changes = permits(&bulkhead).changes.load(Ordering::Relaxed) - before;
        assert!(changes <= 10_000 / 4, "{changes} changes");
        assert_eq!((bulkhead.totals().permitted, bulkhead.snapshot().in_flight), (10_000, 0));
    }

    #[test]
    fn calls_in_flight_and_reserves_never_exceed_half_of_the_limit() {
        for limit in [64, 100, 1_000] {
            let bulkhead = bulkhead(limit);
            let mut held = vec![];
            for in_flight in 0..limit {
                held.push(bulkhead.try_acquire().unwrap());
                let word = permits(&bulkhead).word();
                let expected =
                    if word.has(RESERVES) { in_flight + 1..=limit / 2 } else { in_flight + 1..=in_flight + 1 };
                assert!(expected.contains(&word.in_flight()), "{word:?} with {in_flight} others");
            }
            assert!(bulkhead.try_acquire().is_err());
            drop(held);
            assert_eq!(bulkhead.snapshot().in_flight, 0);
        }
    }

    #[test]
    fn permits_left_on_the_line_of_an_ended_thread_are_not_lost() {
        let bulkhead = bulkhead(64);
        for _ in 0..8 {
            thread::scope(|scope| scope.spawn(|| drop(bulkhead.try_acquire())).join().unwrap());
        }
        let held: Vec<_> = (0..64).map(|_| bulkhead.try_acquire().unwrap()).collect();
        assert!(bulkhead.try_acquire().is_err());
        drop(held);
    }

    #[test]
    fn a_permit_revoked_while_permits_are_in_reserve_returns_nothing() {
        let bulkhead = bulkhead(64);
        let revoked = [bulkhead.try_acquire().unwrap(), bulkhead.try_acquire().unwrap()];
        bulkhead.reset_in_flight("test");
        let held = bulkhead.try_acquire().unwrap();
        assert!(permits(&bulkhead).word().has(RESERVES));
        drop(revoked);
        assert_eq!((bulkhead.snapshot().in_flight, bulkhead.totals().revoked), (1, 2));
        drop(held);
        assert_eq!(bulkhead.snapshot().in_flight, 0);
    }

    #[test]
    fn a_limit_that_shrinks_recalls_the_reserves() {
        let bulkhead = bulkhead(640);
        let held: Vec<_> = (0..3).map(|_| bulkhead.try_acquire().unwrap()).collect();
        bulkhead.resize(3, "test").unwrap();
        assert!(bulkhead.try_acquire().is_err());
        drop(held);
        let held: Vec<_> = (0..3).map(|_| bulkhead.try_acquire().unwrap()).collect();
        assert!(bulkhead.try_acquire().is_err());
        bulkhead.resize(640, "test").unwrap();
        assert!(bulkhead.try_acquire().is_ok());
        assert!(!permits(&bulkhead).word().has(RESERVES), "a call has just been rejected");
        drop(held);
    }
}
