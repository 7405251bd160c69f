//! Permits, counted in one word.
//!
//! tokio's semaphore costs 22 ns a call without a queue, and twice that where its permits are owned; a mutex
//! round a counter 20. One compare-and-swap to take and one to give back cost 11, and are exact: adding first
//! and looking afterwards rejects calls near the limit that had a place. `benches/` has the figures.
//!
//! ```text
//!  63     permitted     42 41 flags 36 35 seal 32 31  epoch  20 19   in flight    0
//! ```
//!
//! - *permitted* counts the permits given, so that counting them costs nothing. It wraps after some 4 million;
//!   one in a million callers adds up the difference.
//! - *flags* send the next caller to the slow path.
//! - *seal* changes with the limit, which stands beside the word: an acquisition that read the old limit fails
//!   to swap.
//! - *epoch* changes when permits are revoked; a permit of an earlier epoch returns
//!   nothing.
//!
//! # Memory ordering
//!
//! A limit is stored before its seal (release), and read after the word that carries the seal (acquire). A
//! permit is given back with release and taken with acquire, as with any lock: what the last holder wrote is
//! seen by the next.

use super::config::check::LIMIT_MAX;
use super::in_flight::CallId;
use crate::sync::{AtomicU64, Ordering};

const IN_FLIGHT: u64 = (1 << 20) - 1;
pub(crate) const EPOCH_SHIFT: u32 = 20;
const EPOCH: u64 = 0xfff << EPOCH_SHIFT;
const SEAL_ONE: u64 = 1 << 32;
const SEAL: u64 = 0xf << 32;
const PERMITTED_SHIFT: u32 = 42;
pub(crate) const PERMITTED_ONE: u64 = 1 << PERMITTED_SHIFT;
const PERMITTED_MASK: u64 = u64::MAX >> PERMITTED_SHIFT;

// Guaranteed shares may come on top of the limit: twice of it, and what rounding adds, fits.
const _: () = assert!(2 * (LIMIT_MAX as u64 + 64) <= IN_FLIGHT);

/// Permits after which the caller looks whether a publication is due.
const LOOK_EVERY: u64 = 64;

/// Permits after which the caller adds up their number, before it wraps.
const COUNT_EVERY: u64 = 1 << 20;

/// Calls wait: permits are handed to them, under the lock.
pub(crate) const WAITERS: u64 = 1 << 36;
/// Every permit is taken and given back under the lock.
pub(crate) const LOCKED: u64 = 1 << 37;
/// Calls that find no permit may wait.
pub(crate) const QUEUES: u64 = 1 << 38;
/// Calls have lately been rejected.
pub(crate) const REJECTING: u64 = 1 << 39;
/// Each call looks whether a publication is due.
pub(crate) const LOOKS: u64 = 1 << 40;
/// Of the permits in flight, some are in [reserve](super::reserves).
pub(crate) const RESERVES: u64 = 1 << 41;

#[derive(Debug)]
pub(crate) struct PermitWord {
    word: AtomicU64,
    limit: AtomicU64,
    /// Changes of the word.
    #[cfg(all(test, not(backstop_loom)))]
    pub(crate) changes: AtomicU64,
}

/// The word at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    #[inline]
    pub(crate) const fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    #[inline]
    pub(crate) const fn in_flight(self) -> u32 {
        (self.0 & IN_FLIGHT) as u32
    }

    #[inline]
    pub(crate) const fn epoch(self) -> u16 {
        ((self.0 & EPOCH) >> EPOCH_SHIFT) as u16
    }

    /// Returns whether the caller looks whether a publication is due.
    #[inline]
    pub(crate) const fn looks(self) -> bool {
        self.has(LOOKS) || self.0 & ((LOOK_EVERY - 1) << PERMITTED_SHIFT) == 0
    }

    /// Returns whether the number of permits has to be added up.
    pub(crate) const fn counts(self) -> bool {
        self.0 & ((COUNT_EVERY - 1) << PERMITTED_SHIFT) == 0
    }

    /// Permits given since `earlier`, which is what this returned before.
    pub(crate) const fn permitted_since(self, earlier: u64) -> (u64, u64) {
        let permitted = self.0 >> PERMITTED_SHIFT;
        (permitted, permitted.wrapping_sub(earlier) & PERMITTED_MASK)
    }
}

