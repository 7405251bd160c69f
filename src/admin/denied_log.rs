//! Audit of denied requests: the same denial at most once a minute, so that they cannot fill the disk, and behind a
//! bulkhead, so that an audit that hangs blocks no engagement.
//!
//! Denials of requests without a valid token are only logged.

use crate::bulkhead::Bulkhead;
use crate::clock::Timestamp;
use crate::config::ConfigError;
use crate::sync::Mutex;
use http::header::HeaderMap;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time in which the same denial is not recorded again.
const QUIET: Duration = Duration::from_secs(60);
/// Denials remembered for that long, at most.
const KEYS_MAX: usize = 1_000;
/// Longest wait of an answer for the audit.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Recent denials, by actor, path and reason.
pub(super) struct DeniedLog {
    lately: Mutex<BTreeMap<(String, &'static str, &'static str), Timestamp>>,
    /// One is written down at a time; what comes meanwhile is not.
    pub(super) place: Bulkhead,
}

/// A denied request.
#[derive(Clone, Copy)]
pub(super) struct DeniedRequest<'a> {
    pub(super) path: &'static str,
    pub(super) about: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) code: &'static str,
}

impl DeniedLog {
    pub(super) fn new() -> Result<Self, ConfigError> {
        let place = Bulkhead::builder("backstop-admin-refusals").max_concurrent_calls(1).build()?;
        Ok(Self { lately: Mutex::default(), place })
    }

    /// Returns whether a denial has not been recorded lately.
    pub(super) fn is_new(&self, key: (String, &'static str, &'static str), now: Timestamp) -> bool {
        let mut lately = self.lately.lock();
        lately.retain(|_, at| now.duration_since(*at).unsigned_abs() < QUIET);
        let is_new = lately.len() < KEYS_MAX && !lately.contains_key(&key);
        if is_new {
            lately.insert(key, now);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_is_told_once_a_minute() {
        let denied_log = DeniedLog::new().unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let is_new = |actor: &str, path, second| denied_log.is_new((actor.to_owned(), path, "wrong_verb"), at(second));
        assert!(is_new("vera", "engage", 0) && is_new("vera", "release", 0) && is_new("otto", "engage", 0));
        assert!(!is_new("vera", "engage", 59) && is_new("vera", "engage", 60) && !is_new("vera", "engage", 61));
        assert!((0..2_000).filter(|number| is_new(&number.to_string(), "engage", 61)).count() < KEYS_MAX);
    }
}
