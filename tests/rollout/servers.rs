//! Servers for tests: the two versions of a service, and load balancers in front of them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

pub(crate) use crate::kit::until as eventually;

/// A version of the service: answers every request with its name, and counts.
pub(crate) struct Version {
    pub(crate) address: String,
    pub(crate) requests: Arc<AtomicU64>,
    /// Time of the last request.
    pub(crate) last: Arc<Mutex<Option<Instant>>>,
}

impl Version {
    pub(crate) fn new(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (requests, last) = (Arc::<AtomicU64>::default(), Arc::<Mutex<_>>::default());
        let (counted, stamped) = (Arc::clone(&requests), Arc::clone(&last));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, stamped) = (Arc::clone(&counted), Arc::clone(&stamped));
                thread::spawn(move || {
                    answer(stream, |_| {
                        counted.fetch_add(1, Ordering::Relaxed);
                        *stamped.lock().unwrap() = Some(Instant::now());
                        (200, name.to_owned())
                    });
                });
            }
        });
        Self { address, requests, last }
    }

    pub(crate) fn count(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Answers requests of one connection until it ends.
fn answer(stream: TcpStream, answer: impl Fn(&str) -> (u16, String)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let (status, text) = answer(&format!("{head}\n{}", String::from_utf8_lossy(&body)));
        let location = if (300..400).contains(&status) { "location: /elsewhere\r\n" } else { "" };
        // One write: two would wait for each other's acknowledgement.
        let text = format!("HTTP/1.1 {status} X\r\n{location}content-length: {}\r\n\r\n{text}", text.len());
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// An HTTP server that answers by number of the request, from 0, and keeps what it was sent.
pub(crate) struct Hook {
    pub(crate) url: String,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

impl Hook {
    pub(crate) fn new(answers: impl Fn(usize) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/secret-path", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, answers) = (Arc::clone(&requests), Arc::new(answers));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
                thread::spawn(move || {
                    answer(stream, |request| {
                        let number = {
                            let mut kept = kept.lock().unwrap();
                            kept.push(request.to_owned());
                            kept.len() - 1
                        };
                        answers(number)
                    });
                });
            }
        });
        Self { url, requests }
    }
}

/// The share of requests through an address that a version answers, in percent.
pub(crate) fn share_of(address: &str, requests: u32, text: &str) -> f64 {
    counted(address, requests, text).expect("the balancer keeps the connection")
}

