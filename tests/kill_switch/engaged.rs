//! "Engaged" means engaged: a request that an engagement is meant for is blocked, or a warning names the reason.

use crate::exposition::Exporter;
use crate::kept::Kept;
use crate::switches::{by, id, store};
use axum::extract::{OriginalUri, Request};
use axum::{Router, routing::get};
use backstop::kill_switch::{
    Change, CompiledScope, Editor, Engage, Event, KillSwitch, KillSwitches, OnUnknown, Scope, Stage, Target,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;

/// A request as it is, whatever its gate states.
const ACME: [&str; 5] = ["/recs/home", "acme", "eu", "beta", "user-1"];
const GLOBEX: [&str; 5] = ["/pay", "globex", "us", "staff", "user-2"];

/// What a gate states of a request: the dimensions whose bits are set.
fn stated<'a>(identity: &[&'a str; 5], dimensions: u32) -> Target<'a> {
    let setters = [Target::route, Target::tenant, Target::region, Target::audience, Target::key];
    let set = (0..5).filter(|bit| dimensions >> bit & 1 == 1);
    set.fold(Target::new(), |target, bit| setters[bit](target, identity[bit]))
}

fn scopes() -> Vec<Scope> {
    let new = Scope::new;
    vec![
        Scope::all(),
        new().percent(100.0),
        new().percent(40.0),
        new().route("/recs/*"),
        new().route("/recs/home"),
        new().tenant("acme"),
        new().region("eu"),
        new().audience("beta"),
        new().tenant("acme").percent(40.0),
        new().route("/recs/*").tenant("acme"),
        new().route("/recs/*").tenant("acme").region("eu").audience("beta").percent(99.0),
    ]
}

fn stages() -> Vec<Stage> {
    vec![
        Stage::Everywhere,
        Stage::instances(["web-1"]),
        Stage::instances(["web-2"]),
        Stage::regions(["eu"]),
        Stage::regions(["us"]),
    ]
}

fn program(store: &Kept, region: Option<&str>) -> (KillSwitches, KillSwitch) {
    let switches = KillSwitches::builder("shop").store(store.clone()).instance("web-1");
    let switches = region.into_iter().fold(switches, backstop::kill_switch::KillSwitchesBuilder::region);
    let switches = switches.poll(Duration::from_secs(3_600)).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    (switches, recs)
}

fn kept() -> Kept {
    let kept = Kept::default();
    let definition = store().1.document().unwrap().unwrap().switch("recs").unwrap().definition.clone();
    Editor::new(kept.clone()).change(&Change::Define { switch: id(), definition }, &by("new")).unwrap();
    kept
}

fn told(switches: &KillSwitches) -> String {
    switches.status().warnings().concat()
}

#[test]
fn a_request_that_an_engagement_is_meant_for_is_blocked_or_a_warning_names_the_reason() {
    for region in [None, Some("us")] {
        let (switches, recs) = program(&kept(), region);
        for (scope, stage) in
            scopes().into_iter().flat_map(|scope| stages().into_iter().map(move |at| (scope.clone(), at)))
        {
            let rule = CompiledScope::new(&id(), &scope);
            let is_here = stage.includes("web-1", region);
            let every = if stage == Stage::Everywhere { (0..32).collect() } else { vec![0, 13, 31] };
            let inside = every.into_iter().map(|dimensions| (ACME, dimensions));
            for (identity, dimensions) in inside.chain([0, 1, 22, 31].map(|dimensions| (GLOBEX, dimensions))) {
                let engage = Engage::new(id(), scope.clone()).stage(stage.clone());
                switches.change(&Change::Engage(engage), &by("wrong prices")).unwrap();
                // A request that states no region is in the process's.
                let all = stated(&identity, 0b1_1111);
                let all = if dimensions & 0b100 == 0 { region.into_iter().fold(all, Target::region) } else { all };
                let is_meant = rule.matches(&all, &mut all.key_hash());
                let is_blocked = recs.check(&stated(&identity, dimensions)).is_err();
                let (case, warnings) = (format!("{scope:?} {stage} {region:?} {dimensions:05b}"), told(&switches));
                assert!(!is_meant || is_blocked || warnings.contains("recs is engaged"), "{case}");
                assert!(!is_blocked || warnings.is_empty(), "{case}: {warnings}");
                if !is_here {
                    assert!(!is_blocked && warnings.contains("this instance is web-1"), "{case}: {warnings}");
                } else if is_meant && !is_blocked {
                    assert!(warnings.contains("1 requests passed because they state no "), "{case}: {warnings}");
                } else if dimensions == 0b1_1111 {
                    assert!(is_blocked == is_meant && warnings.is_empty(), "{case}: {warnings}");
                }
                switches.change(&Change::Release { switch: id() }, &by("fixed")).unwrap();
                assert_eq!(told(&switches), "", "{case}");
            }
        }
    }
}

