//! The query API, by a server that lies.

use crate::kit::{requests, serve};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::post;
use backstop::rollback::{BreakerReport, BreakerShare, Buckets, Instances, Kpi};
use backstop::rollout::source::{Prometheus, Source as _};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Server {
    now: f64,
    newest: f64,
    queries: Vec<String>,
    has_mixed_bounds: bool,
    /// Bytes of all answers.
    answered: usize,
    /// In place of an answer to a query with this text.
    lie: Option<Lie>,
}

type Lie = (&'static str, fn() -> Response);
type Shared = Arc<Mutex<Server>>;

async fn answer(State(server): State<Shared>, form: String) -> Response {
    let mut server = server.lock().unwrap();
    let form = reqwest::Url::parse(&format!("http://a/?{form}")).unwrap();
    let query = &form.query_pairs().find(|(name, _)| name == "query").unwrap().1.into_owned();
    server.queries.push(query.clone());
    if let Some((text, lie)) = server.lie
        && query.contains(text)
    {
        return lie();
    }
    let body = vector(&rows(&server, query));
    server.answered += body.len();
    body.into_response()
}

type Row = (Vec<(&'static str, &'static str)>, f64);

/// The answers of a server with ten thousand instances of the canary, all the same.
fn rows(server: &Server, query: &str) -> Vec<Row> {
    let is_canary = query.contains("version=\"2\"");
    let instances = if is_canary { 10_000.0 } else { 20_000.0 };
    let field = |name: &'static str, value: f64| (vec![("field", name)], value);
    match query {
        query if query.contains("timestamp(") => {
            vec![field("now", server.now), field("canary", server.newest), field("baseline", server.newest)]
        }
        query if query.starts_with("sum by (segment, outcome)") => vec![
            (vec![("segment", "default"), ("outcome", "success")], 97.0 * instances),
            (vec![("segment", "default"), ("outcome", "server_error")], 3.0 * instances),
        ],
        query if query.contains("sum by (segment)") => {
            vec![
                (vec![("field", "active"), ("segment", "default")], 9.0),
                (vec![("field", "error"), ("segment", "default")], 2.0),
            ]
        }
        query if query.contains("sum by (outcome, le)") => {
            let of = |field, le, value| (vec![("field", field), ("outcome", "success"), ("le", le)], value);
            let others = if server.has_mixed_bounds { 1.0 } else { 2.0 };
            vec![
                of("added", "1", 40.0),
                of("added", "1.0", 50.0),
                of("added", "+Inf", 97.0),
                of("series", "1", 1.0),
                of("series", "1.0", others - 1.0),
                of("series", "+Inf", 2.0),
            ]
        }
        query if query.contains("by (name)") => {
            vec![(vec![("field", "open"), ("name", "db")], 1.0), (vec![("field", "of"), ("name", "db")], instances)]
        }
        _ => vec![
            field("total", instances),
            field("down", 2.0),
            field("not_ready", 3.0),
            field("cpu", 4.0),
            field("gauge:memory", 5.0),
            field("good:0", 8.0),
            field("all:0", 9.0),
        ],
    }
}

fn vector(rows: &[Row]) -> String {
    let rows = rows.iter().map(|(labels, value)| {
        let labels: HashMap<_, _> = labels.iter().copied().collect();
        serde_json::json!({ "metric": labels, "value": [1.0, value.to_string()] })
    });
    let data = serde_json::json!({ "resultType": "vector", "result": rows.collect::<Vec<_>>() });
    serde_json::json!({ "status": "success", "data": data }).to_string()
}

fn start() -> (Shared, SocketAddr) {
    let server = Shared::default();
    let address = serve(Router::new().route("/api/v1/query", post(answer)).with_state(Arc::clone(&server)));
    (server, address)
}

/// A source after its first look.
fn begun() -> (Shared, Prometheus) {
    let (server, address) = start();
    let mut source = Prometheus::new(&format!("http://{address}/"), "shop", "version=\"2\"")
        .unwrap()
        .baseline("{version=\"1\"}")
        .every(Duration::ZERO)
        .kpi("checkout", "paid_total", "checkouts_total{kind=\"web\"}")
        .unwrap();
    at(&server, 1_000.0);
    assert_eq!(source.look().unwrap(), None);
    (server, source)
}

fn at(server: &Shared, now: f64) {
    let mut server = server.lock().unwrap();
    (server.now, server.newest) = (now, now - 1.5);
}

#[test]
fn ten_thousand_instances_are_a_dozen_short_answers() {
    let (server, mut source) = begun();
    at(&server, 1_015.0);
    server.lock().unwrap().answered = 0;
    let tick = source.look().unwrap().unwrap();
    assert_eq!(tick.at(), 1_014.0, "the server's time, a second ago");
    assert_eq!(requests(tick.canary()), (1_000_000.0, 30_000.0));
    assert_eq!(requests(tick.baseline().unwrap()), (2_000_000.0, 60_000.0));
    let canary = tick.canary();
    let segment = &canary.segments["default"];
    assert_eq!((segment.active_seconds, segment.error_seconds), (Some(9.0), Some(2.0)));
    assert_eq!(segment.latency.success, Some(Buckets { le: vec![1.0], counts: vec![90.0, 7.0] }));
    assert_eq!(canary.instances, Some(Instances { total: 10_000.0, not_started: 0.0, not_ready: 5.0 }));
    assert_eq!(canary.breakers["db"], BreakerReport::Share(BreakerShare { open: 1.0, of: 10_000.0 }));
    assert_eq!(canary.kpis["checkout"], Kpi { good: 8.0, total: 9.0 });
    assert_eq!((canary.gauges["memory"], canary.gauges["cpu"]), (5.0, 4.0 / 15.0));
    let server = server.lock().unwrap();
    assert!(server.queries.len() <= 12 && server.answered < 10_000, "{} bytes", server.answered);
    let series = "backstop_requests_total{service=\"shop\",version=\"2\"}";
    let added = format!("({series} @ 1014.000 - last_over_time({series}[1h] @ 999.000))");
    let query = format!(
        "sum by (segment, outcome) ((({added} unless ignoring (segment, outcome) ({added} < 0)) or {series} @ 1014.000))"
    );
    assert!(server.queries.contains(&query), "{:#?}", server.queries);
    assert!(server.queries.iter().any(|query| query.contains("checkouts_total{kind=\"web\",version=\"2\"}")));
}

/// No data parsed as 0: an empty vector, NaN, null and two series are no data, and two series are an error that names both.
#[test]
fn lies_are_errors_and_never_a_zero() {
    let (server, mut source) = begun();
    let mut now = 1_015.0;
    for (text, lie, says) in [
        ("outcome", (|| "<html>502".into_response()) as fn() -> Response, "is not of the query API"),
        ("outcome", || r#"{"status":"success","data":{"resultType":"vec"#.into_response(), "is not of the query API"),
        ("outcome", || r#"{"status":"success","data":null}"#.into_response(), "has no vector"),
        (
            "outcome",
            || {
                (StatusCode::BAD_REQUEST, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#)
                    .into_response()
            },
            "status 400: the server answers status error (bad_data): parse error",
        ),
        ("outcome", || (StatusCode::SERVICE_UNAVAILABLE, "down").into_response(), "status 503"),
        (
            "outcome",
            || Redirect::temporary("/login").into_response(),
            "the answer is 307 Temporary Redirect, to /login: give that address",
        ),
        ("outcome", || " ".repeat(2 << 20).into_response(), "the answer is longer than 1048576 bytes"),
        ("outcome", || vec![0xff].into_response(), "the answer is not UTF-8"),
        (
            "outcome",
            || {
                vector(&[(vec![("segment", "a"), ("pod", "x")], 1.0), (vec![("segment", "a"), ("pod", "y")], 1.0)])
                    .into_response()
            },
            "two series where one is expected: {pod=\"x\",segment=\"a\"} and {pod=\"y\",segment=\"a\"}",
        ),
        ("outcome", || vector(&[(vec![("segment", "a")], f64::NAN)]).into_response(), "{segment=\"a\"} is NaN"),
        ("by (name)", || vector(&[(vec![("field", "of"), ("name", "db")], f64::INFINITY)]).into_response(), "is inf"),
        ("count(", || vector(&[(vec![("field", "total")], -1.0)]).into_response(), "is -1"),
        ("timestamp", || vector(&[]).into_response(), "the server does not say its time"),
        (
            "timestamp",
            || vector(&[(vec![("field", "now")], 5_000.0)]).into_response(),
            "the server has no sample of backstop_requests_total{service=\"shop\",version=\"2\"}",
        ),
        (
            "timestamp",
            || vector(&[(vec![("field", "now")], 5_000.0), (vec![("field", "canary")], 4_925.0)]).into_response(),
            "the newest sample is 75 s old",
        ),
    ] {
        at(&server, now);
        server.lock().unwrap().lie = Some((text, lie));
        let error = source.look().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        now += 15.0;
    }
    // The look after them takes everything since the last one that succeeded.
    server.lock().unwrap().lie = None;
    server.lock().unwrap().queries.clear();
    at(&server, now);
    assert!(source.look().unwrap().is_some());
    assert!(server.lock().unwrap().queries.iter().any(|query| query.contains("@ 999.000")));
}

/// A bulkhead of no call at most is 0 / 0, and a business value may be below 0.
#[test]
fn a_gauge_without_a_number_is_not_measured_and_blinds_nothing() {
    let (server, mut source) = begun();
    at(&server, 1_015.0);
    let lie: fn() -> Response = || {
        let field = |field, value| (vec![("field", field)], value);
        vector(&[field("total", 2.0), field("gauge:memory", f64::NAN), field("gauge:margin", -3.0)]).into_response()
    };
    server.lock().unwrap().lie = Some(("count(", lie));
    let tick = source.look().unwrap().unwrap();
    assert_eq!(tick.canary().gauges, [("margin".to_owned(), -3.0)].into());
    at(&server, 1_030.0);
    let lie: fn() -> Response = || vector(&[(vec![("field", "bulkhead"), ("name", "db")], f64::NAN)]).into_response();
    server.lock().unwrap().lie = Some(("by (name)", lie));
    let tick = source.look().unwrap().unwrap();
    assert!(!tick.canary().gauges.contains_key("bulkhead.db") && requests(tick.canary()).0 > 0.0, "{tick:?}");
}

/// A bound that some instances lack has their requests in the next one: it is no bucket of all.
#[test]
fn instances_with_different_buckets_have_no_latencies() {
    let (server, mut source) = begun();
    at(&server, 1_015.0);
    server.lock().unwrap().has_mixed_bounds = true;
    let tick = source.look().unwrap().unwrap();
    assert_eq!(tick.canary().segments["default"].latency.success, None);
    assert!(requests(tick.canary()).0 > 0.0);
    assert!(source.warnings()[0].contains("instances of the canary have different bounds"), "{:?}", source.warnings());
}

#[test]
fn a_canary_without_series_is_not_measured() {
    let (server, mut source) = begun();
    at(&server, 1_015.0);
    server.lock().unwrap().lie = Some(("outcome", || vector(&[]).into_response()));
    let tick = source.look().unwrap().unwrap();
    assert!(tick.canary().segments["default"].requests.is_none(), "absent is not 0");
    assert_eq!(source.warnings().len(), 1);
}

#[test]
fn nothing_is_looked_at_twice() {
    let (server, mut source) = begun();
    let queries = |server: &Shared| server.lock().unwrap().queries.len();
    let before = queries(&server);
    server.lock().unwrap().now = 1_003.0;
    assert_eq!(source.look().unwrap(), None, "no new sample");
    assert_eq!(queries(&server) - before, 1);
    let mut source = source.every(Duration::from_secs(3_600));
    at(&server, 1_015.0);
    assert_eq!(source.look().unwrap(), None);
    assert_eq!(queries(&server) - before, 1, "too early to ask");
}

#[test]
fn a_server_that_is_slow_or_away_is_an_error_within_its_time() {
    let app = Router::new().route(
        "/api/v1/query",
        post(async || {
            tokio::time::sleep(Duration::from_secs(600)).await;
        }),
    );
    let slow = format!("http://{}", serve(app));
    let error = Prometheus::new(&slow, "shop", "").unwrap().look().unwrap_err().to_string();
    assert!(error.contains("no answer within"), "{error}");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Prometheus::new(&format!("http://{gone}"), "shop", "").unwrap().look().unwrap_err().to_string();
    assert!(error.to_lowercase().contains("refused"), "{error}");
}

#[test]
fn an_address_or_a_kpi_that_is_none_is_refused() {
    for address in ["", "prometheus:9090", "ftp://a", "http://user:secret@a", "http://a/?x=1"] {
        let error = Prometheus::new(address, "shop", "").unwrap_err().to_string();
        assert!(error.contains("must be an address such as http://prometheus:9090"), "{error}");
    }
    let source = Prometheus::new("http://a", "shop", "").unwrap();
    assert!(source.kpi("k", "rate(a[1m])", "b").unwrap_err().to_string().contains("must be a counter"));
}
