//! Kill switches in front of real servers on loopback, and their metrics as a real exporter shows them.

use crate::common;
use crate::{exposition, promtool};

use crate::kept;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::{Router, routing::get};

use backstop::clock::{Clock, Timestamp};
use backstop::kill_switch::{
    Author, Breach, Change, Definition, Editor, Engage, Expiry, KillSwitch, KillSwitches, OnUnknown, Scope, Stage,
    State, SwitchId, Target, Trigger,
};
use backstop::telemetry::METRICS;
use common::{serve, soon};
use exposition::{Exporter, Scrape};
use kept::Kept;
use std::net::SocketAddr;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

fn by(name: &str, reason: &str) -> Author {
    Author::person(name, Timestamp::now()).because(reason)
}

fn id() -> SwitchId {
    SwitchId::new("recs").unwrap()
}

fn definition() -> Definition {
    Definition::new("team-recs", "recommendations", Timestamp::now() + Duration::from_secs(3_600), OnUnknown::Allow)
}

/// Switches on a store that knows `recs`.
fn switches() -> (KillSwitches, KillSwitch) {
    let store = Kept::default();
    Editor::new(store.clone())
        .change(&Change::Define { switch: id(), definition: definition() }, &by("mira", "new"))
        .unwrap();
    let switches = KillSwitches::builder("shop").store(store).poll(Duration::from_secs(3_600)).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    (switches, recs)
}

fn engage(switches: &KillSwitches, scope: Scope) -> u64 {
    let change = Change::Engage(Engage::new(id(), scope).replace());
    switches.change(&change, &by("mira", "wrong prices")).unwrap().generation()
}

fn release(switches: &KillSwitches) {
    switches.change(&Change::Release { switch: id() }, &by("mira", "fixed")).unwrap();
}

// ---- HTTP

/// What a request says of itself: its tenant and its user, by headers.
fn target(request: &Request) -> Target<'_> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let target = Target::new().route(request.uri().path());
    let target = header("tenant").into_iter().fold(target, Target::tenant);
    header("user").into_iter().fold(target, Target::key)
}

async fn ask(client: &reqwest::Client, address: SocketAddr, tenant: &str, user: &str) -> (u16, String) {
    let request = client.get(format!("http://{address}/recs")).header("tenant", tenant).header("user", user);
    let response = soon("an answer", request.send()).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn an_axum_service_degrades_for_one_tenant_then_ten_percent_then_all_and_comes_back() {
    let (switches, recs) = switches();
    let degraded = recs.layer().target(target).fallback(|_: Request, _| Ok("bestsellers".into_response()));
    let app = Router::new().route("/recs", get(async || "made for you")).layer(degraded);
    let (address, client) = (serve(app).await, reqwest::Client::new());
    let is_off = async |tenant: &str, user: &str| match ask(&client, address, tenant, user).await {
        (200, body) if body == "bestsellers" => true,
        (200, body) if body == "made for you" => false,
        other => panic!("{other:?}"),
    };
    assert!(!is_off("acme", "1").await);

    let for_acme = engage(&switches, Scope::new().tenant("acme"));
    assert!(is_off("acme", "1").await && !is_off("globex", "1").await);

    let share = async || {
        let mut off = Vec::new();
        for user in 0..1_000 {
            if is_off("globex", &format!("user-{user}")).await {
                off.push(user);
            }
        }
        off
    };
    engage(&switches, Scope::new().percent(10.0));
    let (once, again) = (share().await, share().await);
    assert_eq!(once, again, "a user stays on the same side");
    assert!((70..=130).contains(&once.len()), "{} of 1000", once.len()); // 10 %, give or take three deviations

    engage(&switches, Scope::all());
    assert!(is_off("acme", "1").await && is_off("globex", "1").await);

    release(&switches);
    assert!(!is_off("acme", "1").await && !is_off("globex", "1").await);

    switches.change(&Change::Revert { generation: for_acme }, &by("mira", "it was acme after all")).unwrap();
    assert!(is_off("acme", "1").await && !is_off("globex", "1").await);
}

#[tokio::test]
async fn without_a_fallback_the_answer_is_503_with_a_problem() {
    let (switches, recs) = switches();
    let app = Router::new().route("/recs", get(async || "made for you")).layer(recs.layer().target(target).respond());
    let (address, client) = (serve(app).await, reqwest::Client::new());
    engage(&switches, Scope::new().tenant("acme"));
    let (status, body) = ask(&client, address, "acme", "1").await;
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, problem["status"].as_u64()), (503, Some(503)), "{body}");
    assert_eq!(ask(&client, address, "globex", "1").await, (200, "made for you".to_owned()));
    assert_eq!(recs.blocked(), 1);
}

