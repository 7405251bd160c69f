//! The path of a call: it enters, perhaps waits, and exits.
//!
//! [`enter`] takes a permit with one swap, or rejects after one load. Permits may be in [reserve](super::reserves). Everything that needs thought, calls that wait,
//! partitions, calls that are timed, goes through the lock of its [compartment](crate::bulkhead::compartment).

use super::compartment::{AfterUnlock, Answer, count_exit, follow_up};
use super::counters::count;
use super::in_flight::CallId;
use super::owner::PermitOwner;
use super::permit_word::{LOCKED, LOOKS, QUEUES, REJECTING, RESERVES, Ticket, WAITERS, Word};
use crate::clock::Instant;
use crate::outcome::Outcome;
use crate::reject::{RejectReason, Rejected};
use crate::sync::Ordering;
use crate::upload::Upload;
use std::task::Waker;
use std::time::Duration;

/// Number of rejections after which the rejected caller looks whether a publication is due.
const LOOK_EVERY: u64 = 64;

/// Whether a call waits when it finds no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    AsConfigured,
    Within(Duration),
}

#[derive(Debug)]
pub(super) enum Entry {
    Permit(Ticket),
    /// It waits, under this number.
    Queued(u64),
    Rejected(Rejected),
}

/// Lock-free fast path. `Err` is the state word that blocked it.
#[inline]
pub(super) fn try_enter_fast<H: PermitOwner>(holder: &H) -> Result<Ticket, Word> {
    holder.compartment().permits.take_fast().map(|word| entered(holder, word))
}

#[inline]
fn entered<H: PermitOwner>(holder: &H, word: Word) -> Ticket {
    holder.count_permit();
    if word.has(REJECTING) || word.looks() || holder.asks_to_look() {
        after_entry(holder, word);
    }
    Ticket { hold: CallId::NONE, epoch: word.epoch() }
}

/// A call asks for a permit. Whether it can wait is asked when it may have to.
#[inline]
pub(super) fn enter<H: PermitOwner>(holder: &H, wait: Wait, can_wait: impl FnOnce() -> bool) -> Entry {
    match try_enter_fast(holder) {
        Ok(ticket) => Entry::Permit(ticket),
        Err(word) => enter_blocked(holder, word, wait, can_wait),
    }
}

/// A call for which [`try_enter_fast`] found no permit, or that needs thought.
#[inline]
pub(super) fn enter_blocked<H: PermitOwner>(
    holder: &H,
    word: Word,
    wait: Wait,
    can_wait: impl FnOnce() -> bool,
) -> Entry {
    let word = match reserve(holder, word) {
        Ok(ticket) => return Entry::Permit(ticket),
        Err(word) => word,
    };
    let may_wait = wait != Wait::No && (word.has(QUEUES) || wait != Wait::AsConfigured);
    if word.has(LOCKED | WAITERS) || may_wait || !word.has(REJECTING) {
        return enter_slow(holder, if can_wait() { wait } else { Wait::No });
    }
    Entry::Rejected(reject(holder, word, RejectReason::Full))
}

/// Takes a permit and some more into reserve, if that is what blocked the fast path.
#[inline]
fn reserve<H: PermitOwner>(holder: &H, word: Word) -> Result<Ticket, Word> {
    let compartment = holder.compartment();
    if !compartment.permits.may_reserve(word) {
        return Err(word);
    }
    compartment.reserve().map(|word| entered(holder, word))
}

fn reject<H: PermitOwner>(holder: &H, word: Word, reason: RejectReason) -> Rejected {
    let rejected = holder.compartment().rejected.fetch_add(1, Ordering::Relaxed) + 1;
    holder.count_rejection();
    if rejected.is_multiple_of(LOOK_EVERY) || word.has(LOOKS) || holder.asks_to_look() {
        holder.look();
    }
    holder.counters().rejected(reason)
}

#[cold]
#[inline(never)]
fn after_entry<H: PermitOwner>(holder: &H, word: Word) {
    if word.has(REJECTING) {
        holder.compartment().look(holder, false);
    }
    if word.counts() {
        holder.compartment().counted(holder.counters()); // or the count of permits would wrap unseen
    }
    if word.looks() || holder.asks_to_look() {
        holder.look();
    }
}

