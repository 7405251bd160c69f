//! Files that are no ticks: an error that names the line and the field, and nothing past it.

use backstop::rollback::{Judge, Policy, TickReader};
use std::fmt::Write;

const GOOD: &str = r#"{"at": 1, "canary": {"segments": {"default": {"requests": 100}}}}"#;

#[track_caller]
fn rejected(line: &str, says: &str) {
    let mut reader = TickReader::new();
    reader.read(GOOD).unwrap();
    reader.read("").unwrap();
    let error = reader.read(line).expect_err(line);
    assert_eq!(error.line(), 3);
    let message = error.to_string();
    assert!(message.starts_with("line 3: ") && message.contains(says), "{line}\n{message}\nis expected to say {says}");
    assert!(message.len() < 1000, "{message}");
}

/// A canary with this text in it.
fn canary(text: &str) -> String {
    format!(r#"{{"at": 2, "canary": {{{text}}}}}"#)
}

fn segment(text: &str) -> String {
    canary(&format!(r#""segments": {{"default": {{{text}}}}}"#))
}

fn buckets(text: &str) -> String {
    segment(&format!(r#""latency": {{"success": {{{text}}}}}"#))
}

#[test]
fn unknown_fields_are_named_at_every_level() {
    rejected(r#"{"at": 2, "canry": {}}"#, "`canry`");
    rejected(&canary(r#""requests": 5"#), "canary.requests: unknown field `requests`");
    rejected(&segment(r#""errors": 5"#), "canary.segments.default.errors");
    rejected(&segment(r#""latency": {"p99": 5}"#), "canary.segments.default.latency.p99");
    rejected(&buckets(r#""le": [], "counts": [1], "sum": 5"#), "canary.segments.default.latency.success.sum");
    rejected(&canary(r#""instances": {"total": 1, "ready": 1}"#), "canary.instances.ready");
    rejected(&canary(r#""kpis": {"checkout": {"good": 1, "total": 1, "bad": 0}}"#), "canary.kpis.checkout.bad");
    rejected(&canary(r#""breakers": {"payments": {"open": 1, "of": 2, "total": 3}}"#), "canary.breakers.payments");
    rejected(&canary(r#""breakers": {"payments": "opened"}"#), "canary.breakers.payments");
}

#[test]
fn numbers_that_are_none_or_out_of_range_are_named() {
    for number in ["NaN", "Infinity", "-Infinity"] {
        rejected(&segment(&format!(r#""requests": {number}"#)), "canary.segments.default.requests");
    }
    rejected(&segment(r#""requests": 1e999"#), "canary.segments.default.requests: number out of range");
    rejected(&segment(r#""requests": 1e16"#), "canary.segments.default.requests: 10000000000000000 is not allowed");
    rejected(&segment(r#""requests": -1"#), "canary.segments.default.requests: -1 is not allowed");
    rejected(&segment(r#""requests": "5""#), "canary.segments.default.requests");
    rejected(&canary(r#""gauges": {"cpu": 1e999}"#), "canary.gauges.cpu");
    rejected(&canary(r#""instances": {"total": -1}"#), "canary.instances.total");
    rejected(&canary(r#""instances": {"total": 1, "not_ready": 2}"#), "canary.instances");
    rejected(&canary(r#""kpis": {"checkout": {"good": 2, "total": 1}}"#), "canary.kpis.checkout.good");
    rejected(&canary(r#""breakers": {"payments": {"open": 2, "of": 1}}"#), "canary.breakers.payments.open");
    rejected(r#"{"at": 2, "stage": 101, "canary": {}}"#, "stage: 101");
    rejected(r#"{"at": 2, "stage": -1, "canary": {}}"#, "stage: -1");
    rejected(r#"{"at": -2, "canary": {}}"#, "at: -2");
    rejected(r#"{"at": 1e999, "canary": {}}"#, "at: ");
    rejected(r#"{"at": true, "canary": {}}"#, "at: seconds, or a time such as");
    rejected(r#"{"canary": {}}"#, "missing field `at`");
    rejected(r#"{"at": 2}"#, "missing field `canary`");
}

#[test]
fn time_goes_forward_in_one_form() {
    rejected(r#"{"at": 0.5, "canary": {}}"#, "at: 0.5 is not allowed, must be 1 or later");
    rejected(r#"{"at": "2026-01-31T12:00:00Z", "canary": {}}"#, "at: one form of time in a file");
    rejected(r#"{"at": "yesterday", "canary": {}}"#, "at: seconds, or a time such as");

    let mut reader = TickReader::new();
    reader.read(r#"{"at": "2026-01-31T12:00:00Z", "stage": 5, "canary": {}}"#).unwrap();
    let message = reader.read(r#"{"at": "2026-01-31T11:59:59Z", "stage": 20, "canary": {}}"#).unwrap_err().to_string();
    assert_eq!(
        message,
        "line 2: at: 2026-01-31T11:59:59Z is not allowed, must be 2026-01-31T12:00:00Z or later, the time of the tick before"
    );
    assert!(reader.read(r#"{"at": 5, "canary": {}}"#).is_err());
}

#[test]
fn a_new_stage_may_begin_its_clock_anew() {
    let mut reader = TickReader::new();
    reader.read(r#"{"at": 60, "stage": 5, "canary": {}}"#).unwrap();
    reader.read(r#"{"at": 1, "stage": 20, "canary": {}}"#).unwrap();
    assert!(reader.read(r#"{"at": 0, "stage": 20, "canary": {}}"#).is_err());
}

#[test]
fn histograms_are_checked() {
    rejected(&buckets(r#""le": [0.1, 0.2], "counts": [1, 2]"#), "counts: 2 counts is not allowed, must be one more");
    rejected(&buckets(r#""le": [0.2, 0.1], "counts": [1, 2, 3]"#), "seconds above 0, ascending");
    rejected(&buckets(r#""le": [0.1, 0.1], "counts": [1, 2, 3]"#), "seconds above 0, ascending");
    rejected(&buckets(r#""le": [0], "counts": [1, 2]"#), "seconds above 0, ascending");
    rejected(&buckets(r#""le": [0.1], "counts": [1, -2]"#), "counts[1]: -2");
    rejected(&buckets(r#""le": [0.1]"#), "missing field `counts`");
    let differing = r#"{"at": 2,
        "canary": {"segments": {"a": {"latency": {"success": {"le": [0.1], "counts": [1, 2]}}}}},
        "baseline": {"segments": {"a": {"latency": {"success": {"le": [0.2], "counts": [1, 2]}}}}}}"#;
    rejected(differing, "baseline.segments.a.latency.success.le: [0.2] is not allowed, must be the canary's, [0.1]");
    let many = format!(r#""le": {:?}, "counts": {:?}"#, (1..=501).collect::<Vec<_>>(), vec![0; 502]);
    rejected(&buckets(&many), "le: 501 is not allowed, must be at most 500 bounds");
}

#[test]
fn names_are_bounded() {
    let names = |value: &str| (0..1001).map(|i| format!(r#""s{i}": {value}"#)).collect::<Vec<_>>().join(", ");
    for (field, value) in
        [("segments", "{}"), ("gauges", "1"), ("breakers", r#""open""#), ("kpis", r#"{"good": 1, "total": 1}"#)]
    {
        let line = canary(&format!(r#""{field}": {{{}}}"#, names(value)));
        rejected(&line, &format!("canary.{field}: 1001 is not allowed, must be at most 1000 names"));
    }
}

#[test]
fn a_long_name_is_cut_in_sentences_and_harmless_in_a_terminal() {
    let (mut judge, mut reader) = (Judge::new(Policy::default()), TickReader::new());
    let name = format!("\\u001b[31m{}", "x".repeat(5_000));
    let mut last = None;
    for at in 1..90 {
        let arm = |errors: u32, state: &str| {
            let segments = format!(
                r#""{name}": {{"requests": 1000, "server_errors": {errors}}}, "b": {{"requests": 9000, "server_errors": 9}}"#
            );
            format!(r#"{{"segments": {{{segments}}}, "breakers": {{"{name}": "{state}"}}}}"#)
        };
        let line = format!(r#"{{"at": {at}, "canary": {}, "baseline": {}}}"#, arm(20, "open"), arm(1, "closed"));
        last = reader.read(&line).unwrap().map(|tick| judge.observe(tick));
    }
    let verdict = last.unwrap();
    let sentences = verdict.triggers.iter().map(|trigger| &trigger.sentence);
    let shown: Vec<_> = sentences.filter(|sentence| sentence.contains("\\u{1b}[31mxxx")).collect();
    assert!(shown.len() == 2 && shown.iter().all(|sentence| sentence.len() < 300), "{shown:?}");
}

#[test]
fn a_key_twice_is_an_error_at_every_level() {
    rejected(r#"{"at": 2, "at": 3, "canary": {}}"#, "duplicate field `at`");
    rejected(&canary(r#""segments": {"a": {}, "b": {}, "a": {}}"#), "canary.segments: duplicate key \"a\"");
    rejected(&canary(r#""segments": {"a": {}, "\u0061": {}}"#), "canary.segments: duplicate key \"a\"");
    rejected(&segment(r#""requests": 1, "requests": 2"#), "duplicate field `requests`");
    rejected(&canary(r#""gauges": {"cpu": 1, "cpu": 2}"#), "canary.gauges: duplicate key \"cpu\"");
    rejected(&canary(r#""breakers": {"a": "open", "a": "closed"}"#), "canary.breakers: duplicate key \"a\"");
    let kpis = r#""kpis": {"a": {"good": 1, "total": 1}, "a": {"good": 1, "total": 1}}"#;
    rejected(&canary(kpis), "canary.kpis: duplicate key \"a\"");
}

#[test]
fn lines_that_are_no_object_are_named() {
    rejected("requests=5", "expected value");
    rejected("[]", "");
    rejected("5", "invalid type");
    rejected("null", "");
    rejected(r#"{"at": 2, "canary": {}"#, "EOF while parsing");
    rejected(r#"{"at": 2, "canary": {}} {"at": 3}"#, "trailing characters");
    rejected(r#"{"at": 2, "canary": null}"#, "canary");
    rejected(&"[".repeat(100_000), "invalid type: sequence");
    rejected(&format!(r#"{{"at": {}"#, "[".repeat(100_000)), "recursion limit");
    rejected("{\"at\": 2, \u{0} \"canary\": {}}", "key must be a string");
}

#[test]
fn a_line_is_at_most_sixteen_mebibytes() {
    let mut line = String::from(GOOD);
    line.extend(std::iter::repeat_n(' ', 1 << 24));
    rejected(&line, "longer than 16 MiB");
}

/// As wide as it may be, in every field: read, in about its own size of memory.
#[test]
fn a_thousand_segments_are_ticks() {
    let mut segments = String::new();
    for i in 0..1000 {
        write!(segments, r#"{}"s{i}": {{"requests": 5}}"#, if i == 0 { "" } else { ", " }).unwrap();
    }
    assert!(TickReader::new().read(&canary(&format!(r#""segments": {{{segments}}}"#))).is_ok());
}

#[test]
fn a_list_is_no_object_at_any_level() {
    rejected("[2, 5, false, {}, null]", "invalid type: sequence, expected an object");
    rejected(r#"{"at": 2, "canary": [{}]}"#, "canary: invalid type: sequence, expected an object");
    rejected(r#"{"at": 2, "canary": {}, "baseline": [{}]}"#, "baseline: invalid type: sequence");
    rejected(&canary(r#""segments": {"a": [100, null, 5, null, null, {}]}"#), "canary.segments.a: invalid type");
    rejected(&segment(r#""latency": [null, null]"#), "canary.segments.default.latency: invalid type");
    rejected(
        &segment(r#""latency": {"success": [[0.1], [1, 2]]}"#),
        "canary.segments.default.latency.success: invalid",
    );
    rejected(&canary(r#""instances": [4, 0, 0]"#), "canary.instances: invalid type");
    rejected(&canary(r#""kpis": {"checkout": [1, 1]}"#), "canary.kpis.checkout: invalid type");
    rejected(&canary(r#""breakers": {"payments": [1, 4]}"#), "canary.breakers.payments: a state of closed");
}

#[test]
fn a_byte_order_mark_before_the_first_line_is_skipped() {
    assert!(TickReader::new().read(&format!("\u{feff}{GOOD}")).unwrap().is_some());
    rejected(&format!("\u{feff}{GOOD}"), "expected value");
}

#[test]
fn names_and_numbers_are_quoted_short_and_without_control_characters() {
    let long = "x".repeat(5_000);
    for name in [r"a\u0000\u001b[31m", &long] {
        for value in [
            r#"{"requests": -1}"#,
            r#"{"requests": "5"}"#,
            "[]",
            r#"{"latency": {"success": {"le": [0], "counts": [1]}}}"#,
        ] {
            let line = canary(&format!(r#""segments": {{"{name}": {value}}}"#));
            let message = TickReader::new().read(&line).unwrap_err().to_string();
            assert!(message.len() < 500 && !message.contains(char::is_control), "{message:?}");
        }
        let twice = canary(&format!(r#""gauges": {{"{name}": 1, "{name}": 1}}"#));
        for line in [twice, canary(&format!(r#""{name}": 1"#)), canary(&format!(r#""breakers": {{"p": "{name}"}}"#))] {
            let message = TickReader::new().read(&line).unwrap_err().to_string();
            assert!(message.len() < 1_000 && !message.contains(char::is_control), "{message:?}");
        }
    }
    rejected(&segment(r#""requests": 1e300"#), "canary.segments.default.requests: 1e300 is not allowed");
    rejected(r#"{"at": 1e300, "canary": {}}"#, "at: 1e300 is not allowed");
}
