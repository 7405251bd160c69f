//! A layer that does nothing: the least that any layer costs that has a value of its own.
//!
//! It carries one, as every layer with settings does: axum boxes each layer for each request, which costs an allocation
//! unless the layer is empty.

use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// Passes every call on.
#[derive(Clone, Debug, Default)]
pub(super) struct PassThrough(Arc<()>);

/// The service of [`PassThrough`].
#[derive(Clone, Debug)]
pub(super) struct PassThroughService<S>(S, #[expect(dead_code, reason = "cloning it is what is measured")] Arc<()>);

impl<S> Layer<S> for PassThrough {
    type Service = PassThroughService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PassThroughService(inner, Arc::clone(&self.0))
    }
}

impl<S: Service<Request>, Request> Service<Request> for PassThroughService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.0.call(request)
    }
}