#[test]
fn requests_that_lack_a_dimension_are_counted_and_reported_once() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (switches, recs) = program(&kept(), None);
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let _subscription = switches.subscribe(move |event| {
            if let Event::NotInForce { name, why } = event {
                heard.lock().unwrap().push(format!("{name} {why}"));
            }
        });
        let scope = Scope::new().tenant("acme").percent(99.0);
        switches.change(&Change::Engage(Engage::new(id(), scope)), &by("wrong prices")).unwrap();
        for key in ["", "user-3", ""] {
            assert!(recs.check(&Target::new().route("/recs").key(key)).is_ok(), "{key}");
            switches.refresh();
        }
        let total = exporter.scrape().value("backstop_kill_switch_undecided_total", &[]);
        assert!((total - 3.0).abs() < f64::EPSILON, "{total}");
        let events = events.lock().unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].contains("1 requests passed because they state no tenant and no key"), "{events:?}");
        assert!(told(&switches).contains("3 requests passed because they state no tenant and no key"));
    });
}

#[test]
fn a_stage_that_names_another_instance_is_a_warning_and_a_metric() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (switches, recs) = program(&kept(), Some("eu"));
        let engage = Engage::new(id(), Scope::all()).stage(Stage::instances(["web-9"]));
        switches.change(&Change::Engage(engage), &by("wrong prices")).unwrap();
        assert!(recs.check(&Target::new()).is_ok());
        let value = |name| exporter.scrape().value(&format!("backstop_kill_switch_{name}"), &[]);
        assert!(value("elsewhere") > 0.5 && value("engaged") < 0.5);
        assert!(told(&switches).contains("recs is engaged only on web-9, but this instance is web-1 in eu"));
        let stage = Stage::Everywhere;
        switches.change(&Change::Advance { switch: id(), stage }, &by("everywhere")).unwrap();
        assert!(recs.check(&Target::new()).is_err() && value("elsewhere") < 0.5 && told(&switches).is_empty());
    });
}

/// The function of the guide and of README.
fn target(request: &Request) -> Target<'_> {
    // Inside of `nest` the request's own path lacks the prefix, and operators type the whole one.
    let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |OriginalUri(uri)| uri);
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Target::new().route(uri.path()).tenant(header("x-tenant")).key(header("x-user"))
}

#[test]
fn readme_has_the_target_that_is_tested_here() {
    let function = |text: &'static str| {
        let begin = text.find("fn target(request").unwrap();
        &text[begin..begin + text[begin..].find("\n}").unwrap()]
    };
    assert_eq!(function(include_str!("../../README.md")), function(include_str!("engaged.rs")));
}

#[tokio::test]
async fn the_guides_target_states_the_original_path_inside_of_a_nested_router() {
    let (switches, recs) = program(&kept(), None);
    let inner = Router::new().route("/recs/{id}", get(async || "on")).layer(recs.layer().target(target).respond());
    let app = Router::new().nest("/api", inner);
    let scope = Scope::new().route("/api/recs/*");
    switches.change(&Change::Engage(Engage::new(id(), scope)), &by("wrong prices")).unwrap();
    for (uri, status) in [("/api/recs/7", 503), ("/api/%72ecs/7", 404), ("/api/recs/%37?x=1", 503)] {
        let request = Request::builder().uri(uri).body(axum::body::Body::empty()).unwrap();
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status, "{uri}");
    }
}
