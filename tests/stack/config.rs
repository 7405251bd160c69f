//! Settings from a file: every one can be set, durations read as people write them, and a wrong file says
//! everything that is wrong with it.

use backstop::CircuitBreaker;
use backstop::circuit_breaker::{
    AbandonedPolicy, BucketAlignment, CircuitBreakerConfig, EvaluateOn, HalfOpenDecision, OpenTime, PanicPolicy,
    ProbeLimit, RetryAfterPolicy, SlidingWindow, State, Throttle, TimeoutTo,
};
use backstop::config::Ratio;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn read(text: &str) -> CircuitBreakerConfig {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let error = toml::from_str::<CircuitBreakerConfig>(text).expect_err("it is wrong");
    error.message().to_owned()
}

/// A configuration is a plain value: what it shows is all there is.
fn shown(config: &CircuitBreakerConfig) -> String {
    format!("{config:#?}")
}

/// Every setting with a value that is not its default.
const EVERY_SETTING: &str = r#"
    window = { type = "time", duration = "1m 30s", buckets = 30, alignment = "first_call" }
    failure_rate_threshold = 0.25
    minimum_calls = 20
    slow_call_rate_threshold = 0.8
    slow_call_duration_threshold = "1500ms"
    slow_call_minimum_calls = 30
    detect_slow_calls_in_flight = true
    failure_count_threshold = 40
    failure_count_minimum_calls = 50
    consecutive_failures_threshold = 10
    evaluate_on = "failure"
    on_abandoned = "failure"
    unanswered_after = "3s"
    stall_after = "90s"
    on_panic = "ignore"
    open_time = { initial = "5s", multiplier = 2.0, max = "5m" }
    open_time_jitter = 0.1
    jitter_seed = 7
    retry_after = "opens_at_once"
    retry_after_max = "2h"
    automatic_half_open = true
    half_open_max_calls = 5
    half_open_limit = "in_flight"
    half_open_decision = { type = "consecutive_successes", calls = 3 }
    half_open_early_decision = false
    half_open_timeout = "90s"
    half_open_timeout_to = "closed"
    ramp = "2m"
    throttle = { accepts_multiplier = 1.5, window = "30s", minimum_requests = 5, minimum_requests_per_second = 2, maximum_rejection_rate = 0.8, aggression = 1.2 }
    initial_state = "shadow"
"#;

#[test]
fn every_setting_of_a_file_does_what_its_setter_does() {
    let throttle = Throttle::new()
        .accepts_multiplier(1.5)
        .window(30 * SECOND)
        .minimum_requests(5)
        .minimum_requests_per_second(2.0)
        .maximum_rejection_rate(0.8)
        .aggression(1.2);
    let built = CircuitBreakerConfig::builder()
        .window(SlidingWindow::Time { duration: 90 * SECOND, buckets: 30, alignment: BucketAlignment::FirstCall })
        .failure_rate_threshold(0.25)
        .minimum_calls(20)
        .slow_call_rate_threshold(0.8)
        .slow_call_duration_threshold(Duration::from_millis(1_500))
        .slow_call_minimum_calls(30)
        .detect_slow_calls_in_flight(true)
        .failure_count_threshold(40)
        .failure_count_minimum_calls(50)
        .consecutive_failures_threshold(10)
        .evaluate_on(EvaluateOn::Failure)
        .on_abandoned(AbandonedPolicy::Failure)
        .unanswered_after(3 * SECOND)
        .stall_after(90 * SECOND)
        .on_panic(PanicPolicy::Ignore)
        .open_time(OpenTime::exponential(5 * SECOND, 2.0, 300 * SECOND))
        .open_time_jitter(0.1)
        .jitter_seed(7)
        .retry_after(RetryAfterPolicy::OpensAtOnce)
        .retry_after_max(7_200 * SECOND)
        .automatic_half_open(true)
        .half_open_max_calls(5)
        .half_open_limit(ProbeLimit::InFlight)
        .half_open_decision(HalfOpenDecision::ConsecutiveSuccesses { calls: 3 })
        .half_open_early_decision(false)
        .half_open_timeout(90 * SECOND)
        .half_open_timeout_to(TimeoutTo::Closed)
        .ramp(120 * SECOND)
        .throttle(throttle)
        .initial_state(State::Shadow)
        .build()
        .unwrap();
    assert_eq!(shown(&read(EVERY_SETTING)), shown(&built));
}

/// The settings that a file may have, as a wrong one is told.
fn settings() -> BTreeSet<String> {
    let message = refused("no_such_setting = 1");
    let (start, names) = message.split_once(", expected one of ").expect("it lists what is valid");
    assert_eq!(start, "unknown field `no_such_setting`");
    names.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn the_file_above_leaves_nothing_out_and_nothing_at_its_default() {
    let table: toml::Table = EVERY_SETTING.parse().unwrap();
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), settings());

    let default = shown(&CircuitBreakerConfig::default());
    for (name, value) in &table {
        let mut alone = toml::Table::from_iter([(name.clone(), value.clone())]);
        if ["slow_call_rate_threshold", "detect_slow_calls_in_flight"].contains(&name.as_str()) {
            alone.insert("slow_call_duration_threshold".into(), "1s".into()); // without it they mean nothing
        }
        assert_ne!(shown(&read(&alone.to_string())), default, "{name} has no effect");
    }
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(shown(&read("")), shown(&CircuitBreakerConfig::default()));
}

#[test]
fn a_rule_is_turned_off_with_false() {
    let config = read("failure_rate_threshold = false\nconsecutive_failures_threshold = 5");
    assert_eq!(config.failure_rate_threshold(), None);
    assert_eq!(refused("failure_rate_threshold = true"), "expected a number, or false to turn the rule off, got true");
    assert_eq!(refused("failure_rate_threshold = \"half\""), "expected a number, or false to turn the rule off");
    let config = read("failure_rate_threshold = 1");
    assert_eq!(config.failure_rate_threshold(), Some(Ratio::new(1.0).unwrap()));
}

