//! Instances, servers and sources that a test controls.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use backstop::rollback::{Arm, Segment, Tick};
use backstop::rollout::source::{Source, SourceError};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Serves an application on loopback until the tests end.
pub(crate) fn serve(app: Router) -> SocketAddr {
    let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    RUNTIME.spawn(async move { axum::serve(listener, app).await });
    address
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// Waits until something has come true.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "did not come true: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An instance of the service `shop`.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    page: Arc<Mutex<Page>>,
}

/// Its answer: counters, or something else in their place.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) success: u64,
    /// `None`: the series does not exist.
    pub(crate) errors: Option<u64>,
    pub(crate) more: String,
    pub(crate) instead: Option<fn() -> Response>,
}

impl Instance {
    pub(crate) fn start() -> Self {
        let page = Arc::new(Mutex::new(Page::default()));
        let app = Router::new().route("/metrics", get(answer)).with_state(Arc::clone(&page));
        Self { address: serve(app), page }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Page)) {
        change(&mut self.page.lock().unwrap());
    }

    pub(crate) fn success(&self) -> u64 {
        self.page.lock().unwrap().success
    }

    pub(crate) fn count(&self, success: u64, errors: u64) {
        self.set(|page| {
            page.success += success;
            page.errors = Some(page.errors.unwrap_or(0) + errors);
        });
    }
}

async fn answer(State(page): State<Arc<Mutex<Page>>>) -> Response {
    let page = page.lock().unwrap();
    if let Some(instead) = page.instead {
        return instead();
    }
    let mut text = String::new();
    let series = |outcome: &str| {
        format!("backstop_requests_total{{service=\"shop\",segment=\"default\",outcome=\"{outcome}\"}}")
    };
    writeln!(text, "{} {}", series("success"), page.success).unwrap();
    if let Some(errors) = page.errors {
        writeln!(text, "{} {errors}", series("server_error")).unwrap();
    }
    text.push_str(&page.more);
    text.into_response()
}

/// A comma-separated list of instances.
pub(crate) fn list(instances: &[Instance]) -> String {
    instances.iter().map(|instance| instance.address.to_string()).collect::<Vec<_>>().join(",")
}

/// Requests and server errors of an arm.
pub(crate) fn requests(arm: &Arm) -> (f64, f64) {
    let sum = |of: fn(&Segment) -> Option<f64>| arm.segments.values().filter_map(of).sum();
    (sum(|segment| segment.requests), sum(|segment| segment.server_errors))
}

/// An arm with these requests and errors.
pub(crate) fn arm(requests: f64, errors: f64) -> Arm {
    let mut segment = Segment::default();
    (segment.requests, segment.server_errors) = (Some(requests), Some(errors));
    let mut arm = Arm::default();
    arm.segments.insert("default".to_owned(), segment);
    arm
}

/// A source with scripted answers, and nothing new after them.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<VecDeque<Looked>>>);

type Looked = Result<Option<Tick>, SourceError>;

impl Script {
    pub(crate) fn push(&self, tick: Tick) {
        self.0.lock().unwrap().push_back(Ok(Some(tick)));
    }

    pub(crate) fn fail(&self, sentence: &str) {
        self.0.lock().unwrap().push_back(Err(SourceError::new(sentence)));
    }
}

impl Source for Script {
    fn look(&mut self) -> Result<Option<Tick>, SourceError> {
        self.0.lock().unwrap().pop_front().unwrap_or(Ok(None))
    }
}

/// An answer over HTTP: status and body.
pub(crate) fn http(method: &str, address: SocketAddr, path: &str, body: &str) -> (u16, String) {
    let client = reqwest::Client::new();
    let url = format!("http://{address}{path}");
    let request = client.request(method.parse().unwrap(), url).body(body.to_owned());
    block_on(async {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    })
}
