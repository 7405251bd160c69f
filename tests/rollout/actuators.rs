//! Actuators: what they set is what users get, and every way in which a load balancer can fail.

use crate::plans::{PLAN, plan_with};
use crate::servers::{FakeHaproxy, Fault, Hook, Version, counted};
use backstop::rollback::plan::Plan;
use backstop::rollout::actuator::{Actuator, Cancel, actuator};
use backstop::rollout::stages::Reading;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const COMMAND: &str = "traffic = { kind = \"command\", argv = [\"./weight.sh\", \"{weight}\"] }";

pub(crate) fn of(traffic: &str, folder: &Path) -> Box<dyn Actuator> {
    let plan = plan_with(COMMAND, traffic);
    actuator(&plan, folder, &folder.join("commands.log")).unwrap()
}

pub(crate) fn haproxy(socket: &Path, more: &str) -> String {
    let socket = socket.display();
    format!("traffic = {{ kind = \"haproxy\", socket = \"{socket}\", backend = \"web\", {more} }}")
}

pub(crate) fn set(actuator: &mut dyn Actuator, weight: u32) -> Result<(), String> {
    actuator.set(weight, false, &Cancel::default()).map_err(|error| error.to_string())
}

pub(crate) const ONE: &str = "canary = [\"c1\"], stable = [\"s1\"], timeout = \"3s\"";

/// Longest time from a decision to the last request of the canary in 50 cuts, with a client that sends all the time.
pub(crate) fn last_request(name: &str, actuator: &mut dyn Actuator, address: &str, canary: &Version) -> Duration {
    let is_over = AtomicBool::new(false);
    let mut delays: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                // A worker that ends closes its connections: the client opens another one.
                let _ = counted(address, 5, "new");
            }
        });
        let delays = (0..50).map(|_| {
            set(actuator, 50).unwrap();
            let decided = Instant::now();
            actuator.set(0, true, &Cancel::default()).unwrap();
            let _ = counted(address, 20, "new"); // by then, requests that were on their way have ended
            let last = *canary.last.lock().unwrap();
            last.map_or(Duration::ZERO, |last| last.saturating_duration_since(decided))
        });
        let delays = delays.collect();
        is_over.store(true, Ordering::Relaxed);
        delays
    });
    delays.sort();
    println!("{name}, decision to last canary request: p50 {:?}, maximum {:?}", delays[25], delays[49]);
    delays[49]
}

#[test]
fn a_load_balancer_that_hangs_refuses_or_applies_half_is_an_error_within_the_time_limit() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHaproxy::new(folder.path(), &["c1", "c2", "s1"]);
    let two = "canary = [\"c1\", \"c2\"], stable = [\"s1\"], timeout = \"3s\"";
    let mut actuator = of(&haproxy(&fake.socket, two), folder.path());
    for (fault, says) in [
        (Fault::Refuses, "Permission denied"),
        (Fault::Half, "it took hold in part: the canary has"),
        (Fault::Hangs, "no answer in time"),
    ] {
        *fake.fault.lock().unwrap() = fault;
        let begun = Instant::now();
        let error = set(&mut *actuator, 5).unwrap_err();
        assert!(error.contains(says), "{fault:?}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{fault:?}");
    }
    assert!(matches!(actuator.read(5, &Cancel::default()), Reading::Unknown { .. }));
    *fake.fault.lock().unwrap() = Fault::None;
    set(&mut *actuator, 5).unwrap();
    assert!((fake.share() - 5.0).abs() <= 0.5);
    let wrong = of(&haproxy(&fake.socket, "canary = [\"c9\"], stable = [\"s1\"]"), folder.path()).set(
        5,
        false,
        &Cancel::default(),
    );
    assert_eq!(wrong.unwrap_err().to_string(), "backend web has no server c9, only c1, c2, s1");
    let gone =
        of(&haproxy(Path::new("/none/x.sock"), ONE), folder.path()).set(5, false, &Cancel::default()).unwrap_err();
    assert!(!gone.is_final() && gone.to_string().contains("/none/x.sock does not answer"), "{gone}");
}

fn weights(fake: &FakeHaproxy) -> Vec<(String, u32)> {
    fake.weights.lock().unwrap().clone()
}

fn weight_of(fake: &FakeHaproxy, name: &str) -> u32 {
    weights(fake).iter().find(|(other, _)| other == name).unwrap().1
}

