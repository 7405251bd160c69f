//! Queue of a receiver: pages first, each in the order in which they come.

use crate::rollback::plan::Level;
use std::collections::VecDeque;

/// Most alerts that wait for a receiver.
const QUEUE: usize = 100;

/// An alert, and the attempts to send it that failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    pub(super) level: Level,
    pub(super) text: String,
    pub(super) failed: usize,
}

#[derive(Default)]
pub(super) struct Inbox {
    pages: VecDeque<Waiting>,
    others: VecDeque<Waiting>,
    /// The one that is being sent.
    busy: Option<Waiting>,
    pub(super) is_over: bool,
}

impl Inbox {
    /// Adds an alert. Returns whether one was lost: beyond the limit the oldest that wakes no person, else the oldest.
    pub(super) fn push(&mut self, level: Level, text: String) -> bool {
        let is_full = self.pages.len() + self.others.len() >= QUEUE;
        if is_full && self.others.pop_front().is_none() {
            if level < Level::Page {
                return true;
            }
            self.pages.pop_front();
        }
        self.queue(level).push_back(Waiting { level, text, failed: 0 });
        is_full
    }

    /// The next one to send. It counts as not sent until the next call.
    pub(super) fn take(&mut self) -> Option<Waiting> {
        let next = self.pages.pop_front().or_else(|| self.others.pop_front());
        self.busy.clone_from(&next);
        next
    }

    /// Puts one back that is to be tried again: before those that came after it, and behind pages if it is none.
    pub(super) fn put_back(&mut self, alert: Waiting) {
        self.busy = None;
        self.queue(alert.level).push_front(alert);
    }

    /// Returns whether a page waits.
    pub(super) fn has_page(&self) -> bool {
        !self.pages.is_empty()
    }

    /// Alerts that are not sent.
    pub(super) fn unsent(&self) -> impl Iterator<Item = &Waiting> {
        self.busy.iter().chain(&self.pages).chain(&self.others)
    }

    fn queue(&mut self, level: Level) -> &mut VecDeque<Waiting> {
        if level == Level::Page { &mut self.pages } else { &mut self.others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(inbox: &mut Inbox) -> Vec<String> {
        std::iter::from_fn(|| inbox.take()).map(|alert| alert.text).collect()
    }

    #[test]
    fn pages_are_sent_before_the_rest_and_each_in_their_order() {
        let mut inbox = Inbox::default();
        for (level, text) in [(Level::Info, "a"), (Level::Page, "b"), (Level::Notify, "c"), (Level::Page, "d")] {
            assert!(!inbox.push(level, text.to_owned()));
        }
        assert_eq!(texts(&mut inbox), ["b", "d", "a", "c"]);
        assert_eq!(inbox.unsent().count(), 0);
    }

    #[test]
    fn an_alert_that_is_tried_again_keeps_its_place_and_waits_for_pages_only() {
        let mut inbox = Inbox::default();
        inbox.push(Level::Info, "a".to_owned());
        inbox.push(Level::Info, "b".to_owned());
        let first = inbox.take().unwrap();
        assert_eq!(inbox.unsent().count(), 2);
        inbox.push(Level::Page, "c".to_owned());
        inbox.put_back(Waiting { failed: 1, ..first });
        assert!(inbox.has_page());
        assert_eq!(texts(&mut inbox), ["c", "a", "b"]);
    }

    #[test]
    fn a_full_queue_loses_the_oldest_that_wakes_no_person_and_no_page_for_less() {
        let mut inbox = Inbox::default();
        inbox.push(Level::Page, "page".to_owned());
        let lost = (0..200).filter(|number| inbox.push(Level::Info, number.to_string())).count();
        assert_eq!((inbox.others.len(), &*inbox.pages[0].text, lost), (QUEUE - 1, "page", 101));
        assert_eq!(inbox.others[0].text, "101", "the oldest are lost");
        assert!((0..200).all(|number| inbox.push(Level::Page, number.to_string())));
        assert!(inbox.push(Level::Info, "info".to_owned()));
        assert_eq!((inbox.pages.len(), &*inbox.pages[QUEUE - 1].text), (QUEUE, "199"));
    }
}
