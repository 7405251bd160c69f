//! The service that is rolled out. Stable and canary are the same program; a bad release fails some of its requests, at
//! once. [`Signals`] count what its clients get.

use crate::process::announce;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use backstop::signals::Signals;
use backstop::telemetry::{BUCKETS, REQUEST_BUCKETS, REQUEST_DURATION_SECONDS};
use backstop::{BoxError, Registry};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// The argument that makes a process of this binary an arm of the rollout.
pub(crate) const ROLE: &str = "service";
/// Name of the service, also in the metrics.
pub(crate) const NAME: &str = "shop";
/// Header of every answer, with the release.
pub(crate) const RELEASE: &str = "x-release";
const WORK: Duration = Duration::from_millis(4);

/// Serves a release that fails this many of a hundred requests.
pub(crate) async fn run(release: &str, failing: u64) -> Result<(), BoxError> {
    let durations = Matcher::Full(REQUEST_DURATION_SECONDS.name.to_owned());
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Prefix("backstop_".to_owned()), BUCKETS)?
        .set_buckets_for_metric(durations, REQUEST_BUCKETS)?
        .install_recorder()?;
    let registry = Registry::new();
    let signals = registry.add(Signals::builder(NAME).build()?)?;
    let (release, requests) = (release.to_owned(), Arc::new(AtomicU64::new(0)));
    let page = async move || {
        let number = requests.fetch_add(1, Ordering::Relaxed);
        let is_ok = number * failing % 100 + failing < 100;
        if is_ok {
            tokio::time::sleep(WORK).await;
        }
        let status = if is_ok { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
        (status, [(RELEASE, release.clone())])
    };
    let metrics = async move || {
        registry.publish();
        prometheus.render()
    };
    let app = Router::new().route("/", get(page)).layer(signals.layer()).route("/metrics", get(metrics));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
