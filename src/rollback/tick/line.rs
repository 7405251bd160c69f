//! Ticks as JSON Lines: one object a line, as deltas or as counters.

use super::{Arm, Buckets, Kpi, Segment, Tick};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A line that is no tick, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TickError {
    line: u64,
    message: String,
}

impl TickError {
    /// The number of the line, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }
}

/// Reads ticks from lines of JSON.
///
/// Turns counters into deltas. A counter that decreases drops that tick of its segment and becomes the new base.
///
/// # Examples
///
/// ```
/// use backstop::rollback::TickReader;
///
/// let mut reader = TickReader::new();
/// let tick = reader.read(r#"{"at": 1, "canary": {"segments": {"default": {"requests": 100}}}}"#)?;
/// assert!(tick.is_some());
/// let error = reader.read(r#"{"at": 0, "canary": {}}"#).unwrap_err();
/// assert_eq!(error.to_string(), "line 2: at: 0 is not allowed, must be 1 or later, the time of the tick before");
/// # Ok::<(), backstop::rollback::TickError>(())
/// ```
#[derive(Debug, Default)]
pub struct TickReader {
    line: u64,
    last: Option<Last>,
    bases: [BTreeMap<String, Segment>; 2],
    kpis: [BTreeMap<String, Kpi>; 2],
}

#[derive(Debug)]
struct Last {
    at: f64,
    stage: Option<f64>,
    /// Seconds of the file's clock at the beginning of this stage's clock.
    offset: f64,
    is_time: bool,
    first: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: At,
    #[serde(default)]
    stage: Option<f64>,
    #[serde(default)]
    cumulative: bool,
    #[serde(default)]
    canary: Arm,
    #[serde(default)]
    baseline: Option<Arm>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "seconds, or a time such as 2026-01-31T12:00:00Z")]
enum At {
    Seconds(f64),
    Time(jiff::Timestamp),
}

impl TickReader {
    /// A reader at the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next line; `None` for an empty one.
    ///
    /// # Errors
    ///
    /// Anything that is no tick, with the line's number and the field: unknown fields, numbers that are negative or not
    /// finite, a time before the last one's (unless the stage changes), bounds that differ between the arms.
    pub fn read(&mut self, line: &str) -> Result<Option<Tick>, TickError> {
        self.line += 1;
        if line.trim().is_empty() {
            return Ok(None);
        }
        self.tick(line).map(Some).map_err(|message| TickError { line: self.line, message })
    }

    fn tick(&mut self, text: &str) -> Result<Tick, String> {
        let json = &mut serde_json::Deserializer::from_str(text);
        let line: Line = serde_path_to_error::deserialize(&mut *json).map_err(|error| named(&error))?;
        json.end().map_err(|error| error.to_string())?;
        let at = self.time(&line)?;
        let problems = |error: crate::config::ConfigError| {
            error.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let mut tick = Tick::new(at, line.canary, line.baseline).map_err(problems)?;
        if let Some(stage) = line.stage {
            tick = tick.in_stage(stage).map_err(problems)?;
        }
        if line.cumulative {
            let [own, other] = &mut self.bases;
            let [own_kpis, other_kpis] = &mut self.kpis;
            deltas(&mut tick.canary, own, own_kpis);
            if let Some(baseline) = &mut tick.baseline {
                deltas(baseline, other, other_kpis);
            }
        }
        Ok(tick)
    }

    /// Seconds since the first tick's stage began. A new stage may begin its clock anew.
    fn time(&mut self, line: &Line) -> Result<f64, String> {
        let (value, is_time) = match line.at {
            At::Seconds(seconds) => (seconds, false),
            At::Time(time) => (time.as_duration().as_secs_f64(), true),
        };
        let Some(last) = &mut self.last else {
            let first = if is_time { value } else { 0.0 };
            self.last = Some(Last { at: value, stage: line.stage, offset: 0.0, is_time, first });
            return Ok(value - first);
        };
        if last.is_time != is_time {
            return Err("at: one form of time in a file, either seconds or RFC 3339".to_owned());
        }
        if value < last.at {
            if is_time || line.stage == last.stage {
                return Err(format!(
                    "at: {value} is not allowed, must be {} or later, the time of the tick before",
                    last.at
                ));
            }
            last.offset += last.at;
        }
        last.at = value;
        last.stage = line.stage;
        Ok(last.offset + value - last.first)
    }
}

/// The path before the message, which ends with the place in the line.
fn named(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    }
}

/// Turns an arm's counters into deltas.
fn deltas(arm: &mut Arm, bases: &mut BTreeMap<String, Segment>, kpis: &mut BTreeMap<String, Kpi>) {
    let now = std::mem::take(&mut arm.segments);
    for (name, segment) in now {
        if let Some(base) = bases.insert(name.clone(), segment.clone())
            && let Some(delta) = segment.minus(base)
        {
            arm.segments.insert(name, delta);
        }
    }
    let now = std::mem::take(&mut arm.kpis);
    for (name, kpi) in now {
        if let Some(base) = kpis.insert(name.clone(), kpi) {
            let delta = Kpi { good: kpi.good - base.good, total: kpi.total - base.total };
            if delta.good >= 0.0 && delta.total >= delta.good {
                arm.kpis.insert(name, delta);
            }
        }
    }
}

impl Segment {
    /// The difference to an earlier count, unless something decreased.
    fn minus(mut self, mut base: Self) -> Option<Self> {
        for ((_, now), (_, before)) in self.counts().into_iter().zip(base.counts()) {
            *now = match (*now, *before) {
                (Some(now), Some(before)) if now < before => return None,
                (Some(now), Some(before)) => Some(now - before),
                _ => None,
            };
        }
        self.latency.success = difference(self.latency.success.take(), base.latency.success.take()).ok()?;
        self.latency.failure = difference(self.latency.failure.take(), base.latency.failure.take()).ok()?;
        Some(self)
    }
}

/// A counter that is lower than before.
struct Decreased;

/// No histogram if there was none before, or one of other bounds.
fn difference(now: Option<Buckets>, before: Option<Buckets>) -> Result<Option<Buckets>, Decreased> {
    let (Some(mut now), Some(before)) = (now, before) else { return Ok(None) };
    if now.le != before.le {
        return Ok(None);
    }
    for (now, before) in now.counts.iter_mut().zip(&before.counts) {
        if *now < *before {
            return Err(Decreased);
        }
        *now -= before;
    }
    Ok(Some(now))
}
