//! Deserialization of settings that are not plain numbers.

use crate::circuit_breaker::open_time::OpenTime;
use serde::de::{self, IntoDeserializer};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::time::Duration;

/// A number, or `false` to turn the rule off.
pub(in crate::circuit_breaker) fn number_or_false<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number, or false to turn the rule off")]
    enum Raw {
        Number(f64),
        Switch(bool),
    }
    match Raw::deserialize(deserializer)? {
        Raw::Number(number) => Ok(Some(number)),
        Raw::Switch(false) => Ok(None),
        Raw::Switch(true) => Err(de::Error::custom("expected a number, or false to turn the rule off, got true")),
    }
}

/// `"30s"`, or `{ initial = "5s", multiplier = 2.0, max = "5m" }`.
///
/// A visitor instead of `untagged`, whose errors do not show what is wrong with a duration or a table.
pub(in crate::circuit_breaker) fn open_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OpenTime, D::Error> {
    deserializer.deserialize_any(OpenTimeVisitor)
}

struct OpenTimeVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exponential {
    #[serde(with = "humantime_serde")]
    initial: Duration,
    multiplier: f64,
    #[serde(with = "humantime_serde")]
    max: Duration,
}

impl<'de> de::Visitor<'de> for OpenTimeVisitor {
    type Value = OpenTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration like \"30s\", or { initial = \"5s\", multiplier = 2.0, max = \"5m\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OpenTime, E> {
        humantime_serde::deserialize(text.into_deserializer()).map(OpenTime::fixed)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<OpenTime, A::Error> {
        let table = Exponential::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(OpenTime::exponential(table.initial, table.multiplier, table.max))
    }
}
