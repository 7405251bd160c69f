//! The load balancer: `HAProxy` or nginx if it is installed, else a small proxy of the example's own.

use crate::process::Process;
use crate::service::RELEASE;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use backstop::BoxError;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Ends the load balancer when the standard input closes.
const KEEPER: &str = "trap '' INT; \"$0\" \"$@\" & read _; kill $!; wait";
/// Servers of nginx with their weights, in the folder of its configuration.
const WEIGHTS: &str = "weights.conf";

/// The load balancer that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Haproxy,
    Nginx,
    Own,
}

pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    kind: Kind,
}

enum Kind {
    Haproxy { socket: SocketAddr, _process: Process },
    Nginx { program: &'static str, folder: PathBuf, arms: [SocketAddr; 2], _process: Process },
    Own { proxy: Arc<Proxy>, _task: JoinSet<()> },
}

impl Balancer {
    /// Starts with all traffic at stable.
    pub(crate) async fn start(
        folder: &Path,
        stable: SocketAddr,
        canary: SocketAddr,
        wanted: Wanted,
    ) -> Result<Self, BoxError> {
        // Debian's place is not on everyone's path.
        let places = match wanted {
            Wanted::Haproxy => ["haproxy", "/usr/sbin/haproxy"],
            Wanted::Nginx => ["nginx", "/usr/sbin/nginx"],
            Wanted::Own => return Self::own(stable, canary).await,
        };
        let runs = |place: &&str| Command::new(place).arg("-v").output().is_ok();
        match places.into_iter().find(runs) {
            None => {
                println!("{} is not installed: a small proxy takes its place", places[0]);
                Self::own(stable, canary).await
            }
            Some(program) if wanted == Wanted::Nginx => Self::nginx(program, folder, stable, canary),
            Some(program) => Self::haproxy(program, folder, stable, canary),
        }
    }

    fn haproxy(program: &str, folder: &Path, stable: SocketAddr, canary: SocketAddr) -> Result<Self, BoxError> {
        let (address, socket) = (free()?, free()?);
        let text = format!(
            "global\n  stats socket ipv4@{socket} level admin\n  maxconn 2000\n  nbthread 1\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
             frontend in\n  bind {address}\n  default_backend web\n\
             backend web\n  balance roundrobin\n  server stable {stable} weight 100\n  server canary {canary} weight 0\n"
        );
        let config = folder.join("haproxy.cfg");
        std::fs::write(&config, text)?;
        let process = kept(program, &["-db", "-f", &config.to_string_lossy()])?;
        Ok(Self { address, kind: Kind::Haproxy { socket, _process: process } })
    }

    fn nginx(program: &'static str, folder: &Path, stable: SocketAddr, canary: SocketAddr) -> Result<Self, BoxError> {
        let (address, at) = (free()?, folder.display());
        let temporary =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|of| format!("  {of}_temp_path {at}/{of};\n"));
        let text = format!(
            "pid {at}/nginx.pid;\nerror_log {at}/error.log;\ndaemon off;\nworker_processes 1;\nworker_shutdown_timeout 5s;\nevents {{}}\n\
             http {{\n  access_log off;\n{}  upstream web {{\n    zone web 64k;\n    include {at}/{WEIGHTS};\n    keepalive 16;\n  }}\n  \
             server {{\n    listen {address};\n    location / {{\n      proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      \
             proxy_pass http://web;\n    }}\n  }}\n}}\n",
            temporary.concat()
        );
        let config = folder.join("nginx.conf");
        std::fs::write(&config, text)?;
        std::fs::write(folder.join(WEIGHTS), format!("server {stable};\nserver {canary} down;\n"))?;
        let process = kept(program, &["-c", &config.to_string_lossy()])?;
        let (folder, arms) = (folder.to_owned(), [stable, canary]);
        Ok(Self { address, kind: Kind::Nginx { program, folder, arms, _process: process } })
    }

    async fn own(stable: SocketAddr, canary: SocketAddr) -> Result<Self, BoxError> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let urls = [stable, canary].map(|arm| format!("http://{arm}/"));
        let proxy = Arc::new(Proxy { client, urls, weight: AtomicU64::new(0), requests: AtomicU64::new(0) });
        let app = Router::new().route("/", routing::get(forward)).route("/weight", routing::post(set));
        let app = app.with_state(Arc::clone(&proxy));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(async { axum::serve(listener, app).await.expect("it serves until it is dropped") });
        Ok(Self { address, kind: Kind::Own { proxy, _task: task } })
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Haproxy { .. } => "HAProxy",
            Kind::Nginx { .. } => "nginx",
            Kind::Own { .. } => "the proxy",
        }
    }

    /// The plan's `[traffic]`.
    pub(crate) fn traffic(&self) -> String {
        match &self.kind {
            Kind::Own { .. } => format!("kind = \"webhook\"\nurl = \"http://{}/weight\"\n", self.address),
            Kind::Haproxy { socket, .. } => {
                let servers = "backend = \"web\"\ncanary = [\"canary\"]\nstable = [\"stable\"]";
                format!("kind = \"haproxy\"\nsocket = \"{socket}\"\n{servers}\n")
            }
            Kind::Nginx { program, folder, arms: [stable, canary], .. } => {
                let (file, config) = (folder.join(WEIGHTS).display().to_string(), folder.join("nginx.conf"));
                let config = config.to_string_lossy();
                let check = [program, "-c", &*config, "-t", "-q"];
                let reload = [program, "-c", &*config, "-s", "reload"];
                format!(
                    "kind = \"nginx\"\nfile = {file:?}\ncanary = [\"{canary}\"]\nstable = [\"{stable}\"]\ncheck = {check:?}\n\
                     reload = {reload:?}\n"
                )
            }
        }
    }

    /// The canary's share in percent, as the load balancer says now; nginx says it in its file only.
    pub(crate) fn weight(&self) -> Result<f64, BoxError> {
        let socket = match &self.kind {
            Kind::Own { proxy, .. } => return Ok(proxy.weight.load(Ordering::Relaxed) as f64),
            Kind::Nginx { folder, .. } => {
                let text = std::fs::read_to_string(folder.join(WEIGHTS))?;
                let said = text.strip_prefix("# ").and_then(|text| text.split_once(" %"));
                return Ok(said.map_or(Ok(0.0), |(weight, _)| weight.parse())?);
            }
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

/// A program that ends with the example.
fn kept(program: &str, args: &[&str]) -> Result<Process, BoxError> {
    let mut command = Command::new("sh");
    Process::start(command.args(["-c", KEEPER, program]).args(args).stdout(Stdio::null()).stderr(Stdio::null()))
}

fn free() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
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
