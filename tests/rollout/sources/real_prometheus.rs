//! A real Prometheus server that scrapes real services.

use crate::kit::{block_on, requests, serve, until};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use backstop::rollback::{Arm, BreakerReport, BreakerShare, Instances, Kpi, Policy, Tick};
use backstop::rollout::source::{Prometheus, Source as _};
use backstop::signals::Signals;
use backstop::telemetry::REQUEST_BUCKETS;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An instance whose process can be restarted: new counters behind the same address.
struct Instance {
    address: SocketAddr,
    process: Arc<Mutex<Process>>,
}

struct Process {
    signals: Signals,
    recorder: metrics_exporter_prometheus::PrometheusRecorder,
    is_up: bool,
    /// Lines of other mechanisms.
    more: String,
}

impl Process {
    fn start() -> Self {
        let durations = Matcher::Full("backstop_request_duration_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(durations, REQUEST_BUCKETS).unwrap();
        Self { signals: Signals::new("shop"), recorder: builder.build_recorder(), is_up: true, more: String::new() }
    }

    fn page(&self) -> String {
        metrics::with_local_recorder(&self.recorder, || self.signals.publish());
        format!("{}{}", self.recorder.handle().render(), self.more)
    }
}

impl Instance {
    fn start() -> Self {
        let process = Arc::new(Mutex::new(Process::start()));
        let page = Arc::clone(&process);
        let app = Router::new().route(
            "/metrics",
            get(async move || {
                let process = page.lock().unwrap();
                if process.is_up { Ok(process.page()) } else { Err(StatusCode::SERVICE_UNAVAILABLE) }
            }),
        );
        Self { address: serve(app), process }
    }

    /// Requests through the real layer.
    fn serve(&self, succeed: u32, fail: u32) {
        use tower::ServiceExt as _;
        let layer = self.process.lock().unwrap().signals.layer();
        let app = Router::new()
            .route("/ok", get(async || "ok"))
            .route("/fail", get(async || StatusCode::INTERNAL_SERVER_ERROR))
            .layer(layer);
        block_on(async {
            for (path, count) in [("/ok", succeed), ("/fail", fail)] {
                for _ in 0..count {
                    let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
                    let response = app.clone().oneshot(request).await.unwrap();
                    axum::body::to_bytes(response.into_body(), 100).await.unwrap();
                }
            }
        });
    }

    fn set_up(&self, is_up: bool) {
        self.process.lock().unwrap().is_up = is_up;
    }

    fn export(&self, more: String) {
        self.process.lock().unwrap().more = more;
    }

