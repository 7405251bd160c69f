//! Numbers and times as people read them.

use super::draw;
use crate::clock::Timestamp;

pub(super) use super::draw::{count, sentence};

/// `10:12:03`, in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// `2026-11-28 10:12 UTC`.
pub(super) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {} UTC", text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default())
}

/// `+1:05`, since the rollout began.
pub(super) fn since(seconds: f64) -> String {
    format!("+{}", draw::time(seconds))
}

/// `40 ms`, `1.4 s`, `12 s`, `2 min`, `2 min 5 s`, `2 h 3 min`.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0).round();
    match whole {
        _ if (0.000_5..0.9995).contains(&seconds) => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 9.95 => format!("{:.1} s", seconds.max(0.0)),
        _ if whole < 120.0 => format!("{whole:.0} s"),
        _ if whole < 7_200.0 && whole % 60.0 == 0.0 => format!("{:.0} min", whole / 60.0),
        _ if whole < 7_200.0 => format!("{:.0} min {:.0} s", (whole / 60.0).floor(), whole % 60.0),
        _ => format!("{:.0} h {:.0} min", (whole / 3_600.0).floor(), (whole % 3_600.0 / 60.0).floor()),
    }
}

/// `1.25 %`: a share with as many digits as a small one needs.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    let digits = if value == 0.0 || value >= 10.0 {
        1
    } else if value >= 0.1 {
        2
    } else {
        4
    };
    format!("{value:.digits$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let spans = [0.04, 9.96, 119.4, 119.6, 3_725.0, 7_384.0].map(span);
        assert_eq!(spans, ["40 ms", "10 s", "119 s", "2 min", "62 min 5 s", "2 h 3 min"]);
        assert_eq!([0.4, 999.6, 1_234_567.0].map(count), ["0", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.0004, 0.012_34, 0.5].map(percent), ["0.0 %", "0.0400 %", "1.23 %", "50.0 %"]);
        let at = "2026-11-28T10:12:03.5Z".parse().unwrap();
        assert_eq!([clock(at), minute(at)], ["10:12:03", "2026-11-28 10:12 UTC"]);
    }
}
