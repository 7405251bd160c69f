//! Servers that ask for credentials, and one with a certificate of an authority of its own.

use crate::kit::serve;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use backstop::rollout::source::{Access, Credentials, Prometheus, Scrape, Source as _};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const METRICS: &str = "backstop_requests_total{service=\"shop\",segment=\"s\",outcome=\"success\"} 1\n";
const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
    {"metric":{"field":"now"},"value":[1,"1000"]},{"metric":{"field":"canary"},"value":[1,"999"]}]}}"#;

/// A server that answers those with this header alone, and the header that it wants.
fn asking(wanted: &str) -> (SocketAddr, Arc<Mutex<String>>) {
    let wanted = Arc::new(Mutex::new(wanted.to_owned()));
    let check = |body: &'static str| {
        let wanted = Arc::clone(&wanted);
        async move |headers: HeaderMap| {
            let is_it = headers.get("authorization").is_some_and(|value| value == &**wanted.lock().unwrap());
            if is_it { Ok(body) } else { Err(StatusCode::UNAUTHORIZED) }
        }
    };
    let app =
        Router::new().route("/metrics", get(check(METRICS))).route("/api/v1/query", axum::routing::post(check(VECTOR)));
    (serve(app), wanted)
}

#[test]
fn a_token_is_read_again_at_each_look() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "first-token\n").unwrap();
    let (address, wanted) = asking("Bearer first-token");
    let access = || Access::new(Some(Credentials::BearerFile(path.clone())), None).unwrap();
    let mut scrape = Scrape::new("shop", address.to_string().parse().unwrap()).access(access());
    let mut prometheus =
        Prometheus::new(&format!("http://{address}"), "shop", "").unwrap().access(access()).every(Duration::ZERO);
    assert_eq!((scrape.look(), prometheus.look()), (Ok(None), Ok(None)));
    *wanted.lock().unwrap() = "Bearer second-token".to_owned();
    for error in [scrape.look().unwrap_err(), prometheus.look().unwrap_err()] {
        let error = error.to_string();
        assert!(error.contains("401 Unauthorized") && !error.contains("first-token"), "{error}");
    }
    std::fs::write(&path, "second-token").unwrap();
    assert!(scrape.look().unwrap().is_some());
    assert_eq!(prometheus.look(), Ok(None));
    std::fs::remove_file(&path).unwrap();
    for error in [scrape.look().unwrap_err(), prometheus.look().unwrap_err()] {
        assert!(error.to_string().contains("token cannot be read"), "{error}");
    }
    assert!(!format!("{scrape:?} {prometheus:?}").contains("second-token"));
}

#[test]
fn basic_authentication_is_a_file_of_user_and_password() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("user");
    std::fs::write(&path, "anna:secret\n").unwrap();
    let (address, _) = asking("Basic YW5uYTpzZWNyZXQ=");
    let access = Access::new(Some(Credentials::BasicFile(path)), None).unwrap();
    let mut scrape = Scrape::new("shop", address.to_string().parse().unwrap()).access(access);
    assert_eq!(scrape.look(), Ok(None));
    let mut without = Scrape::new("shop", address.to_string().parse().unwrap());
    assert!(without.look().unwrap_err().to_string().contains("401 Unauthorized"));
}

fn openssl(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

#[test]
#[ignore = "needs openssl: scripts/test.sh"]
fn a_server_of_ones_own_authority_is_reached_with_its_file_alone_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let made = openssl(
        path,
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=own",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-days",
            "2",
        ],
    )
    .status();
    assert!(made.expect("openssl").success());
    // `-HTTP` sends the file as it is.
    std::fs::write(path.join("metrics"), format!("HTTP/1.0 200 OK\r\n\r\n{METRICS}")).unwrap();
    let mut server = openssl(path, &["s_server", "-accept", "0", "-4", "-key", "key.pem", "-cert", "ca.pem", "-HTTP"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines.find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit(':').next().map(str::to_owned)).unwrap();
    let source = || Scrape::new("shop", format!("https://localhost:{port}/metrics").parse().unwrap());
    let without = source().look();
    let with = source().access(Access::new(None, Some(&path.join("ca.pem"))).unwrap()).look();
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(with, Ok(None));
    assert!(without.unwrap_err().to_string().contains("certificate"));
}
