//! Actuators: what they set is what users get, and every way in which a load balancer can fail.

use crate::plans::{PLAN, plan_with};
use crate::servers::{FakeHaproxy, Fault, Haproxy, Hook, Nginx, Version, eventually, share_of};
use backstop::rollback::plan::Plan;
use backstop::rollout::actuator::{Actuator, Cancel, actuator};
use backstop::rollout::stages::Reading;
use std::path::Path;
use std::time::{Duration, Instant};

const COMMAND: &str = "traffic = { kind = \"command\", argv = [\"./weight.sh\", \"{weight}\"] }";

fn of(traffic: &str, folder: &Path) -> Box<dyn Actuator> {
    let plan = plan_with(COMMAND, traffic);
    actuator(&plan, folder, &folder.join("commands.log")).unwrap()
}

fn haproxy(socket: &Path, more: &str) -> String {
    let socket = socket.display();
    format!("traffic = {{ kind = \"haproxy\", socket = \"{socket}\", backend = \"web\", {more} }}")
}

fn set(actuator: &mut dyn Actuator, weight: u32) -> Result<(), String> {
    actuator.set(weight, false, &Cancel::default()).map_err(|error| error.to_string())
}

const ONE: &str = "canary = [\"c1\"], stable = [\"s1\"], timeout = \"3s\"";

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn haproxy_weights_are_what_ten_thousand_requests_count() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let servers = [
        ("c1", &*new.address),
        ("c2", &*new.address),
        ("s1", &*old.address),
        ("s2", &*old.address),
        ("s3", &*old.address),
    ];
    let haproxy_real = Haproxy::new(folder.path(), "balance roundrobin", &servers);
    let several = "canary = [\"c1\", \"c2\"], stable = [\"s1\", \"s2\", \"s3\"]";
    let mut actuator = of(&haproxy(&haproxy_real.socket, several), folder.path());
    for weight in [5, 20, 50, 100, 0] {
        set(&mut *actuator, weight).unwrap();
        let found = share_of(&haproxy_real.address, 10_000, "new");
        assert!((found - f64::from(weight)).abs() <= 0.5, "{weight} %: {found}");
        assert_eq!(actuator.read(weight), Reading::Same);
        assert!(matches!(actuator.read(weight.abs_diff(1)), Reading::Differs { .. }));
    }
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn a_static_algorithm_is_an_error_that_names_the_setting_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let real = Haproxy::new(folder.path(), "balance source", &[("c1", &new.address), ("s1", &old.address)]);
    let mut actuator = of(&haproxy(&real.socket, ONE), folder.path());
    let error = actuator.set(5, false, &Cancel::default()).unwrap_err();
    assert!(error.is_final() && error.to_string().contains("set `balance roundrobin`"), "{error}");
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn a_server_in_maintenance_is_named_and_left_to_the_person_who_set_it() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let real = Haproxy::new(folder.path(), "balance roundrobin", &[("c1", &new.address), ("s1", &old.address)]);
    let mut actuator = of(&haproxy(&real.socket, ONE), folder.path());
    real.ask("set server web/c1 state maint").unwrap();
    let error = set(&mut *actuator, 20).unwrap_err();
    assert!(error.contains("web/c1 is in maintenance"), "{error}");
    assert_eq!(actuator.read(20), Reading::Differs { why: "web/c1 is in maintenance".to_owned() });
    set(&mut *actuator, 0).unwrap();
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn break_glass_takes_sticky_clients_from_the_canary_too() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let sticky = "balance roundrobin\n  cookie SERVER insert indirect nocache\n  option redispatch";
    for cut in ["drain", "maint"] {
        let real = Haproxy::new(folder.path(), sticky, &[("c1", &new.address), ("s1", &old.address)]);
        let cut = format!("{ONE}, cut = \"{cut}\"");
        let mut actuator = of(&haproxy(&real.socket, &cut), folder.path());
        set(&mut *actuator, 50).unwrap();
        actuator.set(0, true, &Cancel::default()).unwrap();
        let before = new.count();
        assert!(share_of(&real.address, 200, "new") == 0.0 && new.count() == before);
        std::fs::remove_file(&real.socket).unwrap();
    }
}