/// As [`share_of`]; `None` if the balancer closes the connection.
pub(crate) fn counted(address: &str, requests: u32, text: &str) -> Option<f64> {
    let mut counted = 0;
    let mut stream = TcpStream::connect(address).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    for _ in 0..requests {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").ok()?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        counted += u32::from(String::from_utf8_lossy(&body) == text);
    }
    Some(f64::from(counted) * 100.0 / f64::from(requests))
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program that ends with the test.
pub(crate) struct Program(pub(crate) Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn program(names: [&str; 2]) -> Command {
    let path = names.into_iter().find(|name| Path::new(name).exists()).unwrap_or(names[0]);
    Command::new(path)
}

/// A real `HAProxy` with one backend, `web`, of these servers.
pub(crate) struct Haproxy {
    pub(crate) folder: PathBuf,
    pub(crate) address: String,
    pub(crate) socket: PathBuf,
    process: Option<Program>,
}

impl Haproxy {
    pub(crate) fn new(folder: &Path, settings: &str, servers: &[(&str, &str)]) -> Self {
        let (address, socket) = (format!("127.0.0.1:{}", free_port()), folder.join("haproxy.sock"));
        let servers: Vec<_> = servers.iter().map(|(name, at)| format!("  server {name} {at} weight 50")).collect();
        let servers = servers.join("\n") + "\n";
        let text = format!(
            "global\n  stats socket {} level admin\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  \
             timeout server 30s\nfrontend in\n  bind {address}\n  default_backend web\nbackend web\n  {settings}\n{servers}",
            socket.display()
        );
        std::fs::write(folder.join("haproxy.cfg"), text).unwrap();
        let mut haproxy = Self { folder: folder.to_owned(), address, socket, process: None };
        haproxy.restart();
        haproxy
    }

    /// Kills it and starts it anew, with the weights of its file.
    pub(crate) fn restart(&mut self) {
        self.process = None;
        let mut command = program(["/usr/sbin/haproxy", "haproxy"]);
        command.args(["-db", "-f"]).arg(self.folder.join("haproxy.cfg"));
        self.process = Some(Program(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()));
        eventually("haproxy listens", || {
            let process = self.process.as_mut().unwrap();
            assert!(process.0.try_wait().unwrap().is_none(), "haproxy ends at once: is its configuration valid?");
            (TcpStream::connect(&self.address).is_ok() && self.ask("show info").is_some()).then_some(())
        });
    }

    pub(crate) fn ask(&self, command: &str) -> Option<String> {
        let mut stream = std::os::unix::net::UnixStream::connect(&self.socket).ok()?;
        stream.write_all(format!("{command}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

/// A runtime socket that only looks like `HAProxy`: weights in memory, and faults.
pub(crate) struct FakeHaproxy {
    pub(crate) socket: PathBuf,
    pub(crate) weights: Arc<Mutex<Vec<(String, u32)>>>,
    /// Every `set` that was made.
    pub(crate) sets: Arc<Mutex<Vec<String>>>,
    pub(crate) fault: Arc<Mutex<Fault>>,
    /// `srv_op_state` and `srv_admin_state` of servers for which they are not 2 and 0.
    pub(crate) states: Arc<Mutex<Vec<(String, u32, u32)>>>,
    is_over: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Takes the connection and says nothing.
    Hangs,
    /// Answers everything with a refusal.
    Refuses,
    /// Takes sets of the first server only, and says nothing about it.
    Half,
    /// Refuses sets of this server only.
    Server(&'static str),
    /// Ends the connection without a word.
    Empty,
    /// Ends the list of servers after its first one.
    Cut,
}

impl FakeHaproxy {
    pub(crate) fn new(folder: &Path, servers: &[&str]) -> Self {
        let socket = folder.join("fake.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let weights = servers.iter().map(|name| ((*name).to_owned(), 50)).collect();
        let weights: Arc<Mutex<Vec<(String, u32)>>> = Arc::new(Mutex::new(weights));
        let (sets, fault) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(Mutex::new(Fault::None)));
        let is_over = Arc::<AtomicBool>::default();
        let states = Arc::<Mutex<Vec<(String, u32, u32)>>>::default();
        let fake = Self { socket, weights, sets, fault, states, is_over };
        let states = Arc::clone(&fake.states);
        let (weights, sets, fault) = (Arc::clone(&fake.weights), Arc::clone(&fake.sets), Arc::clone(&fake.fault));
        let is_over = Arc::clone(&fake.is_over);
        thread::spawn(move || {
            let mut hung = Vec::new();
            for mut stream in listener.incoming().flatten() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let mut line = String::new();
                if BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).is_err() {
                    continue;
                }
                let now = *fault.lock().unwrap();
                let mut weights = weights.lock().unwrap();
                let words: Vec<_> = line.split_whitespace().collect();
                let said = match (now, words.as_slice()) {
                    (Fault::Hangs, _) => {
                        hung.push(stream);
                        continue;
                    }
                    (Fault::Refuses, _) => "Permission denied\n\n".to_owned(),
                    (Fault::Empty, _) => String::new(),
                    (_, ["show", ..]) => {
                        let mut text =
                            "1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight\n".to_owned();
                        let shown = if now == Fault::Cut { 1 } else { weights.len() };
                        for (name, weight) in weights.iter().take(shown) {
                            let states = states.lock().unwrap();
                            let state = states.iter().find(|(other, ..)| other == name);
                            let (operation, admin) = state.map_or((2, 0), |(_, operation, admin)| (*operation, *admin));
                            let line = format_args!("3 web {name} {operation} {admin} {weight}\n");
                            let _ = std::fmt::Write::write_fmt(&mut text, line);
                        }
                        text + if now == Fault::Cut { "" } else { "\n" }
                    }
                    (Fault::Server(refused), ["set", _, server, ..]) if *server == format!("web/{refused}") => {
                        "No such server.\n\n".to_owned()
                    }
                    (_, ["set", "weight", server, weight]) => {
                        sets.lock().unwrap().push(line.trim().to_owned());
                        let name = server.trim_start_matches("web/");
                        let place = weights.iter().position(|(other, _)| other == name).unwrap();
                        if now != Fault::Half || place == 0 {
                            weights[place].1 = weight.parse().unwrap();
                        }
                        "\n".to_owned()
                    }
                    _ => "\n".to_owned(),
                };
                let _ = stream.write_all(said.as_bytes());
            }
        });
        fake
    }

    /// The canary's share: the servers whose name begins with `c`.
    pub(crate) fn share(&self) -> f64 {
        let weights = self.weights.lock().unwrap();
        let sum = |is_canary: bool| -> u32 {
            weights.iter().filter(|(name, _)| name.starts_with('c') == is_canary).map(|(_, weight)| weight).sum()
        };
        f64::from(sum(true)) * 100.0 / f64::from(sum(true) + sum(false))
    }

    pub(crate) fn is_at(&self, share: u32) -> bool {
        (self.share() - f64::from(share)).abs() < 1e-9
    }

    /// Sets the canary's share from outside, for one canary and one stable server.
    pub(crate) fn set_share(&self, share: u32) {
        for (name, weight) in self.weights.lock().unwrap().iter_mut() {
            *weight = if name.starts_with('c') { share } else { 100 - share };
        }
    }
}

impl Drop for FakeHaproxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = std::os::unix::net::UnixStream::connect(&self.socket);
    }
}

/// A real nginx in front of these servers.
pub(crate) struct Nginx {
    pub(crate) folder: PathBuf,
    pub(crate) address: String,
    pub(crate) command: String,
}

impl Nginx {
    pub(crate) fn new(folder: &Path, servers: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let lines: Vec<_> = servers.iter().map(|server| format!("server {server};\n")).collect();
        let lines = lines.concat();
        std::fs::write(folder.join("weights.conf"), lines).unwrap();
        let at = folder.display();
        let text = format!(
            "pid {at}/nginx.pid;\nerror_log {at}/error.log;\nworker_shutdown_timeout 2s;\nevents {{}}\nhttp {{\n  access_log off;\n  \
             client_body_temp_path {at}/b;\n  proxy_temp_path {at}/p;\n  fastcgi_temp_path {at}/f;\n  uwsgi_temp_path {at}/u;\n  \
             scgi_temp_path {at}/s;\n  upstream web {{\n    zone web 64k;\n    include {at}/weights.conf;\n    keepalive 4;\n  }}\n  \
             server {{\n    listen {address};\n    keepalive_requests 100000;\n    location / {{\n      proxy_http_version 1.1;\n      \
             proxy_set_header Connection \"\";\n      proxy_pass http://web;\n    }}\n  }}\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), text).unwrap();
        let command = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }.to_owned();
        let nginx = Self { folder: folder.to_owned(), address, command };
        assert!(nginx.run(&[]), "nginx starts");
        eventually("nginx listens", || TcpStream::connect(&nginx.address).ok());
        nginx
    }

    pub(crate) fn argv(&self, more: &[&str]) -> Vec<String> {
        let config = self.folder.join("nginx.conf").display().to_string();
        let mut argv = vec![self.command.clone(), "-c".to_owned(), config];
        argv.extend(more.iter().map(|word| (*word).to_owned()));
        argv
    }

    fn run(&self, more: &[&str]) -> bool {
        let argv = self.argv(more);
        Command::new(&argv[0]).args(&argv[1..]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.run(&["-s", "stop"]);
    }
}