#[cold]
#[inline(never)]
fn enter_slow<H: PermitOwner>(holder: &H, wait: Wait) -> Entry {
    let compartment = holder.compartment();
    let (partition, now) = (holder.partition(), holder.counters().clock.now());
    let mut after = AfterUnlock::default();
    let mut core = compartment.core(holder.counters());
    compartment.serve(&mut core, holder, now, &mut after);
    let entry = if let Some(word) = compartment.claim(&core, partition) {
        let times_holds = core.machine.times_holds();
        let hold = core.machine.enter(partition, word.in_flight(), now);
        if times_holds != core.machine.times_holds() {
            after.wake_waiting(&mut core);
        }
        after.looks |= word.looks();
        core.count_permits(word);
        holder.count_permit();
        Ok(Entry::Permit(Ticket { hold, epoch: word.epoch() }))
    } else {
        let max_wait = match wait {
            Wait::No => Duration::ZERO,
            Wait::AsConfigured => core.machine.config().max_wait,
            Wait::Within(wait) => wait,
        };
        core.machine.enqueue(partition, max_wait, now, None).map(Entry::Queued)
    };
    match &entry {
        Ok(Entry::Queued(_)) => {
            count(&holder.counters().waiting);
            compartment.permits.set(WAITERS, true);
            compartment.serve(&mut core, holder, now, &mut after);
        }
        Err(_) => compartment.note_rejection(&mut core, holder, now, &mut after),
        Ok(_) => {}
    }
    drop(core);
    follow_up(holder, after);
    if let Ok(Entry::Permit(_)) = entry
        && compartment.permits.word().has(REJECTING)
    {
        compartment.look(holder, false);
    }
    entry.unwrap_or_else(|reason| Entry::Rejected(reject(holder, compartment.permits.word(), reason)))
}

/// Returns a permit. `outcome` is the sample of an adaptive limit.
#[inline]
pub(super) fn exit<H: PermitOwner>(holder: &H, ticket: Ticket, outcome: Option<Outcome>, is_abandoned: bool) {
    if ticket.hold != CallId::NONE {
        return exit_slow(holder, ticket, outcome, is_abandoned);
    }
    let permits = &holder.compartment().permits;
    let word = permits.word();
    if word.has(RESERVES) {
        // The flags of this word will do: while calls wait, no line has room.
        if permits.give_back_fast(ticket.epoch) {
            exited(holder, word, is_abandoned);
        } else {
            exit_stowing(holder, word, ticket, is_abandoned);
        }
    } else if let Some(word) = permits.give_back_to(word, ticket.epoch) {
        exited(holder, word, is_abandoned);
    }
}

#[cold]
#[inline(never)]
fn exit_stowing<H: PermitOwner>(holder: &H, word: Word, ticket: Ticket, is_abandoned: bool) {
    if let Some(word) = holder.compartment().stow(word, ticket.epoch) {
        exited(holder, word, is_abandoned);
    }
}

#[inline]
fn exited<H: PermitOwner>(holder: &H, word: Word, is_abandoned: bool) {
    count_exit(holder, is_abandoned);
    if word.has(WAITERS | LOOKS) || holder.asks_to_look() {
        after_exit(holder, word);
    }
}

#[cold]
#[inline(never)]
fn after_exit<H: PermitOwner>(holder: &H, word: Word) {
    if word.has(WAITERS) {
        serve(holder);
    }
    if word.has(LOOKS) || holder.asks_to_look() {
        holder.look();
    }
}

#[inline(never)]
fn exit_slow<H: PermitOwner>(holder: &H, ticket: Ticket, outcome: Option<Outcome>, is_abandoned: bool) {
    let compartment = holder.compartment();
    let now = holder.counters().clock.now();
    let mut after = AfterUnlock::default();
    let mut core = compartment.core(holder.counters());
    let exit = core.machine.exit(ticket.hold, outcome, now);
    let word = if exit.is_late { None } else { compartment.permits.give_back(ticket.epoch) };
    let is_back = word.is_some();
    after.looks |= word.is_some_and(|word| word.has(LOOKS));
    if let Some(limit) = exit.limit {
        compartment.permits.set_limit(limit);
    }
    compartment.serve(&mut core, holder, now, &mut after);
    drop(core);
    if is_back {
        count_exit(holder, is_abandoned);
    }
    follow_up(holder, after);
}

