//! Requests to the query API.

use super::answer;
use crate::clock::{Clock, Instant};
use crate::config::{ConfigError, Problem};
use crate::rollout::source::{Access, SourceError, fetch};
use http::{HeaderValue, Uri};
use std::collections::BTreeMap;
use std::time::Duration;
use ureq::Agent;

/// For one query, and for all of a look.
const TIMEOUT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(15);
/// Longest answer: sums over instances are short.
const ANSWER_MAX: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Client {
    access: Access,
    agent: Agent,
    url: String,
    clock: Clock,
}

/// The queries of one look.
#[derive(Debug)]
pub(super) struct Looking<'c> {
    client: &'c Client,
    authorization: Option<HeaderValue>,
    begun: Instant,
}

impl Client {
    /// # Errors
    ///
    /// A text that is no address of a server.
    pub(super) fn new(url: &str) -> Result<Self, ConfigError> {
        let uri = url.parse::<Uri>().ok().filter(|uri| {
            let is_plain = uri.query().is_none() && uri.authority().is_some_and(|name| !name.as_str().contains('@'));
            matches!(uri.scheme_str(), Some("http" | "https")) && is_plain
        });
        let allowed = "an address such as http://prometheus:9090, with the prefix of its routes";
        let uri = uri.ok_or_else(|| ConfigError::of(Problem::new("prometheus", format!("\"{url}\""), allowed)))?;
        let base = uri.to_string();
        let url = format!("{}/api/v1/query", base.trim_end_matches('/'));
        let access = Access::default();
        Ok(Self { agent: fetch::agent(2, &access), access, url, clock: Clock::system() })
    }

    pub(super) fn access(self, access: Access) -> Self {
        Self { agent: fetch::agent(2, &access), access, ..self }
    }

    /// # Errors
    ///
    /// Credentials that cannot be read.
    pub(super) fn begin(&self) -> Result<Looking<'_>, SourceError> {
        let authorization = self.access.authorization().map_err(SourceError::new)?;
        Ok(Looking { client: self, authorization, begun: self.clock.now() })
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl Looking<'_> {
    /// The vector of a query, by these labels.
    ///
    /// # Errors
    ///
    /// With the server's address and the query that failed.
    pub(super) fn vector(&self, query: &str, labels: &[&str]) -> Result<BTreeMap<Vec<String>, f64>, SourceError> {
        self.vector_with(query, labels, |_| false)
    }

    /// The same, where values with these labels are gauges.
    ///
    /// # Errors
    ///
    /// As [`vector`](Self::vector).
    pub(super) fn vector_with(
        &self,
        query: &str,
        labels: &[&str],
        is_gauge: impl Fn(&[String]) -> bool,
    ) -> Result<BTreeMap<Vec<String>, f64>, SourceError> {
        let Client { agent, url, clock, .. } = self.client;
        let left = LOOK.saturating_sub(clock.now().saturating_duration_since(self.begun)).min(TIMEOUT);
        let error = |message: String| {
            let shown: String = query.chars().take(200).collect();
            SourceError::new(format!("{url}: {message} (query: {shown})"))
        };
        if left.is_zero() {
            return Err(error(format!("no answer to all queries within {LOOK:?}")));
        }
        let authorization = self.authorization.as_ref();
        let answer = fetch::post_form(agent, url, authorization, [("query", query)], left, ANSWER_MAX);
        let (status, text) = answer.map_err(|failed| error(failed.message().to_owned()))?;
        answer::vector(&text, labels, is_gauge).map_err(|message| match status {
            200 => error(message),
            _ => error(format!("status {status}: {message}")),
        })
    }
}