const TWO_STABLE: &str = "canary = [\"c1\"], stable = [\"s1\", \"s2\"], timeout = \"3s\"";

#[test]
fn a_stable_server_that_is_gone_delays_no_rollback() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHaproxy::new(folder.path(), &["c1", "s2"]);
    let mut actuator = of(&haproxy(&fake.socket, TWO_STABLE), folder.path());
    let error = actuator.set(20, false, &Cancel::default()).unwrap_err();
    assert!(error.is_final() && error.to_string() == "backend web has no server s1, only c1, s2", "{error}");
    set(&mut *actuator, 0).unwrap();
    assert_eq!((weight_of(&fake, "c1"), weight_of(&fake, "s2") > 0), (0, true));
    assert_eq!(actuator.read(0, &Cancel::default()), Reading::Same);
    fake.set_share(50);
    actuator.set(0, true, &Cancel::default()).unwrap();
    assert_eq!(weight_of(&fake, "c1"), 0);
    let none = "canary = [\"c1\"], stable = [\"s8\", \"s9\"]";
    let mut actuator = of(&haproxy(&fake.socket, none), folder.path());
    fake.set_share(50);
    assert!(set(&mut *actuator, 0).unwrap_err().contains("no server s8"));
    assert_eq!(weight_of(&fake, "c1"), 50);
    actuator.set(0, true, &Cancel::default()).unwrap();
    assert_eq!(weight_of(&fake, "c1"), 0);
}

#[test]
fn a_refused_stable_server_is_named_after_the_canary_was_lowered() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHaproxy::new(folder.path(), &["c1", "s1", "s2"]);
    let mut actuator = of(&haproxy(&fake.socket, TWO_STABLE), folder.path());
    *fake.fault.lock().unwrap() = Fault::Server("s1");
    let error = actuator.set(0, false, &Cancel::default()).unwrap_err();
    assert!(!error.is_final(), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("it took hold in part: HAProxy refused `set weight web/s1 "), "{text}");
    assert_eq!((weight_of(&fake, "c1"), weight_of(&fake, "s1")), (0, 50));
    assert!(weight_of(&fake, "s2") > 50);
    // More for the canary waits for the stable servers.
    assert!(set(&mut *actuator, 100).unwrap_err().contains("web/s1"));
    fake.weights.lock().unwrap().iter_mut().for_each(|(name, weight)| *weight = 10 * u32::from(name == "s1"));
    *fake.fault.lock().unwrap() = Fault::Server("s2");
    assert!(set(&mut *actuator, 5).unwrap_err().contains("web/s2"));
    assert_eq!(weight_of(&fake, "c1"), 0);
    // Without a stable server that has a weight, the canary keeps the traffic.
    *fake.fault.lock().unwrap() = Fault::Server("s1");
    let mut actuator = of(&haproxy(&fake.socket, ONE), folder.path());
    fake.set_share(100);
    assert!(actuator.set(0, false, &Cancel::default()).unwrap_err().is_final());
    assert_eq!(weight_of(&fake, "c1"), 100);
    assert!(actuator.set(0, true, &Cancel::default()).unwrap_err().to_string().contains("web/s1"));
    assert_eq!(weight_of(&fake, "c1"), 0);
}

#[test]
fn an_answer_that_is_empty_or_cut_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHaproxy::new(folder.path(), &["c1", "s1"]);
    let mut actuator = of(&haproxy(&fake.socket, ONE), folder.path());
    for fault in [Fault::Empty, Fault::Cut] {
        *fake.fault.lock().unwrap() = fault;
        let error = actuator.set(5, false, &Cancel::default()).unwrap_err();
        assert!(!error.is_final() && error.to_string().contains("answer"), "{fault:?}: {error}");
        assert!(matches!(actuator.read(50, &Cancel::default()), Reading::Unknown { .. }), "{fault:?}");
    }
    *fake.fault.lock().unwrap() = Fault::None;
    set(&mut *actuator, 5).unwrap();
}

#[test]
fn break_glass_needs_no_stable_server_and_a_move_does() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHaproxy::new(folder.path(), &["c1", "s1"]);
    let mut actuator = of(&haproxy(&fake.socket, ONE), folder.path());
    *fake.states.lock().unwrap() = vec![("s1".to_owned(), 0, 1)];
    let error = set(&mut *actuator, 0).unwrap_err();
    assert_eq!(error, "each stable server of backend web is in maintenance or drains");
    assert_eq!(weight_of(&fake, "c1"), 50);
    actuator.set(0, true, &Cancel::default()).unwrap();
    assert_eq!(weight_of(&fake, "c1"), 0);
}

