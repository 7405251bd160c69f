//! HTTP requests of sources, with a limit on time and length.

use super::Access;
use http::HeaderValue;
use std::time::Duration;
use ureq::{Agent, Body, Error, RequestBuilder, http::Response};

/// A client that follows no redirect, uses no proxy, and keeps this many idle connections.
pub(crate) fn agent(idle: usize, access: &Access) -> Agent {
    Agent::config_builder()
        .tls_config(access.tls())
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .max_idle_connections(idle)
        .max_idle_connections_per_host(2)
        .build()
        .new_agent()
}

/// A request that failed, in a few words.
#[derive(Debug)]
pub(crate) enum Failed {
    /// No answer, or one of a server that is down.
    Unreachable(String),
    /// An answer that is no page, or not for us: a mistake rather than an outage.
    Wrong(String),
}

impl Failed {
    pub(crate) fn message(&self) -> &str {
        let (Self::Unreachable(message) | Self::Wrong(message)) = self;
        message
    }
}

/// The body of a page.
///
/// # Errors
///
/// The connection, the time limit, a status other than 200, a body that is too long, compressed or not UTF-8.
pub(crate) fn get(
    agent: &Agent,
    url: &str,
    authorization: Option<&HeaderValue>,
    within: Duration,
    most: u64,
) -> Result<String, Failed> {
    let request = with(agent.get(url), "text/plain;version=0.0.4", authorization, within);
    let mut response = request.call().map_err(|error| words(&error, within, most))?;
    is_for_us(&response)?;
    if response.status() != 200 {
        return Err(Failed::Unreachable(other(&response)));
    }
    body(&mut response, within, most)
}

/// The status and the body of the answer to a form.
///
/// # Errors
///
/// As [`get`]; a status is no error.
pub(crate) fn post_form(
    agent: &Agent,
    url: &str,
    authorization: Option<&HeaderValue>,
    form: [(&str, &str); 1],
    within: Duration,
    most: u64,
) -> Result<(u16, String), Failed> {
    let request = with(agent.post(url), "application/json", authorization, within);
    let mut response = request.send_form(form).map_err(|error| words(&error, within, most))?;
    is_for_us(&response)?;
    Ok((response.status().as_u16(), body(&mut response, within, most)?))
}

fn with<B>(
    request: RequestBuilder<B>,
    accept: &str,
    authorization: Option<&HeaderValue>,
    within: Duration,
) -> RequestBuilder<B> {
    let mut request = request.header("accept", accept);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    request.config().timeout_global(Some(within)).build()
}

/// # Errors
///
/// A redirect, and an answer to those who may not ask.
fn is_for_us(response: &Response<Body>) -> Result<(), Failed> {
    let status = response.status();
    if status.is_redirection() || status == 401 || status == 403 {
        return Err(Failed::Wrong(other(response)));
    }
    Ok(())
}

fn body(response: &mut Response<Body>, within: Duration, most: u64) -> Result<String, Failed> {
    let encoding = response.headers().get("content-encoding").filter(|encoding| *encoding != "identity");
    if let Some(encoding) = encoding {
        let encoding = String::from_utf8_lossy(encoding.as_bytes()).escape_debug().to_string();
        return Err(Failed::Wrong(format!("the answer is compressed ({encoding}), which was not asked for")));
    }
    let read =
        response.body_mut().with_config().limit(most).read_to_vec().map_err(|error| words(&error, within, most))?;
    String::from_utf8(read).map_err(|_| Failed::Wrong("the answer is not UTF-8".to_owned()))
}

fn other(response: &Response<Body>) -> String {
    let to = response.headers().get("location").and_then(|to| to.to_str().ok());
    let to = to.map_or_else(String::new, |to| format!(", to {}: give that address", to.escape_debug()));
    format!("the answer is {}{to}", response.status())
}

fn words(error: &Error, within: Duration, most: u64) -> Failed {
    Failed::Unreachable(match error {
        Error::BodyExceedsLimit(_) => return Failed::Wrong(format!("the answer is longer than {most} bytes")),
        Error::Timeout(_) => format!("no answer within {within:?}"),
        Error::HostNotFound => "the host is not known".to_owned(),
        Error::Io(error) => error.to_string(),
        error => error.to_string(),
    })
}
