//! Answers of the query API.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Longest part of a message that is quoted, in characters.
const SHOWN_MAX: usize = 300;

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// Values of a vector by these labels, in their order. A series that does not exist is not in it, and is not 0; nor is a
/// gauge that is NaN or infinite. A gauge may be negative.
///
/// # Errors
///
/// An answer that is no vector, or is said to be partial; another value that is NaN, infinite or negative; two series with the
/// same of these labels. The message names the series.
pub(super) fn vector(
    text: &str,
    labels: &[&str],
    is_gauge: impl Fn(&[String]) -> bool,
) -> Result<BTreeMap<Vec<String>, f64>, String> {
    let answer: Answer =
        serde_json::from_str(text).map_err(|error| format!("the answer is not of the query API: {error}"))?;
    if answer.status != "success" {
        let message = shown(&answer.error);
        return Err(format!(
            "the server answers status {} ({}): {message}",
            shown(&answer.status),
            shown(&answer.error_type)
        ));
    }
    if let Some(warning) = answer.warnings.first() {
        return Err(format!("the answer may be partial: {}", shown(warning)));
    }
    let data = answer.data.filter(|data| data.result_type == "vector").ok_or("the answer has no vector")?;
    let mut rows: BTreeMap<Vec<String>, (f64, BTreeMap<String, String>)> = BTreeMap::new();
    for Series { metric, value: (_, value) } in data.result {
        let key: Vec<_> = labels.iter().map(|label| metric.get(*label).cloned().unwrap_or_default()).collect();
        let number: Option<f64> = value.parse().ok();
        let is_gauge = is_gauge(&key);
        if is_gauge && number.is_some_and(|number| !number.is_finite()) {
            continue;
        }
        let number = number.filter(|value| value.is_finite() && (is_gauge || *value >= 0.0));
        let number =
            number.ok_or_else(|| format!("{} is {}, must be a number from 0 up", name(&metric), shown(&value)))?;
        if let Some((_, other)) = rows.get(&key) {
            return Err(format!("two series where one is expected: {} and {}", name(other), name(&metric)));
        }
        rows.insert(key, (number, metric));
    }
    Ok(rows.into_iter().map(|(key, (value, _))| (key, value)).collect())
}

fn name(metric: &BTreeMap<String, String>) -> String {
    let labels: Vec<_> = metric.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    shown(&format!("{{{}}}", labels.join(",")))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#)
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "whole numbers")]
    fn a_vector_is_read_by_its_labels() {
        let text = of(r#"{"metric":{"a":"1","b":"2"},"value":[1.5,"3"]},{"metric":{"a":"2"},"value":[1,"1e3"]}"#);
        let rows = vector(&text, &["a", "b"], |_| false).unwrap();
        assert_eq!(rows[&vec!["1".to_owned(), "2".to_owned()]], 3.0);
        assert_eq!(rows[&vec!["2".to_owned(), String::new()]], 1000.0);
        assert_eq!(vector(&of(""), &["a"], |_| false).unwrap().len(), 0);
    }

    #[test]
    fn a_gauge_without_a_number_is_not_measured_and_another_may_be_negative() {
        let text = of(concat!(
            r#"{"metric":{"a":"nan"},"value":[1,"NaN"]},{"metric":{"a":"inf"},"value":[1,"-Inf"]},"#,
            r#"{"metric":{"a":"low"},"value":[1,"-2"]}"#
        ));
        let rows = vector(&text, &["a"], |_| true).unwrap();
        assert_eq!(rows, [(vec!["low".to_owned()], -2.0)].into());
        let error = vector(&text, &["a"], |key| key[0] != "low").unwrap_err();
        assert!(error.contains("{a=\"low\"} is -2"), "{error}");
    }

    #[test]
    fn no_data_parsed_as_0_is_an_error_or_nothing_and_two_series_are_named() {
        let two = r#"{"metric":{"a":"1","pod":"x"},"value":[1,"1"]},{"metric":{"a":"1","pod":"y"},"value":[1,"2"]}"#;
        for (text, error) in [
            (of(r#"{"metric":{"a":"1"},"value":[1,"NaN"]}"#), "{a=\"1\"} is NaN"),
            (of(r#"{"metric":{"a":"1"},"value":[1,"+Inf"]}"#), "{a=\"1\"} is +Inf"),
            (of(r#"{"metric":{"a":"1"},"value":[1,"-1"]}"#), "{a=\"1\"} is -1"),
            (of(r#"{"metric":{"a":"1"},"value":[1,null]}"#), "the answer is not of the query API"),
            (of(r#"{"metric":{"a":"1"}}"#), "the answer is not of the query API"),
            (of(two), "two series where one is expected: {a=\"1\",pod=\"x\"} and {a=\"1\",pod=\"y\"}"),
            ("null".to_owned(), "the answer is not of the query API"),
            ("<html>".to_owned(), "the answer is not of the query API"),
            (of(two)[..60].to_owned(), "the answer is not of the query API"),
            (r#"{"status":"success"}"#.to_owned(), "the answer has no vector"),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[]}}"#.to_owned(),
                "the answer has no vector",
            ),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.to_owned(),
                "the server answers status error (bad_data): parse error",
            ),
            (
                r#"{"status":"success","warnings":["store x is down"],"data":{"resultType":"vector","result":[]}}"#
                    .to_owned(),
                "the answer may be partial: store x is down",
            ),
        ] {
            let message = vector(&text, &["a"], |_| false).unwrap_err();
            assert!(message.contains(error), "{text}: {message}");
        }
    }
}