#[test]
fn servers_that_are_down_have_no_share() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeHaproxy::new(folder.path(), &["c1", "s1", "s2"]);
    let mut actuator = of(&haproxy(&fake.socket, TWO_STABLE), folder.path());
    set(&mut *actuator, 5).unwrap();
    let down = |names: &[&str]| {
        *fake.states.lock().unwrap() = names.iter().map(|name| ((*name).to_owned(), 0, 0)).collect();
    };
    down(&["s1", "s2"]);
    let Reading::Differs { why } = actuator.read(5, &Cancel::default()) else { panic!("not found") };
    assert!(why.contains("the canary has 100.0 % instead of 5 %") && why.contains("s1=0 down"), "{why}");
    assert!(set(&mut *actuator, 5).unwrap_err().contains("the canary has 100.0 %"));
    // The others get the share of a server that is down.
    down(&["s2"]);
    set(&mut *actuator, 50).unwrap();
    assert_eq!(actuator.read(50, &Cancel::default()), Reading::Same);
    // A canary that is down would have traffic as soon as it is up.
    down(&["c1"]);
    assert!(matches!(actuator.read(0, &Cancel::default()), Reading::Differs { .. }));
    assert_eq!(set(&mut *actuator, 100).unwrap_err(), "each canary server of backend web is down");
    set(&mut *actuator, 0).unwrap();
    assert_eq!(weight_of(&fake, "c1"), 0);
}

#[test]
fn a_socket_with_a_full_backlog_takes_no_longer_than_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    // Never accepted: std listens with a backlog of at least 128.
    let mut streams = Vec::new();
    let mut actuator = of(&haproxy(&path, ONE), folder.path());
    for _ in 0..3 {
        let error = set(&mut *actuator, 5).unwrap_err();
        assert!(error.contains("does not answer") || error.contains("time limit"), "{error}");
        streams.push(std::os::unix::net::UnixStream::connect(&path).unwrap());
    }
}

#[test]
fn a_command_has_weight_version_and_variables_and_no_shell() {
    let folder = tempfile::tempdir().unwrap();
    let argv = r#"["sh", "-c", "echo \"$1 $2 $BACKSTOP_SERVICE $BACKSTOP_WEIGHT $(basename $PWD | wc -c)\" > said", "x", "{weight}", "$HOME; {version}"]"#;
    let mut actuator = of(&format!("traffic = {{ kind = \"command\", argv = {argv} }}"), folder.path());
    set(&mut *actuator, 5).unwrap();
    let said = std::fs::read_to_string(folder.path().join("said")).unwrap();
    assert!(said.starts_with("5 $HOME; checkout:1.2.4 checkout 5 "), "{said}");
}

#[test]
fn a_webhook_is_tried_again_and_redirects_and_long_answers_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let of_hook =
        |hook: &Hook| of(&format!("traffic = {{ kind = \"webhook\", url = \"{}\" }}", hook.url), folder.path());
    let slow_start = Hook::new(|number| (if number < 2 { 503 } else { 200 }, "x".repeat(1 << 20)));
    set(&mut *of_hook(&slow_start), 5).unwrap();
    let requests = slow_start.requests.lock().unwrap();
    assert!(requests.len() == 3 && requests[2].contains("\"weight\":5"), "{requests:?}");
    let redirecting = Hook::new(|_| (302, String::new()));
    let error = of_hook(&redirecting).set(5, false, &Cancel::default()).unwrap_err();
    assert!(error.is_final() && error.to_string().contains("a redirect (302), which is not followed"), "{error}");
    assert_eq!(redirecting.requests.lock().unwrap().len(), 1);
    assert!(!error.to_string().contains("secret-path"));
    let refusing = Hook::new(|_| (403, String::new()));
    assert!(of_hook(&refusing).set(5, false, &Cancel::default()).unwrap_err().is_final());
}