/// A call has been answered and still holds its permit: its round trip is over.
pub(super) fn sample<H: PermitOwner>(holder: &H, ticket: Ticket, outcome: Outcome) {
    if ticket.hold == CallId::NONE {
        return;
    }
    holder.compartment().change(holder, |compartment, core, now| {
        if let Some(limit) = core.machine.sample(ticket.hold, outcome, now) {
            compartment.permits.set_limit(limit);
        }
        None
    });
}

/// Watches how long the handler waits for its caller's body, if the time of answers matters.
#[cold]
pub(super) fn watch_upload<H: PermitOwner, Request: 'static>(holder: &H, request: &mut Request) -> Option<Upload> {
    let (compartment, counters) = (holder.compartment(), holder.counters());
    let times = compartment.permits.word().has(LOCKED) && compartment.core(counters).machine.times_answers();
    times.then(|| crate::upload::watch(request, &counters.clock, true)).flatten()
}

/// The handler of a call may wait for its caller's body.
pub(super) fn follow_upload<H: PermitOwner>(holder: &H, ticket: Ticket, upload: Upload) {
    if ticket.hold != CallId::NONE {
        holder.compartment().core(holder.counters()).machine.follow_upload(ticket.hold, upload);
    }
}

/// The end of the permit's `max_hold`; `None` if it is not timed, or was revoked.
#[cfg(feature = "http")]
pub(super) fn held_until<H: PermitOwner>(holder: &H, ticket: Ticket) -> Option<Instant> {
    if ticket.hold == CallId::NONE {
        return None;
    }
    holder.compartment().core(holder.counters()).machine.held_until(ticket.hold)
}

/// Returns whether a permit is still its holder's.
pub(super) fn is_held<H: PermitOwner>(holder: &H, ticket: Ticket) -> bool {
    let compartment = holder.compartment();
    let is_current = compartment.permits.word().epoch() == ticket.epoch;
    is_current && (ticket.hold == CallId::NONE || compartment.core(holder.counters()).machine.is_held(ticket.hold))
}

// ---- calls that wait

/// The answer to a waiting call, or when to look again at the latest.
pub(super) fn poll_answer<H: PermitOwner>(holder: &H, id: u64, waker: &Waker) -> Result<Answer, Instant> {
    let compartment = holder.compartment();
    let now = holder.counters().clock.now();
    let mut after = AfterUnlock::default();
    let mut waker = Some(waker.clone()); // a waker is foreign code: it is cloned and dropped without the lock
    let mut core = compartment.core(holder.counters());
    compartment.serve(&mut core, holder, now, &mut after);
    let answer = core.answers.remove(&id).ok_or_else(|| match core.machine.waiting(holder.partition(), id) {
        Some((wake, look_at)) => {
            std::mem::swap(wake, &mut waker);
            look_at
        }
        None => Instant::NEVER, // polled after its answer
    });
    drop(core);
    follow_up(holder, after);
    answer
}

/// A caller goes away that waited. A permit that it was given meanwhile goes on to the next.
pub(super) fn leave<H: PermitOwner>(holder: &H, id: u64) {
    let mut left = None;
    holder.compartment().change(holder, |_, core, now| {
        left = core.machine.leave(holder.partition(), id, now);
        if left.is_some() {
            count(&holder.counters().left_queue);
            holder.counters().waiting.fetch_sub(1, Ordering::Relaxed);
        }
        None
    });
    if left.is_none() {
        let answer = holder.compartment().core(holder.counters()).answers.remove(&id);
        if let Some(Answer { result: Ok(ticket), .. }) = answer {
            exit(holder, ticket, None, true);
        }
    }
}

#[cold]
#[inline(never)]
fn serve<H: PermitOwner>(holder: &H) {
    holder.compartment().change(holder, |_, _, _| None);
}
