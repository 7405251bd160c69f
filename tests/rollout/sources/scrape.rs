//! Direct scrapes of real servers.

use crate::kit::{Instance, list, requests};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use backstop::rollback::{Decision, Instances, Judge, Policy, Tick};
use backstop::rollout::source::{Scrape, Source as _};
use std::time::{Duration, Instant};

fn source(canary: &[Instance], baseline: &[Instance]) -> Scrape {
    Scrape::new("shop", list(canary).parse().unwrap()).baseline(list(baseline).parse().unwrap())
}

fn count_all(instances: &[Instance], success: u64, errors: u64) {
    for instance in instances {
        instance.count(success, errors);
    }
}

fn look(source: &mut Scrape) -> Tick {
    source.look().unwrap().expect("a tick")
}

fn not_ready(tick: &Tick) -> (f64, f64) {
    let Instances { total, not_ready, .. } = tick.canary().instances.unwrap();
    (total, not_ready)
}

#[test]
fn counters_become_deltas_and_a_restart_counts_whole() {
    let (canary, baseline) = ([Instance::start(), Instance::start()], [Instance::start()]);
    canary.iter().chain(&baseline).for_each(|instance| instance.count(1_000, 50));
    let mut source = source(&canary, &baseline);
    assert_eq!(source.look().unwrap(), None, "the counters' values are the base");
    canary[0].count(10, 1);
    canary[1].set(|page| (page.success, page.errors) = (7, Some(50)));
    baseline[0].count(20, 0);
    let tick = look(&mut source);
    assert_eq!(requests(tick.canary()), (11.0 + 57.0, 1.0 + 50.0));
    assert_eq!(requests(tick.baseline().unwrap()), (20.0, 0.0));
    assert_eq!(requests(look(&mut source).canary()), (0.0, 0.0));
}

#[test]
fn a_missed_scrape_loses_nothing_and_the_instance_is_not_ready() {
    let (canary, baseline) = ([Instance::start(), Instance::start()], [Instance::start()]);
    let mut source = source(&canary, &baseline);
    source.look().unwrap();
    count_all(&canary, 10, 0);
    canary[0].set(|page| page.instead = Some(|| StatusCode::SERVICE_UNAVAILABLE.into_response()));
    let tick = look(&mut source);
    assert_eq!((requests(tick.canary()).0, not_ready(&tick)), (10.0, (2.0, 1.0)));
    let warning = format!(
        "1 of 2 instances of the canary did not answer: http://{}/metrics: the answer is 503",
        canary[0].address
    );
    assert!(source.warnings().iter().any(|found| found.starts_with(&warning)), "{:?}", source.warnings());
    canary[0].set(|page| page.instead = None);
    canary[0].count(5, 0);
    let tick = look(&mut source);
    assert_eq!((requests(tick.canary()).0, not_ready(&tick)), (15.0, (2.0, 0.0)));
    assert!(source.warnings().is_empty());
}

#[test]
fn a_listed_instance_that_is_new_counts_from_0_and_one_that_was_down_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("canary.json");
    let instances = [Instance::start(), Instance::start(), Instance::start()];
    let write = |of: &[&Instance]| {
        let targets: Vec<_> = of.iter().map(|instance| instance.address.to_string()).collect();
        std::fs::write(&path, serde_json::json!([{ "targets": targets }]).to_string()).unwrap();
    };
    count_all(&instances, 100, 0);
    instances[1].set(|page| page.instead = Some(|| StatusCode::NOT_FOUND.into_response()));
    write(&[&instances[0], &instances[1]]);
    let mut source = Scrape::new("shop", format!("file:{}", path.display()).parse().unwrap());
    assert_eq!(source.look().unwrap(), None);
    instances[1].set(|page| page.instead = None);
    write(&[&instances[0], &instances[1], &instances[2]]);
    assert_eq!(requests(look(&mut source).canary()).0, 100.0, "those of the new one alone");
    instances[1].count(3, 0);
    write(&[&instances[0]]);
    assert_eq!(requests(look(&mut source).canary()).0, 0.0);
    write(&[&instances[0], &instances[1]]);
    assert_eq!(requests(look(&mut source).canary()).0, 3.0, "it was away, and its counters were kept");
    std::fs::write(&path, "{").unwrap();
    assert!(source.look().unwrap_err().to_string().contains("canary.json"));
}

/// A canary that is scaled to 0, and no baseline: a measurement, and the next rollout counts from its beginning.
#[test]
fn no_listed_instance_is_an_arm_of_none() {
    let (folder, canary) = (tempfile::tempdir().unwrap(), Instance::start());
    let path = folder.path().join("canary.txt");
    std::fs::write(&path, "").unwrap();
    let mut source = Scrape::new("shop", format!("file:{}", path.display()).parse().unwrap());
    assert_eq!(source.look().unwrap(), None);
    assert_eq!(not_ready(&look(&mut source)), (0.0, 0.0));
    canary.count(7, 0);
    std::fs::write(&path, canary.address.to_string()).unwrap();
    let tick = look(&mut source);
    assert_eq!((requests(tick.canary()).0, not_ready(&tick)), (7.0, (1.0, 0.0)));
    std::fs::remove_file(&path).unwrap();
    source.look().unwrap_err();
}

