//! Direct scrape of the instances of both arms.

use super::access::Access;
use super::counters::{Counters, active_seconds, added};
use super::fetch::{self, Failed};
use super::page::{Page, Wanted};
use super::sums::{Sums, tick};
use super::targets::Targets;
use super::{Source, SourceError};
use crate::clock::{Clock, Instant, timestamp};
use crate::rollback::{Policy, Tick};
use crate::sync::{AtomicU64, Ordering};
use http::HeaderValue;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use ureq::Agent;

/// For an instance, and for all of them.
const TIMEOUT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_secs(5);
/// Longest page.
const PAGE_MAX: u64 = 8 << 20;
/// Instances that are asked at once.
const THREADS: usize = 24;
/// Time for which the counters of an instance that is no longer listed are kept: it may be back.
const KEPT: Duration = Duration::from_secs(3_600);
/// Seconds for which a process may have had requests before it was listed.
const UNLISTED: f64 = 60.0;
/// Most instances of which counters are kept.
const KEPT_MAX: usize = 8_000;

/// Scrapes the metrics of every instance at each look.
///
/// Counters become what was added per instance: one that decreased means a restart, and the new values count. An instance
/// that is first listed after the first look counts from 0. What a failed scrape missed is in the next one; until then
/// the instance counts as not ready. Where no instance is listed, the arm has none: it is scaled to 0.
///
/// `backstop_active_seconds_total` shows a process that is no new one: it had requests in more seconds than passed since the last
/// look, and a minute. What it counted before, it counted unseen, and is left out, with a warning.
///
/// Limits: a second an instance, 5 seconds for all, 8 MiB and 5,000 series a page, 2,000 instances an arm; 24 are asked at once.
///
/// # Examples
///
/// ```no_run
/// use backstop::rollback::Policy;
/// use backstop::rollout::source::{Scrape, Source};
///
/// let policy = Policy::default();
/// let mut source = Scrape::new("checkout", "dns:checkout-canary.shop.svc:9090".parse()?)
///     .baseline("dns:checkout-stable.shop.svc:9090".parse()?)
///     .gauges(&policy);
/// assert_eq!(source.look()?, None); // the counters' values are the base
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Scrape {
    wanted: Wanted,
    canary: Targets,
    baseline: Option<Targets>,
    access: Access,
    agent: Agent,
    clock: Clock,
    /// Our wall clock at a moment of the other one: setting it changes no tick.
    zero: (f64, Instant),
    known: BTreeMap<String, Known>,
    /// Time of the last look that succeeded.
    last: Option<f64>,
    warnings: Vec<String>,
}

/// An instance that was listed once.
#[derive(Debug)]
struct Known {
    /// Its counters, and when; `None`: it was listed at the first look, and has not answered since.
    base: Option<(Counters, Instant)>,
    listed: Instant,
}

type Answers = BTreeMap<String, Result<Page, Failed>>;

impl Scrape {
    /// Scrapes the canary's instances for this service, as its signals are named.
    pub fn new(service: &str, canary: Targets) -> Self {
        let clock = Clock::system();
        Self {
            zero: (timestamp().as_duration().as_secs_f64(), clock.now()),
            wanted: Wanted { service: service.to_owned(), gauges: BTreeSet::new() },
            canary,
            baseline: None,
            agent: fetch::agent(2 * THREADS, &Access::default()),
            access: Access::default(),
            clock,
            known: BTreeMap::new(),
            last: None,
            warnings: Vec::new(),
        }
    }

    /// Also scrapes instances of the stable version. Default: there is no baseline.
    #[must_use]
    pub fn baseline(self, targets: Targets) -> Self {
        Self { baseline: Some(targets), ..self }
    }

    /// Also reads the metrics that are gauges of this policy: the mean of the instances. Default: none.
    #[must_use]
    pub fn gauges(mut self, policy: &Policy) -> Self {
        self.wanted.gauges = policy.gauges().map(str::to_owned).collect();
        self
    }

