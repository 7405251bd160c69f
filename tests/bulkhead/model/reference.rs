//! A bulkhead as plainly as its rules can be written: lists that are searched from end to end, time as a number.
//!
//! - A call enters while fewer than the limit are in flight; with a soft total also while its partition is below its
//!   share. Otherwise it waits, if it may and the line is not full.
//! - As long as there is room the line is served: partitions below their share first, then in the order of the line.
//! - Each partition has places in the line of its own; the others are everybody's.
//! - Who has waited for as long as it may is out. Who waits while the line of its partition has not been empty for
//!   longer than the
//!   interval may only wait for the target.
//! - When the bulkhead is full, permits that were held for too long are taken away.

/// Milliseconds.
pub(crate) type Time = u64;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limit: usize,
    pub(crate) max_wait: Time,
    pub(crate) max_queue: usize,
    pub(crate) is_lifo: bool,
    /// The target and the interval.
    pub(crate) shedding: Option<(Time, Time)>,
    pub(crate) max_hold: Option<Time>,
    /// In percent of the limit.
    pub(crate) shares: Vec<usize>,
    pub(crate) is_soft: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Waits,
    Holds,
    /// Its permit is no longer its own.
    TakenAway,
    TimedOut,
    Shed,
    /// Rejected at once, ended or cancelled: nothing can happen to it any more.
    Over,
}

/// A call that was offered.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Which of the partitions; none for 0.
    pub(crate) partition: usize,
    pub(crate) fate: Fate,
    /// When it entered.
    since: Time,
    deadline: Time,
    is_hasty: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) permitted: u64,
    pub(crate) rejected_full: u64,
    pub(crate) timed_out: u64,
    pub(crate) shed: u64,
    pub(crate) left_queue: u64,
    pub(crate) abandoned: u64,
    pub(crate) revoked: u64,
    pub(crate) bypassed: u64,
}

pub(crate) struct Reference {
    pub(crate) settings: Settings,
    now: Time,
    /// By partition.
    last_empty: Vec<Time>,
    pub(crate) calls: Vec<Call>,
    pub(crate) counts: Counts,
    /// Calls whose permits came back.
    pub(crate) finished: u64,
}

impl Reference {
    pub(crate) fn new(settings: Settings) -> Self {
        let last_empty = vec![0; settings.shares.len() + 1];
        Self { settings, now: 0, last_empty, calls: Vec::new(), counts: Counts::default(), finished: 0 }
    }

    fn count(&self, fate: Fate, partition: Option<usize>) -> usize {
        let is_meant =
            |call: &&Call| call.fate == fate && partition.is_none_or(|partition| call.partition == partition);
        self.calls.iter().filter(is_meant).count()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.count(Fate::Holds, None)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.count(Fate::Waits, None)
    }

    /// A partition's calls in flight, and how many permits are its own.
    pub(crate) fn partition(&self, partition: usize) -> (usize, usize) {
        let own = match partition.checked_sub(1) {
            Some(place) => (self.settings.limit * self.settings.shares[place]).div_ceil(100).max(1),
            None => 0,
        };
        (self.count(Fate::Holds, Some(partition)), own)
    }

    /// The age of the call that has been in flight for longest.
    pub(crate) fn oldest(&self) -> Option<Time> {
        let held = self.calls.iter().filter(|call| call.fate == Fate::Holds);
        held.map(|call| self.now - call.since).max()
    }

    fn is_below_share(&self, partition: usize) -> bool {
        let (in_flight, own) = self.partition(partition);
        in_flight < own
    }

    fn has_room(&self, partition: usize) -> bool {
        self.in_flight() < self.settings.limit || self.settings.is_soft && self.is_below_share(partition)
    }

