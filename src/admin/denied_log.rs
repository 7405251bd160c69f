//! Audit of denied requests: once a minute for the same denial, so that they cannot fill the
//! disk, and in a place of its own, so that an audit that hangs blocks no engagement.
//!
//! Of strangers there is only the log.

use super::auth::whose;
use crate::bulkhead::Bulkhead;
use crate::clock::{Timestamp, timestamp};
use crate::config::ConfigError;
use crate::kill_switch::SwitchId;
use crate::kill_switch::access::AccessList;
use crate::kill_switch::audit::AuditRecord;
use crate::sync::Mutex;
use http::header::HeaderMap;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time in which the same denial is not recorded again.
const QUIET: Duration = Duration::from_secs(60);
/// Denials remembered for that long, at most.
const KEYS_MAX: usize = 1_000;
/// Longest wait of an answer for the audit.
pub(in crate::admin) const PATIENCE: Duration = Duration::from_secs(1);

/// Recent denials, by actor, path and reason.
pub(super) struct DeniedLog {
    lately: Mutex<BTreeMap<(String, &'static str, &'static str), Timestamp>>,
    /// One is written down at a time; what comes meanwhile is not.
    pub(super) place: Bulkhead,
}

impl DeniedLog {
    pub(super) fn new() -> Result<Self, ConfigError> {
        let place = Bulkhead::builder("backstop-admin-refusals").max_concurrent_calls(1).build()?;
        Ok(Self { lately: Mutex::default(), place })
    }

    /// The record of a denial; `None` if there is nothing to record.
    pub(super) fn record(
        &self,
        access: &AccessList,
        generation: u64,
        path: &'static str,
        about: Option<&str>,
        headers: &HeaderMap,
        code: &'static str,
    ) -> Option<AuditRecord> {
        let actor = whose(access, headers)?;
        let now = timestamp();
        if !self.is_new((actor.as_str().to_owned(), path, code), now) {
            return None;
        }
        let mut facts = AuditRecord::new(now, actor.as_str(), path, generation);
        // What names no switch could be anything.
        facts.switch = about.filter(|id| SwitchId::new(id).is_ok()).map(str::to_owned);
        facts.refused = Some(code.to_owned());
        Some(facts)
    }

    fn is_new(&self, key: (String, &'static str, &'static str), now: Timestamp) -> bool {
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
