//! tower-resilience: its layers, with or without their metrics by a feature of this package.

use std::future::poll_fn;
use std::hint::black_box;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use tower_layer::Layer;
use tower_resilience_bulkhead::{BulkheadError, BulkheadLayer, BulkheadServiceError};
use tower_resilience_circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer, circuit_breaker_builder};
use tower_service::Service;

use crate::bare::{Fails, Hangs, Works, occupy, request, serve};
use crate::subject::{LIMIT, OPEN_TIME};
use crate::{Instance, Mechanism, Subject};

/// Names and titles.
#[cfg(not(feature = "peer-metrics"))]
const ROWS: [(&str, &str); 3] = [
    ("tower-resilience", "tower-resilience 0.14 layer"),
    ("tower-resilience-bulkhead", "tower-resilience 0.14 layer"),
    ("tower-resilience-stack", "tower-resilience 0.14 layers"),
];
#[cfg(feature = "peer-metrics")]
const ROWS: [(&str, &str); 3] = [
    ("tower-resilience-metrics", "tower-resilience 0.14 layer, metrics, Prometheus recorder"),
    ("tower-resilience-bulkhead-metrics", "tower-resilience 0.14 layer, metrics, Prometheus recorder"),
    ("tower-resilience-stack-metrics", "tower-resilience 0.14 layers, metrics, Prometheus recorder"),
];

pub(super) const CIRCUIT_BREAKER: Subject = Subject {
    mechanism: Mechanism::CircuitBreaker,
    name: ROWS[0].0,
    title: ROWS[0].1,
    admits: Some(closed),
    rejects: Some(open),
};

pub(super) const BULKHEAD: Subject = Subject {
    mechanism: Mechanism::Bulkhead,
    name: ROWS[1].0,
    title: ROWS[1].1,
    admits: Some(bulkhead_admitting),
    rejects: Some(bulkhead_rejecting),
};

/// It has no rejecting case: its breaker takes the bulkhead's rejections for failures and opens.
pub(super) const STACK: Subject = Subject {
    mechanism: Mechanism::Stack,
    name: ROWS[2].0,
    title: ROWS[2].1,
    admits: Some(stack_admitting),
    rejects: None,
};

/// An open breaker whose lock is taken waits for a tokio timer, a bulkhead's every call makes one, and
/// both panic outside a runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime with one worker starts")
});

/// `layer()` makes new state each time unless the layer was built together with a handle.
pub(crate) fn breaker_layer() -> CircuitBreakerLayer {
    let (layer, _handle) = circuit_breaker_builder()
        .name("payments")
        .wait_duration_in_open(OPEN_TIME)
        .build_with_handle()
        .expect("the defaults are valid");
    layer
}

/// The same holds for its bulkhead.
fn bulkhead_layer(limit: usize) -> BulkheadLayer {
    let (layer, _handle) = BulkheadLayer::builder()
        .name("payments")
        .max_concurrent_calls(limit)
        .reject_when_full()
        .build_with_handle()
        .expect("the limit is not zero");
    layer
}

fn closed() -> Instance {
    let layer = breaker_layer();
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok()
    })
}

fn open() -> Instance {
    let layer = breaker_layer();
    Instance::tripped(move || {
        let entered = RUNTIME.enter();
        let mut service = layer.layer(Fails);
        move || {
            let _entered = &entered;
            matches!(serve(&mut service), Err(CircuitBreakerError::OpenCircuit))
        }
    })
}

fn bulkhead_admitting() -> Instance {
    let layer = bulkhead_layer(LIMIT.into());
    Instance::new(move || {
        let entered = RUNTIME.enter();
        let mut service = layer.layer(Works);
        move || {
            let _entered = &entered;
            serve(&mut service).is_ok()
        }
    })
}

/// A rejection sleeps until a timer of zero fires, so this thread does, too, instead of polling on.
fn bulkhead_rejecting() -> Instance {
    let layer = bulkhead_layer(1);
    {
        let _entered = RUNTIME.enter();
        occupy(layer.layer(Hangs));
    }
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || {
            let answer = RUNTIME.block_on(async {
                poll_fn(|context| service.poll_ready(context)).await?;
                service.call(request()).await
            });
            matches!(black_box(answer), Err(BulkheadServiceError::Bulkhead(BulkheadError::Timeout)))
        }
    })
}

fn stack_admitting() -> Instance {
    let (breaker, bulkhead) = (breaker_layer(), bulkhead_layer(LIMIT.into()));
    Instance::new(move || {
        let entered = RUNTIME.enter();
        let mut service = breaker.layer(bulkhead.layer(Works));
        move || {
            let _entered = &entered;
            serve(&mut service).is_ok()
        }
    })
}
