//! A share of the keys that stays the same keys while it grows.
//!
//! A key is hashed once per request. Each switch mixes that hash with a seed of its own, so that two switches at
//! 10 % have 1 % of the keys in common and not 10 %; a key is inside when the result is below a threshold that
//! grows with the percentage, so that a key inside 1 % is inside 10 %.

use super::SwitchId;
use crate::config::{ConfigError, Problem};
use xxhash_rust::xxh3::xxh3_64;

/// Parts in a whole: a ten-thousandth of a percent is the smallest step.
const WHOLE: u32 = 1_000_000;
pub(crate) const ALLOWED: &str = "from 0.0001 to 100, in steps of 0.0001";

/// A share of the keys: from 0.0001 % to 100 %, in steps of 0.0001 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

/// Deserializes a percentage and rounds it to the nearest step, so that it is written in one way.
pub(crate) fn normalized<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let percent: Option<f64> = serde::Deserialize::deserialize(deserializer)?;
    Ok(percent.map(|percent| Percent::new(percent).map_or(percent, Percent::get)))
}

impl Percent {
    /// Everything.
    pub const FULL: Self = Self(WHOLE);

    /// Makes a share of a number of percent.
    ///
    /// # Errors
    ///
    /// Anything below 0.0001, above 100, between two steps of 0.0001, or NaN.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::kill_switch::Percent;
    ///
    /// assert_eq!(Percent::new(12.5)?.parts_per_million(), 125_000);
    /// assert!(Percent::new(0.0).is_err());
    /// # Ok::<_, backstop::ConfigError>(())
    /// ```
    pub fn new(percent: f64) -> Result<Self, ConfigError> {
        let parts = (percent * 10_000.0).round();
        // The nearest double to 12.3456, times 10,000, is not a whole number.
        let is_step = (percent * 10_000.0 - parts).abs() < 1e-6;
        if is_step && parts >= 1.0 && parts <= f64::from(WHOLE) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, up to a million")]
            Ok(Self(parts as u32))
        } else {
            Err(ConfigError::of(Problem::new("percent", percent, ALLOWED)))
        }
    }

    /// The number of percent.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// The share in parts per million, from 1 to 1,000,000.
    pub const fn parts_per_million(self) -> u32 {
        self.0
    }

    /// Compiled for one switch; `None` is everything.
    pub(crate) fn share_of(self, switch: &SwitchId) -> Option<Share> {
        if self == Self::FULL {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "less than a whole is less than 2^64")]
        let threshold = ((u128::from(self.0) << 64) / u128::from(WHOLE)) as u64;
        Some(Share { seed: xxh3_64(switch.as_str().as_bytes()), threshold })
    }
}

/// A share of the keys for one switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    seed: u64,
    threshold: u64,
}

impl Share {
    /// So much of a number.
    pub(crate) fn of(self, number: u64) -> u64 {
        ((u128::from(number) * u128::from(self.threshold)) >> 64) as u64
    }

    pub(crate) fn contains(self, hash: u64) -> bool {
        mix(hash ^ self.seed) < self.threshold
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea and Flood 2014, with the constants of Vigna): one to one, and every
/// bit of the input moves every bit of the output.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The hash of a request's key, made when the first rule asks for it and never again.
#[derive(Clone, Copy, Debug)]
pub struct KeyHash<'a> {
    key: Option<&'a str>,
    hash: Option<u64>,
}

impl<'a> KeyHash<'a> {
    pub(crate) const fn of(key: Option<&'a str>) -> Self {
        Self { key, hash: None }
    }

    pub(crate) fn get(&mut self) -> Option<u64> {
        if self.hash.is_none() {
            self.hash = self.key.map(|key| xxh3_64(key.as_bytes()));
        }
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percentage_out_of_range_or_between_steps_is_refused() {
        for wrong in [f64::NAN, 0.0, -1.0, 0.000_01, 0.000_15, 100.000_1, 1e300, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Percent::new(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Percent::new(100.0).unwrap(), Percent::FULL);
    }

    #[test]
    fn every_step_survives_being_written_as_a_number() {
        for parts in (1..=WHOLE).step_by(97).chain([2, 123_456, WHOLE]) {
            let written = Percent(parts).get().to_string();
            assert_eq!(Percent::new(written.parse().unwrap()).unwrap(), Percent(parts));
        }
    }

    proptest! {
        #[test]
        fn who_is_inside_stays_inside_when_the_share_grows(hash: u64, small in 1..WHOLE, more in 1..WHOLE) {
            let id = SwitchId::new("recs").unwrap();
            let of = |parts: u32| Percent(parts.min(WHOLE)).share_of(&id).is_none_or(|share| share.contains(hash));
            prop_assert!(!of(small) || of(small + more));
        }
    }
}