/// Names resolve to a part of the addresses at times, and lists get instances that have long been there.
#[test]
fn an_instance_that_was_active_before_it_was_listed_counts_from_now_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("canary");
    let instances = [Instance::start(), Instance::start(), Instance::start()];
    let active =
        |seconds: u32| format!("backstop_active_seconds_total{{service=\"shop\",segment=\"default\"}} {seconds}\n");
    for (instance, seconds) in instances.iter().zip([1_000, 20, 5_000]) {
        instance.set(|page| page.more = active(seconds));
        instance.count(1_000, 10);
    }
    let write = |listed: &[Instance]| std::fs::write(&path, list(listed).replace(',', "\n")).unwrap();
    write(&instances[..1]);
    let mut source = Scrape::new("shop", format!("file:{}", path.display()).parse().unwrap());
    source.look().unwrap();
    write(&instances);
    assert_eq!(requests(look(&mut source).canary()), (1_010.0, 10.0), "those of the young one");
    let warning = format!("http://{}/metrics had requests in more seconds than have passed", instances[2].address);
    assert!(source.warnings().iter().any(|found| found.starts_with(&warning)), "{:?}", source.warnings());
    instances[2].count(5, 0);
    assert_eq!(requests(look(&mut source).canary()), (5.0, 0.0));
    assert!(source.warnings().is_empty());
    // One address of several processes: another one answers, with more or with less.
    for (success, seconds) in [(900_000, 9_000), (500, 4_000)] {
        instances[0].set(|page| (page.success, page.errors, page.more) = (success, Some(0), active(seconds)));
        assert_eq!(requests(look(&mut source).canary()), (0.0, 0.0));
        assert_eq!(source.warnings().len(), 1);
    }
    instances[0].set(|page| (page.success, page.more) = (7, active(1)));
    assert_eq!(requests(look(&mut source).canary()), (7.0, 0.0), "a restart");
}

/// A byte now and then is an answer that never ends.
#[test]
fn a_page_that_drips_is_given_up_in_time() {
    async fn drip() -> Response {
        let bytes = futures_util::stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::convert::Infallible>("#"), ()))
        });
        axum::body::Body::from_stream(bytes).into_response()
    }
    let address = crate::kit::serve(axum::Router::new().route("/metrics", axum::routing::get(drip)));
    let error = Scrape::new("shop", address.to_string().parse().unwrap()).look().unwrap_err().to_string();
    assert!(error.contains("no answer within"), "{error}");
}

#[test]
fn instances_that_hang_keep_no_other_one_from_answering() {
    async fn hang() {
        std::future::pending::<()>().await;
    }
    let hung = axum::Router::new().route("/metrics", axum::routing::get(hang));
    let hung: Vec<_> = (0..72).map(|_| crate::kit::serve(hung.clone()).to_string()).collect();
    let instances: Vec<_> = (0..20).map(|_| Instance::start()).collect();
    let targets = format!("{},{}", hung.join(","), list(&instances));
    let mut source = Scrape::new("shop", targets.parse().unwrap());
    let is_whole = |tick: &Tick| not_ready(tick) == (92.0, 72.0);
    crate::kit::until("all others have answered once", || source.look().unwrap().filter(is_whole));
    count_all(&instances, 5, 0);
    // On a busy machine some do not answer within their second: what they counted is in the next look.
    let mut sum = 0.0;
    crate::kit::until("each other one has answered", || {
        let tick = look(&mut source);
        sum += requests(tick.canary()).0;
        (is_whole(&tick) && sum >= 100.0).then_some(())
    });
    assert!((sum - 100.0).abs() < 1e-9, "{sum}");
}

#[test]
fn two_hundred_instances_are_one_look() {
    let instances: Vec<_> = (0..200).map(|_| Instance::start()).collect();
    let (canary, baseline) = instances.split_at(20);
    let mut source = source(canary, baseline);
    crate::kit::until("all have answered once", || {
        source.look().unwrap();
        source.warnings().is_empty().then_some(())
    });
    count_all(&instances, 5, 1);
    let mut sums = [(0.0, 0.0); 2];
    // On a busy machine some do not answer within their second: what they counted is in the next look.
    let looks = (1..=20).find(|_| {
        let begun = Instant::now();
        let tick = look(&mut source);
        println!("200 instances in {:?}", begun.elapsed());
        for (sum, arm) in sums.iter_mut().zip([tick.canary(), tick.baseline().unwrap()]) {
            let (requests, errors) = requests(arm);
            *sum = (sum.0 + requests, sum.1 + errors);
        }
        source.warnings().is_empty()
    });
    assert!(looks.is_some(), "{:?}", source.warnings());
    assert_eq!(sums, [(120.0, 20.0), (1_080.0, 180.0)]);
}

