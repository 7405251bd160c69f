//! Segments of requests: a set that the configuration names.

use super::config::{OTHER, SignalsConfig};
use crate::sync::{AtomicBool, Mutex, Ordering};

/// Source of the segment of a request. Implemented by functions from a request to the name of its segment.
pub trait Segments<Request> {
    /// The name of the segment.
    fn segment<'a>(&self, request: &'a Request) -> &'a str;
}

impl<Request, F> Segments<Request> for F
where
    F: for<'a> Fn(&'a Request) -> &'a str,
{
    fn segment<'a>(&self, request: &'a Request) -> &'a str {
        self(request)
    }
}

/// All requests are in one segment: `default`, or `other` where segments are configured.
#[derive(Clone, Copy, Debug)]
pub struct Undivided;

impl<Request> Segments<Request> for Undivided {
    #[inline]
    fn segment<'a>(&self, _: &'a Request) -> &'a str {
        OTHER
    }
}

/// The configured segments, and the first name that is none of them.
#[derive(Debug)]
pub(super) struct SegmentSet {
    pub(super) names: Box<[&'static str]>,
    has_unknown: AtomicBool,
    unknown: Mutex<Option<Box<str>>>,
}

impl SegmentSet {
    pub(super) fn new(config: &SignalsConfig) -> Self {
        let names = config.segments().into();
        Self { names, has_unknown: AtomicBool::new(false), unknown: Mutex::new(None) }
    }

    /// The place of the last segment, that of requests which belong to no other.
    pub(super) fn last(&self) -> u8 {
        u8::try_from(self.names.len() - 1).expect("the settings allow 32 segments")
    }

    /// The place of a segment.
    #[inline]
    pub(super) fn find(&self, service: &str, name: &str) -> u8 {
        #[expect(clippy::cast_possible_truncation, reason = "the settings allow 32 segments")]
        if let Some(place) = self.names.iter().position(|known| *known == name) {
            return place as u8;
        }
        if name != OTHER && !self.has_unknown.load(Ordering::Relaxed) {
            self.note_unknown(service, name);
        }
        self.last()
    }

    /// The first name that is no segment.
    pub(super) fn unknown(&self) -> Option<String> {
        self.unknown.lock().as_deref().map(str::to_owned)
    }

    #[cold]
    fn note_unknown(&self, service: &str, name: &str) {
        if self.has_unknown.swap(true, Ordering::Relaxed) {
            return;
        }
        let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "backstop::signals",
            service,
            segment = shown,
            known = ?self.names,
            "a request is in a segment that is not configured: it and others like it count as the last of those known"
        );
        #[cfg(not(feature = "tracing"))]
        let _ = service;
        *self.unknown.lock() = Some(shown.into());
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_counts_as_other_and_is_told() {
        let config = SignalsConfig::builder().segments(["web", "mobile"]).build().unwrap();
        let set = SegmentSet::new(&config);
        assert_eq!((set.find("shop", "mobile"), set.find("shop", OTHER), set.unknown()), (1, 2, None));
        assert_eq!((set.find("shop", "moblie"), set.find("shop", "wbe")), (2, 2));
        assert_eq!(set.unknown().as_deref(), Some("moblie"));
    }
}