#[tokio::test]
async fn a_service_is_tested_in_both_states_of_its_switch() {
    let (switches, hand) = KillSwitches::manual();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    let app = Router::new().route("/recs", get(async || "made for you"));
    let address = serve(app.layer(recs.layer().respond())).await;
    let client = reqwest::Client::new();
    assert_eq!(recs.state(&Target::new()), State::Unknown);
    let mut seen = Vec::new();
    hand.in_both_states("recs", async |state| {
        assert_eq!(recs.state(&Target::new()), state);
        seen.push((state, ask(&client, address, "acme", "1").await.0));
    })
    .await;
    assert_eq!(seen, [(State::Released, 200), (State::Engaged, 503)]);
    assert_eq!(recs.state(&Target::new()), State::Released);
}

// ---- gRPC

#[tokio::test]
async fn a_tonic_service_keeps_its_name_and_answers_unavailable() {
    let (switches, recs) = switches();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("shop", tonic_health::ServingStatus::Serving).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gate = recs.layer().target(|request: &http::Request<tonic::body::Body>| {
        let tenant = request.headers().get("tenant").and_then(|value| value.to_str().ok());
        tenant.into_iter().fold(Target::new(), Target::tenant)
    });
    let service = tower::Layer::layer(&gate.respond_status(), health);
    let router = Server::builder().add_service(service);
    tokio::spawn(router.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let check = async |tenant: &'static str| {
        let mut client: HealthClient<Channel> = HealthClient::new(channel.clone());
        let mut request = tonic::Request::new(HealthCheckRequest { service: "shop".to_owned() });
        request.metadata_mut().insert("tenant", tenant.parse().unwrap());
        soon("a check", client.check(request)).await.map(|_| ())
    };
    assert!(check("acme").await.is_ok());
    engage(&switches, Scope::new().tenant("acme"));
    let status = check("acme").await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    assert!(check("globex").await.is_ok());
    release(&switches);
    assert!(check("acme").await.is_ok());
}

// ---- metrics

const PREFIX: &str = "backstop_kill_switch_";
const ENGAGED: &str = "backstop_kill_switch_engaged";
const TRANSITIONS: &str = "backstop_kill_switch_transitions_total";

fn metric(scrape: &Scrape, short: &str) -> f64 {
    scrape.value(&format!("{PREFIX}{short}"), &[])
}

#[test]
fn every_series_is_there_at_zero_before_anything_happens() {
    let exporter = Exporter::new();
    let (switches, _recs) = exporter.run(switches);
    let scrape = exporter.scrape();
    for metric in METRICS.iter().filter(|metric| metric.name.starts_with(PREFIX)) {
        let count = scrape.series.keys().filter(|series| series.name == metric.name).count();
        assert_eq!(count, if metric.name == TRANSITIONS { 8 } else { 1 }, "{}", metric.name);
        assert!(scrape.text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
    }
    for (series, value) in &scrape.series {
        let expected = match series.name.strip_prefix(PREFIX).unwrap() {
            "generation" => 2.0,
            "drill_age_seconds" => continue, // it never was: since 1970
            _ => 0.0,
        };
        assert!((value - expected).abs() < f64::EPSILON, "{series:?} begins at {value}");
    }
    assert!(metric(&scrape, "drill_age_seconds") > 1e9);
    drop(switches);
}

#[test]
#[expect(clippy::float_cmp, reason = "whole numbers are exact")]
fn what_happens_to_a_switch_is_counted_by_what_set_it_off() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (switches, recs) = switches();
        let moved = |to: &str, trigger: &str| {
            let scrape = exporter.scrape();
            (metric(&scrape, "engaged"), scrape.value(TRANSITIONS, &[("to", to), ("trigger", trigger)]))
        };
        engage(&switches, Scope::new().tenant("acme"));
        assert_eq!(moved("engaged", "human"), (1.0, 1.0));
        assert!(recs.check(&Target::new().tenant("acme")).is_err());
        release(&switches);
        assert_eq!(moved("released", "human"), (0.0, 1.0));

        let soon = Expiry::release(Timestamp::now() + Duration::from_secs(60));
        let drill = Engage::new(id(), Scope::all()).trigger(Trigger::Drill).expires(soon);
        switches.change(&Change::Engage(drill), &by("mira", "rehearsal")).unwrap();
        assert_eq!(moved("engaged", "drill"), (1.0, 1.0));
        release(&switches);
        assert_eq!(moved("released", "drill"), (0.0, 1.0));

        let define = Change::Define { switch: id(), definition: definition().with_max_automatic(10.0) };
        switches.change(&define, &by("mira", "let programs help")).unwrap();
        let breach = Trigger::Kpi(Breach::new("errors", 0.2, 0.05, Duration::from_secs(60), 900));
        let automatic = Engage::new(id(), Scope::new().percent(10.0)).trigger(breach);
        let automatic = automatic.stage(Stage::instances(["instance"]));
        let program = Author::automation("autopilot", Timestamp::now()).because("errors were past 0.05");
        switches.change(&Change::Engage(automatic), &program).unwrap();
        assert_eq!(moved("engaged", "kpi"), (1.0, 1.0));
        release(&switches);
        assert_eq!(moved("released", "human"), (0.0, 2.0), "programs never release");

        let soon =
            Engage::new(id(), Scope::all()).expires(Expiry::release(Timestamp::now() + Duration::from_millis(50)));
        switches.change(&Change::Engage(soon), &by("mira", "for a moment")).unwrap();
        std::thread::sleep(Duration::from_millis(60)); // the wall's clock is no manual one
        switches.refresh();
        assert_eq!(moved("released", "expiry"), (0.0, 1.0));

        let scrape = exporter.scrape();
        assert_eq!((scrape.sum(TRANSITIONS, &[]), scrape.value(ENGAGED, &[])), (8.0, 0.0));
        assert_eq!((metric(&scrape, "blocked_total"), metric(&scrape, "unknown")), (1.0, 0.0));
        assert_eq!(metric(&scrape, "generation"), switches.status().generation as f64);
    });
}

