//! tower-resilience: a Tower layer, with or without its metrics by a feature of this package.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer, circuit_breaker_builder};

use crate::bare::{Fails, Works, serve};
use crate::subject::OPEN_TIME;
use crate::{Instance, Mechanism, Subject};

#[cfg(not(feature = "peer-metrics"))]
pub(super) const SUBJECT: Subject = subject("tower-resilience", "tower-resilience 0.14 layer");
#[cfg(feature = "peer-metrics")]
pub(super) const SUBJECT: Subject =
    subject("tower-resilience-metrics", "tower-resilience 0.14 layer, metrics, Prometheus recorder");

const fn subject(name: &'static str, title: &'static str) -> Subject {
    Subject { mechanism: Mechanism::CircuitBreaker, name, title, admits: Some(closed), rejects: Some(open) }
}

/// An open breaker whose lock is taken waits for a tokio timer, and panics outside a runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime with one worker starts")
});

/// `layer()` makes new state each time unless the layer was built together with a handle.
fn shared_layer() -> CircuitBreakerLayer {
    let (layer, _handle) = circuit_breaker_builder()
        .name("payments")
        .wait_duration_in_open(OPEN_TIME)
        .build_with_handle()
        .expect("the defaults are valid");
    layer
}

fn closed() -> Instance {
    let layer = shared_layer();
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok()
    })
}

fn open() -> Instance {
    let layer = shared_layer();
    Instance::tripped(move || {
        let entered = RUNTIME.enter();
        let mut service = layer.layer(Fails);
        move || {
            let _entered = &entered;
            matches!(serve(&mut service), Err(CircuitBreakerError::OpenCircuit))
        }
    })
}