impl PermitWord {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            word: AtomicU64::new(0),
            limit: AtomicU64::new(u64::from(limit)),
            #[cfg(all(test, not(backstop_loom)))]
            changes: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        // Acquire: pairs with the seal in `set_limit`, so that the limit is at least as new as the word.
        Word(self.word.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn limit(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "a limit is a u32")]
        {
            self.limit.load(Ordering::Relaxed) as u32
        }
    }

    /// Takes a permit if there is one and none of the `barriers` is set; `Err` is the word that blocked it.
    pub(crate) fn take(&self, barriers: u64) -> Result<Word, Word> {
        self.take_from(self.word(), barriers)
    }

    /// [`take`](Self::take) by a caller that has just read the word.
    #[inline]
    pub(crate) fn take_from(&self, Word(mut word): Word, barriers: u64) -> Result<Word, Word> {
        loop {
            if word & barriers != 0 || word & IN_FLIGHT >= self.limit.load(Ordering::Relaxed) {
                return Err(Word(word));
            }
            match self.swap(word, word.wrapping_add(PERMITTED_ONE + 1)) {
                Ok(next) => return Ok(next),
                Err(now) => word = now,
            }
        }
    }

    /// Takes a permit, limit or not.
    pub(crate) fn take_anyway(&self) -> Word {
        Word(self.update(|word| word.wrapping_add(PERMITTED_ONE + 1)).0.wrapping_add(PERMITTED_ONE + 1))
    }

    /// Returns a permit of this epoch; `None` if it was revoked.
    pub(crate) fn give_back(&self, epoch: u16) -> Option<Word> {
        self.give_back_to(self.word(), epoch)
    }

    /// [`give_back`](Self::give_back) by a caller that has just read the word.
    #[inline]
    pub(crate) fn give_back_to(&self, Word(mut word): Word, epoch: u16) -> Option<Word> {
        loop {
            // No permit is out: an epoch of 4,096 resets ago has come round.
            if Word(word).epoch() != epoch || word & IN_FLIGHT == 0 {
                return None;
            }
            match self.swap(word, word - 1) {
                Ok(next) => return Some(next),
                Err(now) => word = now,
            }
        }
    }

    /// Sets the limit. No acquisition that comes later goes by the old one. The caller holds the lock.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(u64::from(limit), Ordering::Relaxed);
        self.update(|word| (word & !SEAL) | (word.wrapping_add(SEAL_ONE) & SEAL));
    }

    /// Takes every permit away from its holder. The caller holds the lock. Returns how many there were.
    pub(crate) fn revoke(&self) -> u32 {
        let next_epoch = |word: u64| word.wrapping_add(1 << EPOCH_SHIFT) & EPOCH;
        self.update(|word| (word & !(IN_FLIGHT | EPOCH)) | next_epoch(word)).in_flight()
    }

    pub(crate) fn set(&self, flags: u64, on: bool) {
        self.update(|word| if on { word | flags } else { word & !flags });
    }

    /// Changes the word and returns what it was.
    pub(crate) fn update(&self, change: impl Fn(u64) -> u64) -> Word {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            match self.swap(word, change(word)) {
                Ok(_) => return Word(word),
                Err(now) => word = now,
            }
        }
    }

    /// Changes the word unless `change` refuses, and returns what it is then.
    pub(crate) fn update_if(&self, change: impl Fn(Word) -> Option<u64>) -> Option<Word> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            match self.swap(word, change(Word(word))?) {
                Ok(next) => return Some(next),
                Err(now) => word = now,
            }
        }
    }

    /// Every change of the word.
    #[inline]
    fn swap(&self, word: u64, next: u64) -> Result<Word, u64> {
        // Acquire: pairs with the release of a permit, and with the seal. Release: pairs with the acquisition in `take`.
        let swapped = self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire);
        #[cfg(all(test, not(backstop_loom)))]
        self.changes.fetch_add(u64::from(swapped.is_ok()), Ordering::Relaxed);
        swapped.map(|_| Word(next))
    }
}

/// A permit's own data, small enough to travel with the call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) hold: CallId,
    pub(super) epoch: u16,
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_permit_of_an_earlier_epoch_returns_nothing() {
        let permits = PermitWord::new(2);
        let old = permits.take(0).unwrap().epoch();
        assert_eq!(permits.revoke(), 1);
        let new = permits.take(0).unwrap().epoch();
        assert!(permits.give_back(old).is_none());
        assert_eq!(permits.word().in_flight(), 1);
        assert_eq!(permits.give_back(new).unwrap().in_flight(), 0);
    }

    #[test]
    fn permitted_calls_are_told_although_their_count_wraps() {
        let permits = PermitWord::new(1);
        permits.word.store(PERMITTED_MASK << PERMITTED_SHIFT, Ordering::Relaxed);
        let (earlier, _) = permits.word().permitted_since(0);
        for _ in 0..3 {
            let epoch = permits.take(0).unwrap().epoch();
            permits.give_back(epoch).unwrap();
        }
        assert_eq!(permits.word().permitted_since(earlier), (2, 3));
    }

    #[test]
    fn the_seal_and_the_epoch_wrap_within_their_places() {
        let permits = PermitWord::new(7);
        permits.set(QUEUES, true);
        for _ in 0..5_000 {
            permits.set_limit(9);
            permits.take(0).unwrap();
            permits.revoke();
        }
        assert!(permits.give_back(permits.word().epoch()).is_none(), "a second return has no effect");
        let word = permits.word();
        assert!(word.has(QUEUES) && !word.has(WAITERS | LOCKED | REJECTING));
        assert_eq!((word.in_flight(), word.epoch(), permits.limit()), (0, 5_000 % 4_096, 9));
        assert_eq!(word.permitted_since(0).1, 5_000);
    }
}
