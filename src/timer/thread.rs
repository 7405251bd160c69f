//! One thread for the timers of the process. It starts with the first of them, and is parked while there are none.

use crate::clock::{Clock, Instant};
use crate::panic::catch_panic;
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::Duration;

static ALARMS: Mutex<Alarms> =
    Mutex::new(Alarms { thread: None, set: BTreeMap::new(), last: 0, wakes_at: Instant::NEVER });

struct Alarms {
    thread: Option<Thread>,
    /// By time, then by number.
    set: BTreeMap<(Instant, u64), Waker>,
    last: u64,
    /// The thread looks again at this time. One that was taken back meanwhile may leave it too early.
    wakes_at: Instant,
}

/// Wakes a task once. Dropping it takes it back.
#[derive(Debug)]
pub(super) struct Alarm((Instant, u64));

impl Alarm {
    /// `None` if no thread can be started.
    pub(super) fn set(after: Duration, waker: &Waker) -> Option<Self> {
        let at = Clock::system().now().saturating_add(after);
        let waker = waker.clone(); // foreign code, as its drop is: both outside the lock
        let mut alarms = ALARMS.lock();
        if alarms.thread.is_none() {
            let started = thread::Builder::new().name("backstop-timer".into()).spawn(|| run()).ok()?;
            alarms.thread = Some(started.thread().clone());
        }
        alarms.last += 1;
        let key = (at, alarms.last);
        alarms.set.insert(key, waker);
        if at < alarms.wakes_at {
            alarms.wakes_at = at;
            alarms.thread.iter().for_each(Thread::unpark);
        }
        Some(Self(key))
    }

    /// Returns whether its time is over; otherwise it will wake this task.
    pub(super) fn is_over(&mut self, waker: &Waker) -> bool {
        let mut waker = waker.clone();
        let mut alarms = ALARMS.lock();
        let known = alarms.set.get_mut(&self.0).map(|known| std::mem::swap(known, &mut waker));
        drop(alarms); // before the old waker
        known.is_none()
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let waker = ALARMS.lock().set.remove(&self.0);
        drop(waker);
    }
}

fn run() -> ! {
    loop {
        let now = Clock::system().now();
        let mut over = Vec::new();
        let mut alarms = ALARMS.lock();
        while let Some(first) = alarms.set.first_entry().filter(|first| first.key().0.is_reached(now)) {
            over.push(first.remove());
        }
        let next = alarms.set.first_key_value().map_or(Instant::NEVER, |((at, _), _)| *at);
        alarms.wakes_at = next;
        drop(alarms);
        for waker in over {
            catch_panic(|| waker.wake()); // one that panics must not cost the others their turn
        }
        // An alarm that was set meanwhile has left a token: it does not park.
        if next == Instant::NEVER {
            thread::park();
        } else {
            thread::park_timeout(next.saturating_duration_since(Clock::system().now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::task::Wake;

    struct Told(u64, mpsc::Sender<u64>);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            let _ = self.1.send(self.0);
            assert!(self.0 != 20, "one that panics");
        }
    }

    #[test]
    fn alarms_wake_in_the_order_of_their_times_and_not_once_they_are_taken_back() {
        let (sender, told) = mpsc::channel();
        let set = |millis| {
            let waker = Waker::from(Arc::new(Told(millis, sender.clone())));
            Alarm::set(Duration::from_millis(millis), &waker).unwrap()
        };
        let [mut late, early, gone, _broken] = [60, 5, 10, 20].map(set);
        drop(gone);
        assert_eq!([told.recv(), told.recv(), told.recv()], [Ok(5), Ok(20), Ok(60)]);
        assert!(late.is_over(Waker::noop()));
        drop(early);
        let mut moved = set(30);
        let other = Waker::from(Arc::new(Told(7, sender.clone())));
        assert!(!moved.is_over(&other));
        assert_eq!(told.recv(), Ok(7), "the last task that asked");
    }
}