#[test]
fn durations_are_written_as_people_write_them() {
    for (text, millis) in
        [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1m 30s", 90_000), ("1h", 3_600_000), ("1day", 86_400_000)]
    {
        let config = read(&format!("half_open_timeout = \"1s\"\nopen_time = \"{text}\""));
        let expected = CircuitBreakerConfig::builder()
            .half_open_timeout(SECOND)
            .open_time(Duration::from_millis(millis))
            .build()
            .unwrap();
        assert_eq!(shown(&config), shown(&expected), "{text}");
    }
}

#[test]
fn a_wrong_open_time_says_what_is_wrong() {
    for (text, message) in [
        (
            "30",
            "invalid type: integer `30`, expected a duration like \"30s\", or { initial = \"5s\", multiplier = 2.0, max = \"5m\" }",
        ),
        ("\"30 parsecs\"", "invalid value: string \"30 parsecs\", expected a duration"),
        ("{ initial = \"5s\", max = \"5m\" }", "missing field `multiplier`"),
        (
            "{ initial = \"5s\", multiplier = 2.0, max = \"5m\", jitter = 0.1 }",
            "unknown field `jitter`, expected one of `initial`, `multiplier`, `max`",
        ),
    ] {
        let refused = refused(&format!("open_time = {text}"));
        assert!(refused.contains(message), "{text}: {refused}");
    }
}

#[test]
fn every_window_and_decision_can_be_written() {
    for (text, window) in [
        ("{ type = \"count\", calls = 50 }", SlidingWindow::count(50)),
        ("{ type = \"time\", duration = \"10s\" }", SlidingWindow::time(10 * SECOND, 10)),
        ("{ type = \"tumbling\", duration = \"10s\" }", SlidingWindow::Tumbling { duration: 10 * SECOND }),
    ] {
        assert_eq!(read(&format!("window = {text}")).window(), window);
    }
    for text in [
        "{ type = \"rate\", calls = 10 }",
        "{ type = \"consecutive_successes\", calls = 3 }",
        "{ type = \"successes\", successes = 3, of = 5 }",
    ] {
        read(&format!("half_open_decision = {text}"));
    }
    assert!(refused("window = { type = \"sliding\" }").contains("expected one of `count`, `time`, `tumbling`"));
    assert!(refused("window = { type = \"count\", calls = 5, buckets = 3 }").contains("unknown field `buckets`"));
    assert!(refused("throttle = { k = 2 }").contains("expected one of `accepts_multiplier`"));
}

#[test]
fn all_values_out_of_range_are_told_at_once() {
    let message = refused(
        r#"
        window = { type = "count", calls = 0 }
        failure_rate_threshold = 1.2
        minimum_calls = 0
        slow_call_rate_threshold = 0.5
        unanswered_after = "0s"
        open_time = { initial = "0s", multiplier = 0.5, max = "5m" }
        open_time_jitter = 2
        half_open_max_calls = 0
        half_open_timeout = "0s"
        ramp = "0s"
        throttle = { maximum_rejection_rate = 0 }
        "#,
    );
    let problems: Vec<_> = message.trim_start_matches("invalid configuration: ").split("; ").collect();
    let names: Vec<_> = problems.iter().filter_map(|problem| Some(problem.split_once(": ")?.0)).collect();
    assert_eq!(
        names,
        [
            "window.calls",
            "failure_rate_threshold",
            "minimum_calls",
            "slow_call_duration_threshold",
            "open_time.initial",
            "open_time.multiplier",
            "open_time_jitter",
            "unanswered_after",
            "half_open_max_calls",
            "half_open_timeout",
            "ramp",
            "throttle.maximum_rejection_rate",
        ]
    );
    assert_eq!(problems[1], "failure_rate_threshold: 1.2 is not allowed, must be above 0 and at most 1");
}

#[test]
fn a_file_holds_many_breakers_by_name() {
    let file = r#"
        [payments]
        failure_rate_threshold = 0.3

        [search]
        open_time = "5s"
    "#;
    let configs: BTreeMap<String, CircuitBreakerConfig> = toml::from_str(file).unwrap();
    let breakers: Vec<_> =
        configs.into_iter().map(|(name, config)| CircuitBreaker::from_config(&name, config).unwrap()).collect();
    assert_eq!(breakers.iter().map(CircuitBreaker::name).collect::<Vec<_>>(), ["payments", "search"]);
    assert_eq!(breakers[0].config().failure_rate_threshold(), Some(Ratio::new(0.3).unwrap()));
}

#[test]
fn the_same_settings_can_be_json() {
    let json = r#"{"failure_rate_threshold": false, "failure_count_threshold": 5, "open_time": "5s", "ramp": null}"#;
    let config: CircuitBreakerConfig = serde_json::from_str(json).unwrap();
    let toml = read("failure_rate_threshold = false\nfailure_count_threshold = 5\nopen_time = \"5s\"");
    assert_eq!(shown(&config), shown(&toml));
}

#[test]
fn a_running_breaker_takes_a_file() {
    let breaker = CircuitBreaker::new("payments");
    breaker.trip("test");
    breaker.reconfigure(read("consecutive_failures_threshold = 2\nopen_time = \"1s\""));
    assert_eq!(breaker.state(), State::Open);
    breaker.reset("test");
    for _ in 0..2 {
        breaker.try_acquire().unwrap().failure();
    }
    assert_eq!(breaker.state(), State::Open);
    assert!(breaker.retry_after().unwrap() <= SECOND);
}