#[test]
#[expect(clippy::float_cmp, reason = "whole numbers are exact")]
fn a_stale_store_an_expired_definition_and_a_drill_show() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (clock, time) = Clock::manual();
        let store = Kept::default();
        let editor = Editor::new(store.clone());
        // It was defined two years ago, for a year.
        let at = |days: u64| Timestamp::now() - Duration::from_secs(days * 86_400);
        let old = Definition::new("team-recs", "recommendations", at(365), OnUnknown::Allow);
        let long_ago = Author::person("mira", at(730)).because("new");
        editor.change(&Change::Define { switch: id(), definition: old }, &long_ago).unwrap();
        let switches = KillSwitches::builder("shop")
            .store(store.clone())
            .clock(clock)
            .poll(Duration::from_secs(3_600))
            .build()
            .unwrap();
        let _recs = switches.switch("recs", OnUnknown::Allow).unwrap();
        let _other = switches.switch("not-defined", OnUnknown::Block).unwrap();
        let scrape = exporter.scrape();
        let of = |short: &str, name: &str| scrape.value(&format!("{PREFIX}{short}"), &[("name", name)]);
        assert_eq!((of("definition_expired", "recs"), of("definition_expired", "not-defined")), (1.0, 0.0));
        assert_eq!((of("unknown", "recs"), of("unknown", "not-defined")), (0.0, 1.0));

        let drilled = Change::Drilled { switch: id(), instances: 3, time_to_disable_ms: 20, time_to_verify_ms: 30 };
        switches.change(&drilled, &by("mira", "the drill of November")).unwrap();
        let age = exporter.scrape().value("backstop_kill_switch_drill_age_seconds", &[("name", "recs")]);
        assert!((0.0..60.0).contains(&age), "{age}");

        let keep = Expiry::keep(Timestamp::now() + Duration::from_millis(500));
        let engage = Change::Engage(Engage::new(id(), Scope::all()).expires(keep));
        switches.change(&engage, &by("mira", "somebody has to look")).unwrap();
        assert_eq!(exporter.scrape().value("backstop_kill_switch_engagement_overdue", &[("name", "recs")]), 0.0);
        std::thread::sleep(Duration::from_millis(510)); // expiry goes by both clocks
        time.advance(Duration::from_secs(60));
        switches.refresh();
        assert_eq!(exporter.scrape().value("backstop_kill_switch_engagement_overdue", &[("name", "recs")]), 1.0);

        let good = editor.document().unwrap().unwrap().to_bytes();
        store.0.overwrite(Some(b"garbage".to_vec()));
        time.advance(Duration::from_secs(42));
        switches.refresh();
        let scrape = exporter.scrape();
        assert_eq!(metric(&scrape, "store_stale_seconds"), 42.0);
        assert_eq!(metric(&scrape, "refused_documents_total"), 1.0);
        store.0.overwrite(Some(good));
        switches.refresh();
        let scrape = exporter.scrape();
        assert_eq!((metric(&scrape, "store_stale_seconds"), metric(&scrape, "refused_documents_total")), (0.0, 1.0));
    });
}

#[test]
#[ignore = "needs promtool: scripts/test.sh"]
fn promtool_accepts_the_exposition() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (switches, recs) = switches();
        engage(&switches, Scope::new().tenant("acme"));
        assert!(recs.check(&Target::new().tenant("acme")).is_err());
        promtool::assert_accepts(&exporter.scrape().text);
    });
}
