//! Delivery of events to listeners: as values, in order, outside every lock.
//!
//! A mechanism pushes an event while it still holds its own lock, which fixes the order, and dispatches after
//! releasing it. One thread at a time delivers; a thread that dispatches meanwhile leaves its event to that one. Each
//! event's `from` is therefore the `to` of the one before it, and a listener may call back into the mechanism.
//!
//! A thread delivers its own events, and for a tenth of a second those of others. Then it hands over to a thread that is
//! started for the rest: with a slow listener, one call would otherwise deliver what all others cause.

use crate::clock::{Clock, Instant};
use crate::panic::catch_panic;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering};
use std::collections::VecDeque;
use std::sync::Weak;
use std::time::Duration;

/// Capacity of the queue in front of a slow listener. Beyond it the oldest event is dropped and counted.
const QUEUE_MAX: usize = 1024;

/// Time for which a thread delivers events beyond those that were queued when it began.
const FOREIGN_TIME: Duration = Duration::from_millis(100);

/// Maximum length of a reason, in characters; the rest is cut.
const NOTE_MAX: usize = 512;

/// The reason of a manual change, as events carry it.
pub(crate) fn note(reason: &str) -> Arc<str> {
    reason.chars().take(NOTE_MAX).collect::<String>().into()
}

type Listener<E> = Arc<dyn Fn(&E) + Send + Sync>;

/// Listeners, each with the id of its subscription.
type Listeners<E> = Mutex<Vec<(u64, Listener<E>)>>;

/// An ordered queue of events, and its listeners.
pub(crate) struct Events<E> {
    queue: Arc<Queue<E>>,
    next_id: AtomicU64,
}

struct Queue<E> {
    waiting: Mutex<VecDeque<E>>,
    dispatching: AtomicBool,
    listeners: Arc<Listeners<E>>,
    lost: AtomicU64,
    clock: Clock,
}

impl<E> Default for Events<E> {
    fn default() -> Self {
        Self::new(if cfg!(backstop_loom) { Clock::manual().0 } else { Clock::system() }) // a model without real time is the same each run
    }
}

impl<E> Events<E> {
    /// The clock is that of the threads which deliver, not of the mechanism.
    fn new(clock: Clock) -> Self {
        let queue = Queue {
            waiting: Mutex::new(VecDeque::new()),
            dispatching: AtomicBool::new(false),
            listeners: Arc::new(Mutex::new(Vec::new())),
            lost: AtomicU64::new(0),
            clock,
        };
        Self { queue: Arc::new(queue), next_id: AtomicU64::new(0) }
    }
}

impl<E: Send + 'static> Events<E> {
    /// Queues events. The caller holds its own lock, so that the order is that of its state changes.
    pub(crate) fn push(&self, events: impl IntoIterator<Item = E>) {
        let mut waiting = self.queue.waiting.lock();
        for event in events {
            if waiting.len() == QUEUE_MAX {
                waiting.pop_front();
                self.queue.lost.fetch_add(1, Ordering::Relaxed);
            }
            waiting.push_back(event);
        }
    }

    /// Delivers the queued events: `first` gets each before the listeners do. Call it without a lock.
    pub(crate) fn dispatch(&self, first: impl Fn(&E) + Clone + Send + 'static) {
        // AcqRel: pairs with the swap in `deliver`.
        if self.queue.dispatching.swap(true, Ordering::AcqRel) {
            return; // the thread that delivers now checks the queue again after it clears the flag
        }
        let own = self.queue.waiting.lock().len();
        if !self.queue.deliver(&first, Some(own)) && !hand_over(&self.queue, &first) {
            self.queue.deliver(&first, None);
        }
    }

    /// Adds a listener until the subscription is dropped.
    pub(crate) fn subscribe(&self, listener: Listener<E>) -> Subscription {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.queue.listeners.lock().push((id, listener));
        let listeners = Arc::downgrade(&self.queue.listeners);
        Subscription { cancel: Some(Box::new(move || cancel(&listeners, id))) }
    }

    /// Number of lost deliveries: a listener panicked, or the queue was full.
    pub(crate) fn lost(&self) -> u64 {
        self.queue.lost.load(Ordering::Relaxed)
    }
}

impl<E> Queue<E> {
    /// Delivers events until none is queued; `false` if after so many of its own the time for those of others is over.
    /// The caller has set `dispatching`.
    fn deliver(&self, first: &impl Fn(&E), own: Option<usize>) -> bool {
        let (mut delivered, mut until) = (0, Instant::NEVER);
        loop {
            loop {
                if own == Some(delivered) {
                    until = self.clock.coarse().saturating_add(FOREIGN_TIME);
                }
                if until.is_reached(self.clock.coarse()) && !self.waiting.lock().is_empty() {
                    return false;
                }
                let next = self.waiting.lock().pop_front();
                let Some(event) = next else { break };
                self.guarded(|| first(&event));
                let listeners: Vec<_> = self.listeners.lock().iter().map(|(_, l)| Arc::clone(l)).collect();
                for listener in listeners {
                    let event = &event;
                    self.guarded(move || listener(event)); // by value: this may drop the listener
                }
                self.guarded(move || drop(event));
                delivered += 1;
            }
            // AcqRel: pairs with the swap in `dispatch`. A thread whose swap came in between pushed before it, so the
            // check below sees its event.
            self.dispatching.swap(false, Ordering::AcqRel);
            if self.waiting.lock().is_empty() || self.dispatching.swap(true, Ordering::AcqRel) {
                return true;
            }
        }
    }

