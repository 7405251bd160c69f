//! Bodies of responses that do not end well.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use std::io;

fn part() -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    stream::once(async { Ok(Bytes::from_static(b"part")) })
}

/// A part, then an error.
pub(crate) fn broken() -> Body {
    Body::from_stream(part().chain(stream::once(async {
        tokio::task::yield_now().await; // lets hyper send the part
        Err(io::Error::other("broken"))
    })))
}

/// A part, then nothing.
pub(crate) fn stalled() -> Body {
    Body::from_stream(part().chain(stream::pending()))
}
