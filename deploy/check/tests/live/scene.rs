//! Real processes: two services, the judge, and a Prometheus with the shipped configuration.

use crate::files::{deploy, documents};
use crate::real::{begin, token};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Ends its process.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) struct Scene {
    pub(super) canary: String,
    pub(super) baseline: String,
    pub(super) judge: String,
    pub(super) prometheus: String,
    runtime: tokio::runtime::Runtime,
    _processes: Vec<Process>,
    _folder: TempDir,
}

/// Starts a program, and returns the last word of its first line.
fn start(program: &Path, arguments: &[String]) -> (Process, String) {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().unwrap_or_else(|error| panic!("{} cannot be run: {error}", program.display()));
    let mut process = Process(child);
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit([' ', '/']).next().unwrap().to_owned();
    (process, address)
}

impl Scene {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = || start(Path::new(env!("CARGO_BIN_EXE_backstop-deploy-check")), &[]);
        let ((canary_process, canary), (baseline_process, baseline)) = (service(), service());
        // `cargo test` of the root package builds it.
        let backstop = std::env::current_exe().unwrap().parent().unwrap().with_file_name("backstop");
        let state = folder.path().join("state").display().to_string();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, token()).unwrap();
        let arguments = judge_arguments([
            ("token-file", &token_file.display().to_string()),
            ("canary", &canary),
            ("baseline", &baseline),
            ("listen", "127.0.0.1:0"),
            ("state", &state),
        ]);
        let (judge_process, judge) = start(&backstop, &arguments);
        for rules in ["rules.yaml", "alerts.yaml"] {
            std::fs::copy(deploy().join("prometheus").join(rules), folder.path().join(rules)).unwrap();
        }
        let config = config(&canary, &baseline, &judge).to_string(); // JSON is YAML
        std::fs::write(folder.path().join("prometheus.yaml"), config).unwrap();
        // It cannot pick a port of its own.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.path().join("prometheus.yaml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={free}")).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("prometheus cannot be run: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        for address in [&canary, &baseline] {
            runtime.spawn(load(format!("http://{address}/pay")));
        }
        Self {
            canary,
            baseline,
            judge,
            prometheus: free,
            runtime,
            _processes: vec![canary_process, baseline_process, judge_process, Process(child)],
            _folder: folder,
        }
    }

    /// Status and body; `None` without a connection.
    pub(super) fn get(&self, address: &str, path: &str, query: &[(&str, &str)]) -> Option<(u16, String)> {
        let url = reqwest::Url::parse_with_params(&format!("http://{address}{path}"), query).unwrap();
        self.runtime.block_on(async {
            let response = reqwest::get(url).await.ok()?;
            Some((response.status().as_u16(), response.text().await.ok()?))
        })
    }

    /// Flagger's request.
    pub(super) fn post(&self, path: &str, body: &Value) -> u16 {
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.judge)).json(body);
        self.runtime.block_on(async { request.send().await.unwrap().status().as_u16() })
    }

    /// Argo's request at the beginning of a rollout.
    pub(super) fn begin(&self, rollout: &str) {
        let (path, authorization, body) = begin(rollout);
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.judge)).json(&body);
        let request = request.header("authorization", authorization);
        assert!(self.runtime.block_on(async { request.send().await.unwrap().status().is_success() }));
    }

    pub(super) fn fault(&self, percent: u32) {
        let request = reqwest::Client::new().put(format!("http://{}/fault/{percent}", self.canary));
        assert!(self.runtime.block_on(async { request.send().await.unwrap().status().is_success() }));
    }

    /// Series of an instant query, as Prometheus returns them.
    pub(super) fn query(&self, expression: &str) -> Vec<Value> {
        let Some((status, body)) = self.get(&self.prometheus, "/api/v1/query", &[("query", expression)]) else {
            return vec![];
        };
        if status == 503 {
            return vec![]; // not ready yet
        }
        assert_eq!(status, 200, "{expression}: {body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Names of the alerts that fire, with `arm` or `service` left out.
    pub(super) fn firing(&self) -> Vec<String> {
        let series = self.query("ALERTS{alertstate=\"firing\"}");
        series.iter().map(|one| one["metric"]["alertname"].as_str().unwrap().to_owned()).collect()
    }
}

/// The arguments of the shipped Deployment, with these options set.
fn judge_arguments(options: [(&str, &str); 5]) -> Vec<String> {
    let deployment = &documents("kubernetes/judge.yaml")[0];
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    let mut arguments: Vec<_> = arguments.iter().map(|argument| argument.as_str().unwrap().to_owned()).collect();
    for (name, value) in options {
        let argument = arguments.iter_mut().find(|argument| argument.starts_with(&format!("--{name}="))).unwrap();
        *argument = format!("--{name}={value}");
    }
    arguments
}

/// The shipped configuration, whose pods are addresses with the labels that Kubernetes would say.
fn config(canary: &str, baseline: &str, judge: &str) -> Value {
    let mut config = documents("prometheus/scrape.yaml").remove(0);
    config["global"] = json!({ "scrape_interval": "1s", "evaluation_interval": "1s" });
    let services = config["scrape_configs"][0].as_object_mut().unwrap();
    assert!(services.remove("kubernetes_sd_configs").is_some());
    let pod = |address: &str, labels: Value| {
        let mut all = json!({ "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "true" });
        for (name, value) in labels.as_object().unwrap() {
            all[format!("__meta_kubernetes_pod_label_{name}")] = value.clone();
        }
        json!({ "targets": [address], "labels": all })
    };
    services.insert(
        "static_configs".to_owned(),
        json!([
            pod(canary, json!({ "app": "checkout", "arm": "canary" })),
            // As Flagger names it.
            pod(baseline, json!({ "app": "checkout-primary", "rollout": "flagger" })),
        ]),
    );
    config["scrape_configs"][1]["static_configs"] = json!([{ "targets": [judge] }]);
    config
}

/// A hundred requests a second.
async fn load(url: String) {
    let client = reqwest::Client::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    loop {
        ticks.tick().await;
        let request = client.get(&url);
        tokio::spawn(async move { request.send().await });
    }
}

/// Polls until something is there; panics with `what` after some time.
pub(super) fn until<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(seconds), "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(100));
    }
}
