//! Ticks as JSON Lines: one object a line, as deltas or as counters.

use super::{Arm, Buckets, Kpi, Segment, Tick};
use crate::clock::Timestamp;
use crate::rollback::fields::{path_of, say, shown, shown_to, without_bom};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Longest line.
const LINE_MAX: usize = 16 << 20;

/// Longest message of the JSON reader, in characters.
const MESSAGE_MAX: usize = 500;

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
/// Turns counters into deltas. A counter that decreases drops that tick of its segment and becomes the new base, and so does
/// one that was missing in one arm alone.
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
    segments: [Bases<Segment>; 2],
    kpis: [Bases<Kpi>; 2],
}

/// The last counters of an arm, by name.
type Bases<T> = BTreeMap<String, Base<T>>;

#[derive(Debug)]
struct Base<T> {
    counters: T,
    /// Line that they are of, and that of the ones before.
    line: u64,
    before: u64,
}

#[derive(Debug)]
struct Last {
    at: f64,
    /// The same as it is written.
    written: At,
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
    #[serde(deserialize_with = "object")]
    canary: Arm,
    #[serde(default, deserialize_with = "object_or_null")]
    baseline: Option<Arm>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "seconds, or a time such as 2026-01-31T12:00:00Z")]
enum At {
    Seconds(f64),
    Time(Timestamp),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => f.write_str(&say(*seconds)),
            Self::Time(time) => time.fmt(f),
        }
    }
}

/// Reads a map whose keys are all different.
pub(crate) fn unique<'de, K: Deserialize<'de> + Ord + fmt::Debug, V: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<K, V>, D::Error> {
    struct Unique<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Ord + fmt::Debug, V: Deserialize<'de>> Visitor<'de> for Unique<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = entries.next_entry::<K, V>()? {
                if map.contains_key(&key) {
                    return Err(A::Error::custom(format!("duplicate key {}", shown(&format!("{key:?}")))));
                }
                map.insert(key, value);
            }
            Ok(map)
        }
    }

    from.deserialize_map(Unique(PhantomData))
}

/// A value that is written as an object alone: serde takes a struct's fields from a list, too.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        from.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// Reads an object.
pub(crate) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Object::deserialize(from).map(|Object(value)| value)
}

/// Reads an object, or nothing from null.
pub(crate) fn object_or_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Ok(Option::deserialize(from)?.map(|Object(value)| value))
}

/// Reads a map of objects whose keys are all different.
pub(crate) fn unique_objects<'de, K: Deserialize<'de> + Ord + fmt::Debug, V: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<K, V>, D::Error> {
    let objects: BTreeMap<K, Object<V>> = unique(from)?;
    Ok(objects.into_iter().map(|(key, Object(value))| (key, value)).collect())
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
        if line.len() > LINE_MAX {
            let message = format!("longer than {} MiB", LINE_MAX >> 20);
            return Err(TickError { line: self.line, message });
        }
        let line = if self.line == 1 { without_bom(line) } else { line };
        if line.trim().is_empty() {
            return Ok(None);
        }
        self.tick(line.trim_end()).map(Some).map_err(|message| TickError { line: self.line, message })
    }

    fn tick(&mut self, text: &str) -> Result<Tick, String> {
        let json = &mut serde_json::Deserializer::from_str(text);
        let Object(line) =
            serde_path_to_error::deserialize::<_, Object<Line>>(&mut *json).map_err(|error| named(&error))?;
        json.end().map_err(|error| placed(&error))?;
        let at = self.time(&line)?;
        let problems = |error: crate::config::ConfigError| {
            error.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let mut tick = Tick::new(at, line.canary, line.baseline).map_err(problems)?;
        if let Some(stage) = line.stage {
            tick = tick.in_stage(stage).map_err(problems)?;
        }
        if line.cumulative {
            let (mut none, line) = (Arm::default(), self.line);
            let Tick { canary, baseline, .. } = &mut tick;
            let baseline = baseline.as_mut().unwrap_or(&mut none);
            deltas([&mut canary.segments, &mut baseline.segments], &mut self.segments, line, Segment::advance);
            deltas([&mut canary.kpis, &mut baseline.kpis], &mut self.kpis, line, Kpi::advance);
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
            self.last = Some(Last { at: value, written: line.at, stage: line.stage, offset: 0.0, is_time, first });
            return Ok(value - first);
        };
        if last.is_time != is_time {
            return Err("at: one form of time in a file, either seconds or RFC 3339".to_owned());
        }
        if value < last.at {
            if is_time || line.stage.is_none() || line.stage == last.stage {
                return Err(format!(
                    "at: {} is not allowed, must be {} or later, the time of the tick before",
                    line.at, last.written
                ));
            }
            last.offset += last.at;
        }
        last.at = value;
        last.written = line.at;
        last.stage = line.stage.or(last.stage);
        Ok(last.offset + value - last.first)
    }
}

