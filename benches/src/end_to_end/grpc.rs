//! A unary call from a client that tonic generated to a server that tonic generated, in one process.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use backstop::Rejected;
use tonic::Status;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen;
use tonic::service::Routes;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_http::trace::TraceLayer;
use tower_layer::Layer;

use super::pass_through::PassThrough;
use super::{all_three, row};
use crate::ours::{bulkhead, circuit_breaker, kill_switch};
use crate::peers::tower_resilience;
use crate::{Instance, Mechanism, Subject};

const fn grpc(name: &'static str, title: &'static str, admits: fn() -> Instance) -> Subject {
    row(Mechanism::Grpc, name, title, admits)
}

/// The rows of the table, in its order.
pub(super) const ROWS: [Subject; 8] = [
    grpc("grpc-bare", "tonic 0.14 unary call", || called(server())),
    grpc("grpc-pass-through", "a layer that does nothing", || called(PassThrough::default().layer(server()))),
    grpc("grpc-trace", "tower-http 0.6 `TraceLayer`, no subscriber", || {
        called(TraceLayer::new_for_grpc().layer(server()))
    }),
    grpc("grpc-tower-resilience", "tower-resilience 0.14, breaker", || {
        called(tower_resilience::breaker_layer().layer(server()))
    }),
    grpc("ours-grpc-breaker", "backstop, breaker", || {
        called(circuit_breaker::count().layer().respond().layer(server()))
    }),
    grpc("ours-grpc-bulkhead", "backstop, bulkhead", || {
        let answer = |rejected: &Rejected| Status::from(rejected.clone()).into_http();
        called(bulkhead::roomy().layer().respond_with(answer).layer(server()))
    }),
    grpc("ours-grpc-switch", "backstop, kill switch", || {
        called(kill_switch::released().layer().respond_status().layer(server()))
    }),
    grpc("ours-grpc-protect", "backstop, all three, `protect()`", || called(all_three().respond().layer(server()))),
];

/// The service that `tonic::transport::Server` layers.
fn server() -> Routes {
    Routes::new(tonic_health::server::health_reporter().1)
}

/// One call after another by one client.
fn called<S>(service: S) -> Instance
where
    S: GrpcService<Body> + Clone + Send + Sync + 'static,
    S::ResponseBody: codegen::Body<Data = codegen::Bytes> + Send + 'static,
    <S::ResponseBody as codegen::Body>::Error: Into<codegen::StdError> + Send,
{
    Instance::new(move || {
        let mut client = HealthClient::new(service.clone());
        move || {
            let call = pin!(client.check(HealthCheckRequest::default()));
            matches!(call.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(_)))
        }
    })
}
