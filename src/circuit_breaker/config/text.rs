//! How the settings that are no plain numbers read in a configuration file.

use crate::circuit_breaker::open_time::OpenTime;
use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

/// A number, or `false` to turn the rule off.
pub(super) fn number_or_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
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

/// `"30s"`, or `{ initial = "5s", multiplier = 2, max = "5m" }`.
pub(super) fn open_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OpenTime, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected a duration like \"30s\", or { initial = \"5s\", multiplier = 2.0, max = \"5m\" }"
    )]
    enum Raw {
        Fixed(#[serde(with = "humantime_serde")] Duration),
        Exponential(Exponential),
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Exponential {
        #[serde(with = "humantime_serde")]
        initial: Duration,
        multiplier: f64,
        #[serde(with = "humantime_serde")]
        max: Duration,
    }
    Ok(match Raw::deserialize(deserializer)? {
        Raw::Fixed(wait) => OpenTime::fixed(wait),
        Raw::Exponential(Exponential { initial, multiplier, max }) => OpenTime::exponential(initial, multiplier, max),
    })
}