/// The path before the message, and the place in the line: every line is the first one of its own text.
fn named(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let message = placed(error.inner());
    match &*path_of(error.path()) {
        "" => message,
        path => format!("{path}: {message}"),
    }
}

fn placed(error: &serde_json::Error) -> String {
    // It may quote any text of the line.
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((before, _)) if error.column() > 0 => {
            format!("{} (column {})", shown_to(before, MESSAGE_MAX), error.column())
        }
        Some((before, _)) => shown_to(before, MESSAGE_MAX),
        None => shown_to(&message, MESSAGE_MAX),
    }
}

/// Turns the counters of both arms into deltas. Where one arm was missing, its delta is of a longer time than the other's:
/// an outage of both would be in one of them alone, so that tick is dropped.
fn deltas<T>(
    arms: [&mut BTreeMap<String, T>; 2],
    bases: &mut [Bases<T>; 2],
    line: u64,
    advance: impl Fn(&mut T, T) -> Option<T>,
) {
    let [canary, baseline] = arms;
    for (arm, bases) in [&mut *canary, &mut *baseline].into_iter().zip(&mut *bases) {
        for (name, counters) in std::mem::take(arm) {
            let has_room = bases.len() < super::NAMES_MAX * 10;
            match bases.get_mut(&name) {
                Some(base) => {
                    (base.line, base.before) = (line, base.line);
                    if let Some(delta) = advance(&mut base.counters, counters) {
                        arm.insert(name, delta);
                    }
                }
                None if has_room => _ = bases.insert(name, Base { counters, line, before: line }),
                None => {}
            }
        }
    }
    let before = |arm: usize, name: &str| bases[arm].get(name).map(|base| base.before);
    canary.retain(|name, _| !baseline.contains_key(name) || before(0, name) == before(1, name));
}

impl Kpi {
    /// Makes `now` the base and returns the difference, unless something decreased.
    fn advance(&mut self, now: Self) -> Option<Self> {
        let delta = Self { good: now.good - self.good, total: now.total - self.total };
        *self = now;
        (delta.good >= 0.0 && delta.total >= delta.good).then_some(delta)
    }
}

impl Segment {
    /// Makes `now` the base and returns the difference, unless something decreased.
    ///
    /// A counter that is not there counts 0 until it is first seen: many clients create the series of an error with the
    /// first one. A counter that is missing later keeps its base, so that it does not count twice when it is back.
    fn advance(&mut self, mut now: Self) -> Option<Self> {
        let mut decreased = false;
        let is_counted = self.requests.is_some();
        for ((_, now), (_, base)) in now.counts().into_iter().zip(self.counts()) {
            let before = *base;
            *base = now.or(before);
            *now = match (*now, before) {
                (Some(now), Some(before)) => {
                    decreased |= now < before;
                    Some(now - before)
                }
                (Some(now), None) if is_counted => Some(now),
                _ => None,
            };
        }
        let both = [
            (&mut self.latency.success, &mut now.latency.success),
            (&mut self.latency.failure, &mut now.latency.failure),
        ];
        for (base, now) in both {
            let Some(new) = now.take() else { continue };
            *now = base.as_ref().filter(|base| base.le == new.le).map(|base| {
                let counts = new.counts.iter().zip(&base.counts).map(|(now, before)| now - before).collect();
                Buckets { le: new.le.clone(), counts }
            });
            decreased |= now.as_ref().is_some_and(|delta| delta.counts.iter().any(|count| *count < 0.0));
            *base = Some(new);
        }
        (!decreased).then_some(now)
    }
}
