//! A request of reqwest's client to a server on loopback.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::thread;

use reqwest::{Client, Method, Request, Response};
use tokio::runtime::Builder;
use tower_layer::Layer;
use tower_service::Service;

use super::pass_through::PassThrough;
use super::{all_three, row};
use crate::ours::{bulkhead, circuit_breaker};
use crate::peers::tower_resilience;
use crate::{Instance, Mechanism, Subject};

const fn client(name: &'static str, title: &'static str, admits: fn() -> Instance) -> Subject {
    row(Mechanism::Client, name, title, admits)
}

/// The rows of the table, in its order.
pub(super) const ROWS: [Subject; 6] = [
    client("client-bare", "reqwest 0.13", || called(Client::new)),
    client("client-pass-through", "a layer that does nothing", || {
        called(|| PassThrough::default().layer(Client::new()))
    }),
    client("client-tower-resilience", "tower-resilience 0.14, breaker", || {
        let layer = tower_resilience::breaker_layer();
        called(move || layer.layer(Client::new()))
    }),
    client("ours-client-breaker", "backstop, breaker", || {
        let breaker = circuit_breaker::count();
        called(move || breaker.wrap(Client::new()))
    }),
    client("ours-client-bulkhead", "backstop, bulkhead", || {
        let bulkhead = bulkhead::roomy();
        called(move || bulkhead.wrap(Client::new()))
    }),
    client("ours-client-protect", "backstop, all three, `protect()`", || {
        let protect = all_three();
        called(move || protect.layer(Client::new()))
    }),
];

/// One request after another over one connection, each response read to its end.
fn called<S>(make: impl Fn() -> S + Send + Sync + 'static) -> Instance
where
    S: Service<Request, Response = Response> + 'static,
{
    static SERVER: LazyLock<SocketAddr> = LazyLock::new(serve);
    Instance::new(move || {
        let url: reqwest::Url = format!("http://{}/", *SERVER).parse().expect("it is a URL");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let mut service = make();
        move || {
            let request = Request::new(Method::GET, url.clone());
            runtime.block_on(async {
                if poll_fn(|context| service.poll_ready(context)).await.is_err() {
                    return false;
                }
                let Ok(response) = service.call(request).await else { return false };
                response.bytes().await.is_ok_and(|body| &*body == b"ok")
            })
        }
    })
}

/// A server that does as little as one can.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || answer(connection));
        }
    });
    address
}

/// Answers each head of a request until the connection ends.
fn answer(mut connection: TcpStream) {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    let _ = connection.set_nodelay(true);
    while let Ok(count @ 1..) = connection.read(&mut buffer[filled..]) {
        filled += count;
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    }
}
