//! Times: what time it is, and how people write and read times. The only place that asks the clock.

use backstop::clock::Timestamp;
use std::time::Duration;

const ALLOWED: &str = "a time like 2027-01-31T00:00:00Z, or so long from now: 45s, 30m, 2h, 90d, 4w";

/// The time on the wall.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// A time that was given: as itself, or as so long from now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    At(Timestamp),
    In(Duration),
}

impl When {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match (length(text), text.parse()) {
            (Some(length), _) => Ok(Self::In(length)),
            (None, Ok(at)) => Ok(Self::At(at)),
            (None, Err(_)) => Err(format!("expected {ALLOWED}")),
        }
    }

    /// The time, at most the end of the last year that can be represented.
    pub(super) fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::In(length) => now.checked_add(length).unwrap_or(Timestamp::MAX),
        }
    }
}

/// Reads `90d`: a whole number and s, m, h, d or w.
pub(super) fn parse_length(text: &str) -> Result<Duration, String> {
    length(text).ok_or_else(|| "expected a length like 45s, 30m, 2h, 90d or 4w".to_owned())
}

fn length(text: &str) -> Option<Duration> {
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let number: u64 = text[..text.len() - 1].parse().ok()?;
    number.checked_mul(unit).map(Duration::from_secs)
}

/// `2 h ago`, `in 89 d`: rounded for a list.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second().saturating_sub(now.as_second());
    let (number, unit) = match seconds.unsigned_abs() {
        0..5 => return "now".to_owned(),
        seconds @ 5..120 => (seconds, "s"),
        seconds @ 120..7_200 => (seconds / 60, "min"),
        seconds @ 7_200..172_800 => (seconds / 3_600, "h"),
        seconds => (seconds / 86_400, "d"),
    };
    if seconds < 0 { format!("{number} {unit} ago") } else { format!("in {number} {unit}") }
}

/// `2026-11-20 20:00 UTC`.
pub(super) fn minute(at: Timestamp) -> String {
    let text = at.to_string(); // 2026-11-20T20:00:00.123Z
    match text.split_once('T') {
        Some((date, time)) => format!("{date} {} UTC", time.get(..5).unwrap_or(time)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_given_as_itself_or_as_so_long_from_now() {
        let now: Timestamp = "2026-11-20T20:00:00.5Z".parse().unwrap();
        for (text, at) in [
            ("2027-01-31T00:00:00Z", "2027-01-31T00:00:00Z"),
            ("2027-01-31T02:00:00+02:00", "2027-01-31T00:00:00Z"),
            ("45s", "2026-11-20T20:00:45.5Z"),
            ("90d", "2027-02-18T20:00:00.5Z"),
            ("4w", "2026-12-18T20:00:00.5Z"),
        ] {
            assert_eq!(When::parse(text).unwrap().from(now).to_string(), at);
        }
        assert_eq!(When::parse("9999999999999w").unwrap().from(now), Timestamp::MAX);
        for wrong in ["", "d", "90", "-1d", "1.5h", "2 h", "2ü", "tomorrow", "2027-01-31", "99999999999999999999d"] {
            assert!(When::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_tells_how_far_away_a_time_is() {
        let now: Timestamp = "2026-11-20T20:00:00Z".parse().unwrap();
        for (seconds, text) in [
            (0, "now"),
            (-4, "now"),
            (-5, "5 s ago"),
            (119, "in 119 s"),
            (-120, "2 min ago"),
            (7_200, "in 2 h"),
            (-172_800, "2 d ago"),
        ] {
            let at = Timestamp::from_second(now.as_second() + seconds).unwrap();
            assert_eq!(relative(at, now), text);
        }
        assert_eq!(minute(now), "2026-11-20 20:00 UTC");
    }
}