#[test]
fn answers_that_are_no_metrics_are_errors_that_name_them() {
    fn two_services() -> Response {
        let line =
            |service| format!("backstop_requests_total{{service=\"{service}\",segment=\"s\",outcome=\"success\"}} 1\n");
        [line("a"), line("b")].concat().into_response()
    }
    fn duplicate() -> Response {
        "backstop_requests_total{service=\"shop\",segment=\"s\",outcome=\"success\"} 1\n".repeat(2).into_response()
    }
    fn nan() -> Response {
        "backstop_requests_total{service=\"shop\",segment=\"s\",outcome=\"success\"} NaN\n".into_response()
    }
    let canary = [Instance::start()];
    let mut source = source(&canary, &[Instance::start()]);
    source.look().unwrap();
    for (instead, says) in [
        ((|| "<!doctype html><title>it works".into_response()) as fn() -> Response, "\"<!doctype html>"),
        (two_services, "no series backstop_requests_total{service=\"shop\"}: services there: \"a\", \"b\""),
        (duplicate, "is there twice"),
        (nan, "is NaN, must be a number from 0 up"),
        (|| "".into_response(), "no series backstop_requests_total"),
        (|| Redirect::temporary("http://127.0.0.1:1/").into_response(), "to http://127.0.0.1:1/: give that address"),
        (
            || "backstop_requests_total{service=\"shop\",segment=\"s\",outcome=\"success\"} 1".into_response(),
            "is cut off",
        ),
        (|| StatusCode::UNAUTHORIZED.into_response(), "the answer is 401 Unauthorized"),
        (|| vec![b'#'; 9 << 20].into_response(), "the answer is longer than 8388608 bytes"),
        (|| vec![0xff].into_response(), "the answer is not UTF-8"),
        (|| ([("content-encoding", "gzip")], vec![0x1f, 0x8b]).into_response(), "compressed (gzip)"),
    ] {
        canary[0].set(|page| page.instead = Some(instead));
        let error = source.look().unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(&canary[0].address.to_string()), "{error}");
    }
    // This is an outage of the instance.
    canary[0].set(|page| page.instead = Some(|| StatusCode::SERVICE_UNAVAILABLE.into_response()));
    assert_eq!(not_ready(&look(&mut source)), (1.0, 1.0), "{:?}", source.warnings());
    // Nothing of it is lost or counted twice.
    canary[0].set(|page| page.instead = None);
    canary[0].count(4, 0);
    assert_eq!(requests(look(&mut source).canary()), (4.0, 0.0));
}

/// The baseline never had an error, so its series does not exist: zero is a measurement where requests were counted.
#[test]
fn a_baseline_without_an_error_series_had_no_errors() {
    let (canary, baseline) = ([Instance::start()], [Instance::start()]);
    let mut source = source(&canary, &baseline);
    source.look().unwrap();
    let mut judge = Judge::new(Policy::default());
    let mut decisions = Vec::new();
    for _ in 0..6 {
        canary[0].count(192, 8);
        baseline[0].set(|page| page.success += 3_800);
        let tick = look(&mut source);
        assert_eq!(tick.baseline().unwrap().segments["default"].server_errors, None);
        // Looks of this test are no seconds apart.
        let at = f64::from(u32::try_from(decisions.len()).unwrap()) + 1.0;
        let tick = Tick::new(at, tick.canary().clone(), tick.baseline().cloned()).unwrap();
        decisions.push(judge.observe(tick).decision);
    }
    assert_eq!(decisions.last(), Some(&Decision::Rollback), "{decisions:?}");
}

/// Canary pods crash-loop: no requests, no errors, and the source still answers.
#[test]
fn a_canary_that_crashes_is_not_ready_rather_than_an_error() {
    let (canary, baseline) = ([Instance::start(), Instance::start()], [Instance::start()]);
    let mut source = source(&canary, &baseline);
    source.look().unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut crashed = Scrape::new("shop", gone.to_string().parse().unwrap()).baseline(list(&baseline).parse().unwrap());
    crashed.look().unwrap();
    let tick = look(&mut crashed);
    assert_eq!((not_ready(&tick), tick.canary().segments.len()), ((1.0, 1.0), 0));
    let mut nothing = Scrape::new("shop", gone.to_string().parse().unwrap());
    assert!(nothing.look().unwrap_err().to_string().contains("none of 1 instances answers"));
}

/// The query sums both versions, so canary and baseline are the same numbers.
#[test]
fn an_instance_in_both_arms_is_a_warning() {
    let instance = Instance::start();
    let mut source = source(std::slice::from_ref(&instance), std::slice::from_ref(&instance));
    source.look().unwrap();
    assert_eq!(source.warnings(), [format!("http://{}/metrics is listed in both arms", instance.address)]);
}