    /// A call asks for a permit. `wait` is how long it would wait.
    pub(crate) fn acquire(&mut self, partition: usize, wait: Time) -> Fate {
        self.settle();
        let mut call =
            Call { partition, fate: Fate::Over, since: self.now, deadline: self.now + wait, is_hasty: false };
        if self.has_room(partition) {
            call.fate = Fate::Holds;
            self.counts.permitted += 1;
        } else if wait > 0 && self.has_place(partition) {
            call.fate = Fate::Waits;
            self.note_empty();
            if let Some((target, interval)) = self.settings.shedding {
                let allowed = if self.now - self.last_empty[partition] > interval { target } else { interval };
                call.is_hasty = allowed < wait;
                call.deadline = self.now + allowed.min(wait);
            }
        } else {
            self.counts.rejected_full += 1;
        }
        let fate = call.fate;
        self.calls.push(call);
        fate
    }

    /// A permit comes back.
    pub(crate) fn release(&mut self, call: usize, is_abandoned: bool) {
        if self.calls[call].fate == Fate::Holds {
            *(if is_abandoned { &mut self.counts.abandoned } else { &mut self.finished }) += 1;
        }
        self.calls[call].fate = Fate::Over;
        self.settle();
    }

    /// A call that waits goes away; one that has been answered, and has not looked, gives its permit back.
    pub(crate) fn leave(&mut self, call: usize) {
        if self.calls[call].fate == Fate::Waits {
            self.calls[call].fate = Fate::Over;
            self.counts.left_queue += 1;
            self.note_empty();
            self.settle();
        } else {
            self.release(call, true);
        }
    }

    pub(crate) fn advance(&mut self, by: Time) {
        self.now += by;
        self.settle();
    }

    pub(crate) fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.settle();
    }

    pub(crate) fn reset_in_flight(&mut self) {
        self.take_away(|_| true);
        self.settle();
    }

    fn take_away(&mut self, is_meant: impl Fn(&Call) -> bool) {
        for call in self.calls.iter_mut().filter(|call| call.fate == Fate::Holds && is_meant(call)) {
            call.fate = Fate::TakenAway;
            self.counts.abandoned += 1;
            self.counts.revoked += 1;
        }
    }

    /// Places in the line that nobody else may take.
    fn own_places(&self, partition: usize) -> usize {
        match partition.checked_sub(1) {
            Some(place) => (self.settings.max_queue * self.settings.shares[place] / 100).max(1),
            None => 0,
        }
    }

    fn has_place(&self, partition: usize) -> bool {
        let own = self.count(Fate::Waits, Some(partition)) < self.own_places(partition);
        let spoken_for = |other| self.count(Fate::Waits, Some(other)).max(self.own_places(other));
        let lent = (0..=self.settings.shares.len()).map(spoken_for).sum::<usize>() < self.settings.max_queue;
        self.waiting() < self.settings.max_queue && (own || lent)
    }

    fn note_empty(&mut self) {
        for partition in 0..self.last_empty.len() {
            if self.count(Fate::Waits, Some(partition)) == 0 {
                self.last_empty[partition] = self.now;
            }
        }
    }

    /// Does what is due.
    pub(crate) fn settle(&mut self) {
        let now = self.now;
        if let Some(max_hold) = self.settings.max_hold
            && self.in_flight() >= self.settings.limit
        {
            self.take_away(|call| call.since + max_hold <= now);
        }
        for call in 0..self.calls.len() {
            if self.calls[call].fate == Fate::Waits && self.calls[call].deadline <= now {
                let is_hasty = self.calls[call].is_hasty;
                self.calls[call].fate = if is_hasty { Fate::Shed } else { Fate::TimedOut };
                *(if is_hasty { &mut self.counts.shed } else { &mut self.counts.timed_out }) += 1;
                self.note_empty();
            }
        }
        while let Some(call) = self.next() {
            self.calls[call].fate = Fate::Holds;
            self.calls[call].since = now;
            self.counts.permitted += 1;
            self.note_empty();
        }
    }

    fn next(&self) -> Option<usize> {
        let mut line: Vec<usize> = (0..self.calls.len()).filter(|&i| self.calls[i].fate == Fate::Waits).collect();
        if self.settings.is_lifo {
            line.reverse();
        }
        let partition = |call: usize| self.calls[call].partition;
        let first = line.iter().find(|&&call| self.has_room(partition(call)) && self.is_below_share(partition(call)));
        first.or_else(|| line.iter().find(|&&call| self.has_room(partition(call)))).copied()
    }
}