    fn restart(&self) {
        *self.process.lock().unwrap() = Process::start();
    }
}

struct Server {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prometheus, scraping every half a second.
fn start(canary: &[&Instance], baseline: &[&Instance]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let targets = |version: &str, of: &[&Instance]| {
        let targets: Vec<_> = of.iter().map(|instance| instance.address.to_string()).collect();
        serde_json::json!({ "targets": targets, "labels": { "version": version } })
    };
    let config = serde_json::json!({
        "global": { "scrape_interval": "500ms", "scrape_timeout": "400ms" },
        "scrape_configs": [{
            "job_name": "shop",
            "static_configs": [targets("2", canary), targets("1", baseline)],
        }],
    });
    // JSON is YAML.
    std::fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server { child, url: format!("http://{address}"), _folder: folder }
}

/// Adds up looks until both arms have as many requests as are expected; never more than that.
fn collect(source: &mut Prometheus, sums: &mut [(f64, f64); 2], expected: [(f64, f64); 2]) -> Tick {
    until("all requests are in a tick", || {
        let tick = source.look().unwrap_or_else(|error| panic!("{error}"))?;
        let add = |sum: &mut (f64, f64), arm: &Arm| *sum = (sum.0 + requests(arm).0, sum.1 + requests(arm).1);
        add(&mut sums[0], tick.canary());
        add(&mut sums[1], tick.baseline().unwrap());
        assert!(sums[0].0 <= expected[0].0 && sums[1].0 <= expected[1].0, "{sums:?}");
        (*sums == expected).then_some(tick)
    })
}

#[test]
#[ignore = "needs prometheus: scripts/test.sh"]
fn prometheus_adds_up_restarts_missed_scrapes_and_new_instances_exactly() {
    let (one, two, stable) = (Instance::start(), Instance::start(), Instance::start());
    for instance in [&one, &two, &stable] {
        instance.serve(40, 2);
    }
    let server = start(&[&one, &two], &[&stable]);
    let mut source = Prometheus::new(&server.url, "shop", "version=\"2\"")
        .unwrap()
        .baseline("version=\"1\"")
        .every(Duration::ZERO)
        .gauges(&Policy::default());
    // The first look succeeds as soon as a sample is there; then all of them have to be.
    until("the first samples are there", || matches!(source.look(), Ok(None)).then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    let mut source = Prometheus::new(&server.url, "shop", "version=\"2\"")
        .unwrap()
        .baseline("version=\"1\"")
        .every(Duration::ZERO)
        .gauges(&Policy::default());
    assert_eq!(source.look().unwrap(), None);
    let mut sums = [(0.0, 0.0); 2];

    one.serve(10, 1);
    stable.serve(20, 0);
    let tick = collect(&mut source, &mut sums, [(11.0, 1.0), (20.0, 0.0)]);
    let instances = tick.canary().instances.unwrap();
    assert_eq!((instances.total, instances.not_ready), (2.0, 0.0));
    assert!(tick.canary().segments["default"].latency.success.is_some());

    // A restart.
    two.restart();
    two.serve(5, 2);
    collect(&mut source, &mut sums, [(18.0, 3.0), (20.0, 0.0)]);

    // Missed scrapes: the requests in between are in the tick after them.
    one.set_up(false);
    one.serve(7, 0);
    stable.serve(3, 3);
    let tick = collect(&mut source, &mut sums, [(18.0, 3.0), (26.0, 3.0)]);
    until("the canary is seen to be down", || {
        let tick = source.look().unwrap()?;
        (tick.canary().instances.unwrap().not_ready > 0.0).then_some(())
    });
    assert_eq!(tick.canary().instances.unwrap().total, 2.0);
    one.set_up(true);
    collect(&mut source, &mut sums, [(25.0, 3.0), (26.0, 3.0)]);

    let mut wrong = Prometheus::new(&server.url, "shop", "version=").unwrap();
    let error = wrong.look().unwrap_err().to_string();
    assert!(error.contains("status 400") && error.contains("parse error"), "{error}");
    let mut nothing = Prometheus::new(&server.url, "shop", "version=\"3\"").unwrap();
    assert!(nothing.look().unwrap_err().to_string().contains("the server has no sample"));
}

#[test]
#[ignore = "needs prometheus: scripts/test.sh"]
fn prometheus_reports_readiness_breakers_switches_gauges_and_kpis() {
    let (one, two, stable) = (Instance::start(), Instance::start(), Instance::start());
    let export = |instance: &Instance, started: u8, ready: u8, open: u8, paid: u32| {
        instance.export(format!(
            "backstop_health_status{{check=\"startup\"}} {started}\n\
             backstop_health_status{{check=\"readiness\"}} {ready}\n\
             backstop_circuit_breaker_state{{name=\"db\",state=\"closed\"}} {}\n\
             backstop_circuit_breaker_state{{name=\"db\",state=\"half_open\"}} {open}\n\
             backstop_circuit_breaker_state{{name=\"mail\",state=\"closed\"}} 0\n\
             backstop_circuit_breaker_state{{name=\"mail\",state=\"forced_open\"}} 1\n\
             backstop_kill_switch_engaged{{name=\"ads\"}} {open}\n\
             backstop_kill_switch_engaged{{name=\"chat\"}} 0\n\
             backstop_bulkhead_in_flight_calls{{name=\"db\"}} 5\n\
             backstop_bulkhead_max_concurrent_calls{{name=\"db\"}} 20\n\
             process_resident_memory_bytes {}\n\
             queue_age 7\n\
             checkouts_total{{result=\"paid\",shop=\"a\"}} {paid}\n\
             checkouts_total{{result=\"lost\",shop=\"a\"}} {}\n",
            1 - open,
            100 + 200 * u32::from(open),
            paid / 2,
        ));
    };
    let (starting, failing) = (0, 2);
    export(&one, 1, failing, 1, 0);
    export(&two, starting, starting, 0, 0);
    export(&stable, 1, 1, 0, 0);
    let server = start(&[&one, &two], &[&stable]);
    let policy = "[[trigger]]\nname = \"queue\"\nkind = \"gauge\"\ngauge = \"queue_age\"\nabove = 9.0";
    let mut source = Prometheus::new(&server.url, "shop", "version=\"2\"")
        .unwrap()
        .baseline("version=\"1\"")
        .every(Duration::ZERO)
        .gauges(&Policy::parse(policy).unwrap())
        .kpi("checkout", "checkouts_total{result=\"paid\"}", "checkouts_total")
        .unwrap();
    until("the first samples are there", || matches!(source.look(), Ok(None)).then_some(()));
    let tick = until("every instance was scraped", || {
        let tick = source.look().unwrap()?;
        let is_all = tick.canary().breakers.get("db")? == &BreakerReport::Share(BreakerShare { open: 1.0, of: 2.0 });
        (is_all && tick.baseline().unwrap().gauges.contains_key("queue_age")).then_some(tick)
    });
    let (canary, baseline) = (tick.canary(), tick.baseline().unwrap());
    assert_eq!(canary.instances, Some(Instances { total: 2.0, not_started: 1.0, not_ready: 1.0 }));
    assert_eq!(baseline.instances, Some(Instances { total: 1.0, not_started: 0.0, not_ready: 0.0 }));
    assert_eq!(canary.breakers["mail"], BreakerReport::Share(BreakerShare { open: 0.0, of: 2.0 }));
    assert_eq!(baseline.breakers["db"], BreakerReport::Share(BreakerShare { open: 0.0, of: 1.0 }));
    assert_eq!((canary.switches_engaged.as_slice(), baseline.switches_engaged.len()), (&["ads".to_owned()][..], 0));
    assert_eq!((canary.gauges["memory"], baseline.gauges["memory"]), (200.0, 100.0));
    assert_eq!(
        (canary.gauges["queue_age"], canary.gauges["bulkhead.db"], canary.gauges["in_flight"]),
        (7.0, 0.25, 0.0)
    );
    export(&one, 1, 1, 0, 100);
    let kpi = until("the KPI was counted", || {
        source.look().unwrap()?.canary().kpis.get("checkout").copied().filter(|kpi| kpi.total > 0.0)
    });
    assert_eq!(kpi, Kpi { good: 100.0, total: 150.0 });
}
