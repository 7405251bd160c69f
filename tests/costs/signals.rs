//! What a counted request takes from the allocator, and how much larger the layer makes a future.

use crate::allocations;

use backstop::Signals;
use backstop::clock::Clock;
use futures_util::FutureExt;
use std::convert::Infallible;
use std::future::{Ready, ready};
use tower::{Layer, Service, service_fn};

fn answer(status: u16) -> Ready<Result<http::Response<String>, Infallible>> {
    let mut response = http::Response::new(String::new());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    ready(Ok(response))
}

#[test]
fn a_counted_request_allocates_nothing() {
    // Time stands, as metrics are published once a second.
    let (clock, _) = Clock::manual();
    let new = |name| Signals::builder(name).clock(clock.clone());
    let of_segments = new("segments").segments(["web", "mobile"]);
    for signals in [new("counted"), new("leaked"), of_segments].map(|builder| builder.build().unwrap()) {
        let signals = if signals.name() == "leaked" { signals.leak() } else { signals };
        let mut service = signals.layer().segment(|_: &u16| "mobile").layer(service_fn(answer));
        for status in [200, 404, 500] {
            let request = || drop(service.call(status).now_or_never().unwrap().unwrap());
            assert_eq!(allocations(request), 0, "{status}");
        }
    }
}

#[test]
fn the_layer_adds_at_most_64_bytes_to_a_future() {
    let signals = Signals::new("sizes");
    let mut service = signals.layer().layer(service_fn(answer));
    let added = size_of_val(&service.call(200)) - size_of_val(&answer(200));
    assert!(added <= 64, "{added} bytes");
}