    /// Credentials and certificate authorities for every instance. Default: none, and the public ones.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { agent: fetch::agent(2 * THREADS, &access), access, ..self }
    }

    /// Pages of all instances, fetched by a few threads.
    fn fetch(&self, urls: &BTreeSet<String>, authorization: Option<&HeaderValue>) -> Answers {
        let urls: Vec<_> = urls.iter().collect();
        let (next, begun) = (AtomicU64::new(0), self.clock.now());
        let work = || {
            let mut answers = Vec::new();
            while let Some(url) = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok().and_then(|i| urls.get(i)) {
                let left = LOOK.saturating_sub(self.clock.now().saturating_duration_since(begun));
                let answer = match left.min(TIMEOUT) {
                    Duration::ZERO => Err(Failed::Unreachable("not asked within 5 s".to_owned())),
                    within => fetch::get(&self.agent, url, authorization, within, PAGE_MAX)
                        .and_then(|text| Page::read(&text, &self.wanted).map_err(Failed::Wrong)),
                };
                answers.push(((*url).clone(), answer));
            }
            answers
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS.min(urls.len())).map(|_| scope.spawn(work)).collect();
            // A thread that panicked leaves its instances out: they count as unreachable.
            threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
        })
    }

    /// Reports instances of an arm that did not answer.
    ///
    /// # Errors
    ///
    /// None of them has metrics to judge by, and one answered something else: a mistake rather than an outage.
    fn check(&mut self, name: &str, urls: &BTreeSet<String>, answers: &Answers) -> Result<(), SourceError> {
        let failed: Vec<_> = urls.iter().filter(|url| !matches!(answers.get(*url), Some(Ok(_)))).collect();
        let wrong = failed.iter().find_map(|url| match answers.get(*url) {
            Some(Err(Failed::Wrong(message))) => Some(format!("{url}: {message}")),
            _ => None,
        });
        let other = failed.first().map(|url| match answers.get(*url) {
            Some(Err(Failed::Unreachable(message))) => format!("{url}: {message}"),
            _ => format!("{url}: not asked"),
        });
        if let Some(sentence) = &wrong
            && failed.len() == urls.len()
        {
            return Err(SourceError::new(format!("no instance of the {name} answers with its metrics: {sentence}")));
        }
        if let Some(sentence) = wrong.or(other) {
            let (failed, all) = (failed.len(), urls.len());
            self.warnings.push(format!("{failed} of {all} instances of the {name} did not answer: {sentence}"));
        }
        Ok(())
    }

    /// Adds up an arm; so many seconds after the last look, `None` at the first one.
    fn arm(&mut self, urls: &BTreeSet<String>, answers: &Answers, since: Option<f64>) -> Sums {
        let (mut sums, now) = (Sums::default(), self.clock.now());
        sums.instances.get_or_insert_default();
        for url in urls {
            let known = self.known.get_mut(url);
            if let Some(Ok(page)) = answers.get(url) {
                let counted = match (since, known) {
                    (None, _) => None,
                    (_, Some(known)) => known.base.as_ref().map(|(base, at)| {
                        let since = now.saturating_duration_since(*at).as_secs_f64();
                        (added(base, &page.counters), since)
                    }),
                    (Some(since), None) => Some((page.counters.clone(), since)),
                };
                let is_seen = |(added, since): &(Counters, f64)| {
                    active_seconds(added).is_none_or(|active| active <= since + UNLISTED)
                };
                if counted.as_ref().is_some_and(|counted| !is_seen(counted)) {
                    let sentence = "had requests in more seconds than have passed: it is another process than before, and \
                                    counts from now on";
                    self.warnings.push(format!("{url} {sentence}"));
                }
                sums.add(page, counted.filter(is_seen).map(|(added, _)| added));
                self.known.insert(url.clone(), Known { base: Some((page.counters.clone(), now)), listed: now });
                continue;
            }
            sums.add_unreachable();
            match known {
                Some(known) => known.listed = now,
                // Its counters are not from 0: they are the base when it answers.
                None if since.is_none() => drop(self.known.insert(url.clone(), Known { base: None, listed: now })),
                None => {}
            }
        }
        sums
    }

    fn forget(&mut self, listed: &BTreeSet<String>) {
        let now = self.clock.now();
        self.known.retain(|url, known| listed.contains(url) || now.saturating_duration_since(known.listed) < KEPT);
        while self.known.len() > KEPT_MAX {
            self.known.pop_first();
        }
    }
}

fn list(arm: &str, targets: &Targets) -> Result<BTreeSet<String>, SourceError> {
    targets.list().map_err(|message| SourceError::new(format!("instances of the {arm}: {message}")))
}

impl Source for Scrape {
    fn look(&mut self) -> Result<Option<Tick>, SourceError> {
        self.warnings.clear();
        let canary = list("canary", &self.canary)?;
        let baseline = self.baseline.as_ref().map(|targets| list("baseline", targets)).transpose()?;
        let all: BTreeSet<_> = canary.iter().chain(baseline.iter().flatten()).cloned().collect();
        if let Some(both) = baseline.as_ref().and_then(|baseline| canary.intersection(baseline).next()) {
            self.warnings.push(format!("{both} is listed in both arms"));
        }
        let authorization = self.access.authorization().map_err(SourceError::new)?;
        let answers = self.fetch(&all, authorization.as_ref());
        let at = self.zero.0 + self.clock.now().saturating_duration_since(self.zero.1).as_secs_f64();
        let is_first = self.last.is_none();
        if answers.values().all(Result::is_err)
            && let Some((url, Err(Failed::Unreachable(message)))) = answers.iter().next()
            && is_first
        {
            return Err(SourceError::new(format!("none of {} instances answers: {url}: {message}", all.len())));
        }
        self.check("canary", &canary, &answers)?;
        if let Some(urls) = &baseline {
            self.check("baseline", urls, &answers)?;
        }
        let since = self.last.map(|last| (at - last).max(0.0));
        let own = self.arm(&canary, &answers, since);
        let other = baseline.as_ref().map(|urls| self.arm(urls, &answers, since));
        self.forget(&all);
        self.last = Some(at);
        let Some(since) = since else { return Ok(None) };
        let (tick, warnings) = tick(at, since, own, other).map_err(|error| SourceError::new(error.to_string()))?;
        self.warnings.extend(warnings);
        Ok(Some(tick))
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