#[test]
fn the_running_share_is_counted_where_a_page_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::new(|_| (200, String::new()));
    // Every request is answered by the release, whatever the endpoint says about the weight.
    let page = Hook::new(|_| (200, "version 1.2.4".to_owned()));
    let traffic = format!(
        "traffic = {{ kind = \"webhook\", url = \"{}\", probe = \"{}\", probe_text = \"1.2.4\", timeout = \"5s\" }}",
        hook.url, page.url
    );
    let mut actuator = of(&traffic, folder.path());
    let error = set(&mut *actuator, 5).unwrap_err();
    assert!(error.contains("200 of 200 requests were answered by the release, instead of 5 %"), "{error}");
    assert!(matches!(actuator.read(0, &Cancel::default()), Reading::Differs { .. }));
    set(&mut *actuator, 100).unwrap();
}

#[test]
fn a_file_of_nginx_that_is_as_written_does_not_hide_what_requests_count() {
    let folder = tempfile::tempdir().unwrap();
    let page = Hook::new(|_| (200, "version 1.2.4".to_owned()));
    let traffic = format!(
        "traffic = {{ kind = \"nginx\", file = \"weights.conf\", canary = [\"10.0.0.1:80\"], stable = [\"10.0.0.2:80\"], \
         check = [\"true\"], reload = [\"true\"], probe = \"{}\", probe_text = \"1.2.4\", timeout = \"5s\" }}",
        page.url
    );
    let mut actuator = of(&traffic, folder.path());
    set(&mut *actuator, 100).unwrap();
    let text = std::fs::read_to_string(folder.path().join("weights.conf")).unwrap();
    assert_eq!(actuator.read(100, &Cancel::default()), Reading::Same);
    let error = set(&mut *actuator, 0).unwrap_err();
    assert!(error.contains("instead of 0 %"), "{error}");
    assert_ne!(std::fs::read_to_string(folder.path().join("weights.conf")).unwrap(), text);
    let found = (0..15).map(|_| actuator.read(0, &Cancel::default())).filter(|found| *found != Reading::Same).count();
    assert_eq!(found, 1, "it is counted at each 15th look");
}

#[test]
fn an_interrupted_move_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut actuator =
        of("traffic = { kind = \"command\", argv = [\"sleep\", \"30{weight}\"], timeout = \"30s\" }", folder.path());
    let cancel = Cancel::default();
    let other = cancel.clone();
    let moving = std::thread::spawn(move || actuator.set(5, false, &cancel));
    other.cancel();
    assert_eq!(moving.join().unwrap().unwrap_err().to_string(), "it was interrupted");
}

#[test]
fn an_interrupted_reading_ends_at_once_and_has_found_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let page = Hook::new(|_| (200, String::new()));
    let hung =
        r#"traffic = { kind = "command", argv = ["true", "{weight}"], verify = ["sleep", "300"], timeout = "30s" }"#;
    let url = &page.url;
    let probe = format!(
        "traffic = {{ kind = \"webhook\", url = \"{url}\", probe = \"{url}\", probe_text = \"x\", timeout = \"30s\" }}"
    );
    for traffic in [hung, &probe] {
        let mut actuator = of(traffic, folder.path());
        let cancel = Cancel::default();
        let other = cancel.clone();
        let reading = std::thread::spawn(move || actuator.read(5, &cancel));
        other.cancel();
        assert_eq!(reading.join().unwrap(), Reading::Unknown { why: "it was interrupted".to_owned() });
    }
}

#[test]
fn every_problem_of_an_actuator_is_found_in_the_plan() {
    let problems = |traffic: &str| Plan::parse(&PLAN.replace(COMMAND, traffic)).unwrap_err().to_string();
    let all = problems(
        "traffic = { kind = \"haproxy\", backend = \"a b\", canary = [\"x\"], stable = [\"x\", \"a;b\"], cut = \"axe\", probe = \"x\" }",
    );
    for text in [
        "traffic.socket: required",
        "traffic.backend",
        "no server that is among the canary's",
        "traffic.cut",
        "traffic.probe",
    ] {
        assert!(all.contains(text), "{text}: {all}");
    }
    assert!(problems("traffic = { kind = \"nginx\" }").contains("traffic.file: required"));
    let alert = "alert = [{ kind = \"pagerduty\", url = \"hunter2\" }]\n";
    let all = Plan::parse(&PLAN.replace("budget", &format!("{alert}budget"))).unwrap_err().to_string();
    assert!(all.contains("alert[0].key: required") && !all.contains("hunter2"), "{all}");
}