#[test]
#[ignore = "needs haproxy: scripts/test.sh"]
fn a_reload_that_forgets_weights_is_found_and_set_again() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let mut real = Haproxy::new(folder.path(), "balance roundrobin", &[("c1", &new.address), ("s1", &old.address)]);
    let mut actuator = of(&haproxy(&real.socket, ONE), folder.path());
    set(&mut *actuator, 5).unwrap();
    real.restart();
    let Reading::Differs { why } = actuator.read(5) else { panic!("not found") };
    assert!(why.contains("the canary has 50.0 % instead of 5 % (c1=50 s1=50)"), "{why}");
    set(&mut *actuator, 5).unwrap();
    assert_eq!(actuator.read(5), Reading::Same);
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
    assert!(matches!(actuator.read(5), Reading::Unknown { .. }));
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
#[ignore = "needs nginx: scripts/test.sh"]
fn nginx_weights_are_what_ten_thousand_requests_count() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Version::new("old"), Version::new("new"));
    let nginx = Nginx::new(folder.path(), &[&new.address, &old.address]);
    let (check, reload) = (nginx.argv(&["-t"]), nginx.argv(&["-s", "reload"]));
    let traffic = format!(
        "traffic = {{ kind = \"nginx\", file = \"{}/weights.conf\", canary = [\"{}\"], stable = [\"{}\"], check = {check:?}, \
         reload = {reload:?}, probe = \"http://{}/\", probe_text = \"new\" }}",
        folder.path().display(),
        new.address,
        old.address,
        nginx.address
    );
    let mut actuator = of(&traffic, folder.path());
    for weight in [5, 50, 100, 0] {
        set(&mut *actuator, weight).unwrap();
        let found = share_of(&nginx.address, 10_000, "new");
        assert!((found - f64::from(weight)).abs() <= 0.5, "{weight} %: {found}");
        assert_eq!(actuator.read(weight), Reading::Same);
    }
    // A configuration that is refused elsewhere leaves the file as it was.
    let config = std::fs::read_to_string(folder.path().join("nginx.conf")).unwrap();
    std::fs::write(folder.path().join("nginx.conf"), format!("nonsense;\n{config}")).unwrap();
    let before = std::fs::read_to_string(folder.path().join("weights.conf")).unwrap();
    let error = set(&mut *actuator, 50).unwrap_err();
    assert!(error.contains("nginx does not accept its configuration"), "{error}");
    assert_eq!(std::fs::read_to_string(folder.path().join("weights.conf")).unwrap(), before);
    std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
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
fn a_command_is_verified_quoted_and_killed_with_everything_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let traffic = |rest: &str| format!("traffic = {{ kind = \"command\", {rest}, timeout = \"500ms\" }}");
    let failing = r#"argv = ["sh", "-c", "echo secret; echo no such weight {weight} >&2; exit 3"]"#;
    let error = set(&mut *of(&traffic(failing), folder.path()), 5).unwrap_err();
    assert_eq!(error, "sh ended with exit code 3: no such weight 5");
    let unverified = r#"argv = ["true", "{weight}"], verify = ["sh", "-c", "echo still 50 %; exit 1"]"#;
    let error = set(&mut *of(&traffic(unverified), folder.path()), 5).unwrap_err();
    assert!(error.starts_with("its verify does not succeed: sh ended with exit code 1: still 50 %"), "{error}");
    let hanging = r#"argv = ["sh", "-c", "sleep 300 & echo $! > child; wait", "{weight}"]"#;
    let error = set(&mut *of(&traffic(hanging), folder.path()), 5).unwrap_err();
    assert_eq!(error, "it did not end within its time limit");
    let child = std::fs::read_to_string(folder.path().join("child")).unwrap();
    let path = format!("/proc/{}/stat", child.trim());
    eventually("the grandchild is gone", || {
        let stat = std::fs::read_to_string(&path).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    let missing = set(&mut *of(&traffic(r#"argv = ["./none", "{weight}"]"#), folder.path()), 5).unwrap_err();
    assert!(missing.contains("./none cannot be run"), "{missing}");
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
        "traffic = {{ kind = \"webhook\", url = \"{}\", probe = \"{}\", probe_text = \"1.2.4\", timeout = \"2s\" }}",
        hook.url, page.url
    );
    let mut actuator = of(&traffic, folder.path());
    let error = set(&mut *actuator, 5).unwrap_err();
    assert!(error.contains("400 of 400 requests were answered by the release, instead of 5 %"), "{error}");
    assert!(matches!(actuator.read(0), Reading::Differs { .. }));
    set(&mut *actuator, 100).unwrap();
}

#[test]
fn an_interrupted_move_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut actuator =
        of("traffic = { kind = \"command\", argv = [\"sleep\", \"30{weight}\"], timeout = \"60s\" }", folder.path());
    let cancel = Cancel::default();
    let other = cancel.clone();
    let moving = std::thread::spawn(move || actuator.set(5, false, &cancel));
    other.cancel();
    assert_eq!(moving.join().unwrap().unwrap_err().to_string(), "it was interrupted");
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