    /// Runs user code: a panic is counted and caught.
    fn guarded(&self, deliver: impl FnOnce()) {
        if catch_panic(deliver).is_none() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Has a thread of its own deliver the rest; `false` if none can be started.
#[cfg(not(backstop_loom))]
fn hand_over<E: Send + 'static>(queue: &Arc<Queue<E>>, first: &(impl Fn(&E) + Clone + Send + 'static)) -> bool {
    let (queue, first) = (Arc::clone(queue), first.clone());
    let rest = move || {
        queue.deliver(&first, None);
    };
    std::thread::Builder::new().name("backstop-events".to_owned()).spawn(rest).is_ok()
}

/// In a model, the thread that began goes on.
#[cfg(backstop_loom)]
fn hand_over<E>(_: &Arc<Queue<E>>, _: &impl Fn(&E)) -> bool {
    false
}

fn cancel<E>(listeners: &Weak<Listeners<E>>, id: u64) {
    let Some(listeners) = listeners.upgrade() else { return };
    let mut listeners = listeners.lock();
    let gone = listeners.iter().position(|(known, _)| *known == id).map(|i| listeners.remove(i));
    drop(listeners); // before `gone`: dropping a listener may run user code
    drop(gone);
}

/// Keeps a listener subscribed; dropping it ends the subscription.
///
/// A delivery in progress on another thread may still reach the listener.
#[must_use = "dropping a subscription ends it; call `forever` to keep it"]
pub struct Subscription {
    cancel: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Subscription {
    /// Keeps the listener for as long as the mechanism lives.
    pub fn forever(mut self) {
        self.cancel = None;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(cancel) = self.cancel.take() {
            cancel();
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_event_pushed_by_a_listener_is_delivered_next() {
        let events = Arc::new(Events::<u32>::default());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (again, log) = (Arc::clone(&events), Arc::clone(&heard));
        let _subscription = events.subscribe(Arc::new(move |event| {
            log.lock().push(*event);
            if *event < 3 {
                again.push([event + 1]);
                again.dispatch(|_| {});
            }
        }));
        events.push([1]);
        events.dispatch(|_| {});
        assert_eq!(*heard.lock(), [1, 2, 3]);
    }

    #[test]
    fn a_panicking_listener_is_counted_and_the_others_get_the_event() {
        let events = Events::<u32>::default();
        let heard = Arc::new(AtomicU64::new(0));
        let _loud = events.subscribe(Arc::new(|_| panic!("listener")));
        let counter = Arc::clone(&heard);
        let second = events.subscribe(Arc::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        events.push([1]);
        events.dispatch(|_| {});
        drop(second);
        events.push([2]);
        events.dispatch(|_| {});
        assert_eq!((heard.load(Ordering::Relaxed), events.lost()), (1, 2));
    }

    #[test]
    fn the_queue_is_bounded_and_counts_what_it_drops() {
        let events = Events::<usize>::default();
        events.push(0..QUEUE_MAX + 5);
        assert_eq!(events.lost(), 5);
        assert_eq!(events.queue.waiting.lock().front(), Some(&5));
    }

    #[test]
    fn a_thread_delivers_others_events_for_a_tenth_of_a_second_then_hands_over_in_order() {
        let (clock, time) = Clock::manual();
        let events = Arc::new(Events::<usize>::new(clock));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (others, log) = (Arc::clone(&events), Arc::clone(&heard));
        let _subscription = events.subscribe(Arc::new(move |event| {
            log.lock().push((*event, std::thread::current().id()));
            time.advance(Duration::from_millis(10)); // a slow listener
            if *event == 0 {
                // Other threads cause events while this one delivers.
                let others = Arc::clone(&others);
                let causes = move || {
                    others.push(1..=500);
                    others.dispatch(|_| {});
                };
                std::thread::spawn(causes).join().expect("it returns at once");
            }
        }));
        events.push([0]);
        events.dispatch(|_| {});
        while heard.lock().len() < 501 {
            std::thread::yield_now();
        }
        let heard = heard.lock();
        assert!(heard.iter().map(|(event, _)| *event).eq(0..=500), "in order");
        let own = heard.iter().filter(|(_, thread)| *thread == std::thread::current().id()).count();
        assert_eq!(own, 1 + 10);
    }
}
