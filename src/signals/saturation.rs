//! CPU and memory of the process, as shares of what it may use. Read from the system when asked, on Linux only.

use crate::clock::{Instant, cpu_time};
use std::fs::read_to_string;
use std::time::Duration;

/// CPU and memory in use, each as a share of the limit: of the control group (version 2), or else of the machine.
///
/// `None` is not measured, as everywhere but on Linux.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Saturation {
    /// CPU time since the last reading over that which the limit allows. 1 is all of it.
    pub cpu: Option<f64>,
    /// Resident memory over the limit.
    pub memory: Option<f64>,
}

/// Shortest time between two readings of CPU time; a reading within it gets the last share.
const SHORTEST: Duration = Duration::from_millis(100);

/// Difference of CPU time between two readings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    last: Option<Duration>,
    at: Instant,
    share: Option<f64>,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { last: cpu_time(), at: now, share: None }
    }

    pub(super) fn read(&mut self, now: Instant) -> Saturation {
        self.step(now, cpu_time(), cpus());
        Saturation { cpu: self.share, memory: memory() }
    }

    fn step(&mut self, now: Instant, used: Option<Duration>, cpus: f64) {
        let elapsed = now.saturating_duration_since(self.at);
        if elapsed < SHORTEST {
            return;
        }
        let added = used.zip(self.last).map(|(used, last)| used.saturating_sub(last));
        self.share = added.map(|added| added.as_secs_f64() / (elapsed.as_secs_f64() * cpus.max(0.001)));
        (self.last, self.at) = (used, now);
    }
}

/// CPUs by `cpu.max`: a quota and a period in microseconds.
fn cpus_of(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0.0).then(|| quota / period)
}

/// Bytes in the line of `/proc/self/status` or `/proc/meminfo` that begins with `name`.
fn kilobytes_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Folders of the process's control group, the innermost first, by `/proc/self/cgroup`.
fn folders_of(text: &str) -> impl Iterator<Item = &str> {
    let own = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").trim_end_matches('/');
    std::iter::successors(Some(own), |folder| Some(&folder[..folder.rfind('/')?]))
}

/// The smallest limit of the process's control groups. Nothing but Linux has such files.
fn limit<T>(file: &str, parse: impl Fn(&str) -> Option<T>, least: impl Fn(T, T) -> T) -> Option<T> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let texts = folders_of(&groups).filter_map(|folder| read_to_string(format!("/sys/fs/cgroup{folder}/{file}")).ok());
    texts.filter_map(|text| parse(&text)).reduce(least)
}

fn cpus() -> f64 {
    let all = || std::thread::available_parallelism().map_or(1.0, |all| all.get() as f64);
    limit("cpu.max", cpus_of, f64::min).unwrap_or_else(all)
}

fn memory() -> Option<f64> {
    let used = kilobytes_of(&read_to_string("/proc/self/status").ok()?, "VmRSS")?;
    let all = || kilobytes_of(&read_to_string("/proc/meminfo").ok()?, "MemTotal");
    let limit = limit("memory.max", |text| text.trim().parse().ok(), u64::min).or_else(all)?;
    (limit > 0).then(|| used as f64 / limit as f64)
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_their_absence_is_none() {
        assert_eq!(cpus_of("150000 100000\n"), Some(1.5));
        assert_eq!(cpus_of("max 100000\n"), None);
        let status = "Name:\tshop\nVmHWM:\t  9000 kB\nVmRSS:\t    2048 kB\n";
        assert_eq!((kilobytes_of(status, "VmRSS"), kilobytes_of(status, "VmSwap")), (Some(2 * 1024 * 1024), None));
        assert_eq!(folders_of("0::/kube/pod1\n").collect::<Vec<_>>(), ["/kube/pod1", "/kube", ""]);
        assert_eq!(folders_of("0::/\n").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn cpu_is_the_share_of_the_limit_since_the_last_reading() {
        let (at, seconds) = (|millis: u64| Instant::from_nanos(millis * 1_000_000), Duration::from_secs);
        let mut meter = Meter { last: Some(seconds(10)), at: at(0), share: None };
        meter.step(at(2_000), Some(seconds(12)), 4.0);
        assert_eq!(meter.share, Some(0.25));
        meter.step(at(2_050), Some(seconds(13)), 4.0);
        assert_eq!(meter.share, Some(0.25), "too soon");
        meter.step(at(3_000), Some(seconds(14)), 2.0);
        assert_eq!(meter.share, Some(1.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_some_of_its_memory() {
        let saturation = Meter::new(Instant::default()).read(Instant::from_nanos(1_000_000_000));
        assert!(saturation.cpu.is_some());
        assert!(saturation.memory.is_some_and(|memory| memory > 0.0 && memory < 1.0), "{saturation:?}");
    }
}
