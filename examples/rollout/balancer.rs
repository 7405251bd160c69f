//! The load balancer: `HAProxy` if it is installed, else a small proxy of the example's own.

use crate::process::Process;
use crate::service::RELEASE;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use backstop::BoxError;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Debian's place is not on everyone's path.
const PLACES: [&str; 2] = ["haproxy", "/usr/sbin/haproxy"];
/// Ends `HAProxy` when the standard input closes.
const KEEPER: &str = "trap '' INT; \"$0\" -db -f \"$1\" & read _; kill $!; wait";

pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    kind: Kind,
}

enum Kind {
    Haproxy { socket: SocketAddr, _process: Process },
    Own { proxy: Arc<Proxy>, _task: JoinSet<()> },
}

impl Balancer {
    /// Starts with all traffic at stable.
    pub(crate) async fn start(
        folder: &Path,
        stable: SocketAddr,
        canary: SocketAddr,
        is_own: bool,
    ) -> Result<Self, BoxError> {
        let runs = |place: &&str| Command::new(place).arg("-v").stdout(Stdio::null()).status().is_ok();
        let Some(haproxy) = PLACES.into_iter().find(runs).filter(|_| !is_own) else {
            return Self::own(stable, canary).await;
        };
        let free = || TcpListener::bind("127.0.0.1:0")?.local_addr();
        let (address, socket) = (free()?, free()?);
        let text = format!(
            "global\n  stats socket ipv4@{socket} level admin\n  maxconn 2000\n  nbthread 1\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
             frontend in\n  bind {address}\n  default_backend web\n\
             backend web\n  balance roundrobin\n  server stable {stable} weight 100\n  server canary {canary} weight 0\n"
        );
        let config = folder.join("haproxy.cfg");
        std::fs::write(&config, text)?;
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, haproxy]).arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { address, kind: Kind::Haproxy { socket, _process: Process::start(&mut command)? } })
    }

    async fn own(stable: SocketAddr, canary: SocketAddr) -> Result<Self, BoxError> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let urls = [stable, canary].map(|arm| format!("http://{arm}/"));
        let proxy = Arc::new(Proxy { client, urls, weight: AtomicU64::new(0), requests: AtomicU64::new(0) });
        let app = Router::new().route("/", routing::get(forward)).route("/weight", routing::post(set));
        let app = app.with_state(Arc::clone(&proxy));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        println!("HAProxy is not there, or not wanted: a small proxy takes its place");
        let mut task = JoinSet::new();
        task.spawn(async { axum::serve(listener, app).await.expect("it serves until it is dropped") });
        Ok(Self { address, kind: Kind::Own { proxy, _task: task } })
    }

    pub(crate) const fn name(&self) -> &'static str {
        if matches!(self.kind, Kind::Haproxy { .. }) { "HAProxy" } else { "the proxy" }
    }

    /// The plan's `[traffic]`.
    pub(crate) fn traffic(&self) -> String {
        let Kind::Haproxy { socket, .. } = self.kind else {
            return format!("kind = \"webhook\"\nurl = \"http://{}/weight\"\n", self.address);
        };
        let servers = "backend = \"web\"\ncanary = [\"canary\"]\nstable = [\"stable\"]";
        format!("kind = \"haproxy\"\nsocket = \"{socket}\"\n{servers}\n")
    }

    /// The canary's share in percent, as the load balancer says now.
    pub(crate) fn weight(&self) -> Result<f64, BoxError> {
        let socket = match &self.kind {
            Kind::Own { proxy, .. } => return Ok(proxy.weight.load(Ordering::Relaxed) as f64),
            Kind::Haproxy { socket, .. } => socket,
        };
        let of = |server: &str| -> Result<f64, BoxError> {
            let mut stream = TcpStream::connect(socket)?;
            // In one write: HAProxy 2.6 may never answer a command that comes in pieces.
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(format!("get weight web/{server}\n").as_bytes())?;
            let mut answer = String::new(); // "5 (initial 0)"
            stream.read_to_string(&mut answer)?;
            Ok(answer.split_whitespace().next().unwrap_or_default().parse()?)
        };
        let (canary, stable) = (of("canary")?, of("stable")?);
        Ok(canary * 100.0 / (canary + stable))
    }
}

/// Requests in turns by weight, which the plan's webhook sets.
struct Proxy {
    client: reqwest::Client,
    urls: [String; 2],
    weight: AtomicU64,
    requests: AtomicU64,
}

async fn set(State(proxy): State<Arc<Proxy>>, Json(asked): Json<serde_json::Value>) -> StatusCode {
    let Some(weight) = asked["weight"].as_u64() else { return StatusCode::BAD_REQUEST };
    proxy.weight.store(weight.min(100), Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

async fn forward(State(proxy): State<Arc<Proxy>>) -> Result<Response, StatusCode> {
    let (number, weight) = (proxy.requests.fetch_add(1, Ordering::Relaxed), proxy.weight.load(Ordering::Relaxed));
    let url = &proxy.urls[usize::from(number * weight % 100 + weight > 99)];
    let answer = proxy.client.get(url).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let release = answer.headers().get(RELEASE).cloned().ok_or(StatusCode::BAD_GATEWAY)?;
    Ok((answer.status(), [(RELEASE, release)]).into_response())
}
