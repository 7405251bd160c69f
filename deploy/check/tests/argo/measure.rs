//! A measurement as Argo Rollouts takes it: the answer of a provider, and the phase that a metric's conditions make of it.
//!
//! After argoproj/argo-rollouts: `utils/evaluate/evaluate.go` at 0b95b27 (`EvaluateResult`, `EvalCondition`),
//! `metricproviders/webmetric/webmetric.go` (`Run`, `parseResponse`), `metricproviders/prometheus/prometheus.go`
//! (`processResponse`).

use expr::{Context, Environment, Error, Value as Expr};
use serde_json::Value;
use serde_json_path::JsonPath;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Successful,
    Failed,
    Inconclusive,
    Error,
}

/// Payload of a metric provider.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status and body of an HTTP response.
    Http(u16, String),
    /// Values of a vector that Prometheus returned.
    Vector(Vec<f64>),
    /// No connection, or no answer in time.
    Timeout,
}

/// The phase of one measurement of `metric`.
pub(crate) fn measure(metric: &Value, answer: &Answer) -> Phase {
    let result = match answer {
        // webmetric.go: anything but 2xx is an error, as is a body that is not JSON and a path that is not there.
        Answer::Http(200..300, body) => {
            let Ok(body) = serde_json::from_str::<Value>(body) else { return Phase::Error };
            let path = metric["provider"]["web"]["jsonPath"].as_str().unwrap_or("{$}");
            let path = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).expect("a path in braces");
            let found = JsonPath::parse(path).expect("a JSON path").query(&body).all();
            let [found] = found[..] else { return Phase::Error };
            expr::to_value(found).unwrap()
        }
        Answer::Http(..) | Answer::Timeout => return Phase::Error,
        Answer::Vector(values) => Expr::from(values.clone()),
    };
    evaluate(metric, &result).unwrap_or(Phase::Error)
}

fn evaluate(metric: &Value, result: &Expr) -> Result<Phase, Error> {
    let condition = |name: &str| metric[name].as_str().map(|condition| holds(condition, result)).transpose();
    let success = condition("successCondition")?;
    let failure = condition("failureCondition")?;
    Ok(match (success, failure) {
        (_, Some(true)) | (Some(false), None) => Phase::Failed,
        (Some(false), Some(false)) => Phase::Inconclusive,
        (None | Some(true), _) => Phase::Successful,
    })
}

fn holds(condition: &str, result: &Expr) -> Result<bool, Error> {
    let mut environment = Environment::new();
    let number = |value: &Expr| match value {
        Expr::Integer(_) | Expr::Float(_) => Ok(value.clone()),
        Expr::String(text) => {
            text.parse::<f64>().map(Expr::from).map_err(|_| Error::ExprError(format!("{text}: invalid syntax")))
        }
        other => Err(Error::ExprError(format!("asFloat() not supported on {other:?}"))),
    };
    for name in ["asInt", "asFloat"] {
        environment.add_function(name, move |call| number(&call.args[0]));
    }
    let mut context = Context::default();
    context.insert("result", result.clone());
    let value = environment.eval(condition, &context)?;
    value.as_bool().ok_or_else(|| Error::ExprError(format!("expected bool, but got {value:?}")))
}
