//! A Prometheus recorder for the whole process, as a service would install it.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder once.
///
/// # Panics
///
/// When another recorder is installed already.
pub fn install() {
    HANDLE.get_or_init(|| {
        PrometheusBuilder::new().install_recorder().expect("nothing else in this package installs a recorder")
    });
}

/// Folds the samples that histograms have collected. A service does this every few seconds on a
/// thread aside, so the benches do it between samples and do not time it.
pub fn upkeep() {
    if let Some(handle) = HANDLE.get() {
        handle.run_upkeep();
    }
}
