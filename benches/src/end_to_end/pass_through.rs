//! A layer that does nothing: the least that any layer costs.

use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

/// Passes every call on.
#[derive(Clone, Copy, Debug)]
pub(super) struct PassThrough;

/// The service of [`PassThrough`].
#[derive(Clone, Debug)]
pub(super) struct PassThroughService<S>(S);

impl<S> Layer<S> for PassThrough {
    type Service = PassThroughService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PassThroughService(inner)
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
