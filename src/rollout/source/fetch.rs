//! HTTP requests of sources, with a limit on time and length.

use std::time::Duration;
use ureq::{Agent, Body, Error, http::Response};

/// A client that follows no redirect, uses no proxy, and keeps this many idle connections.
pub(crate) fn agent(idle: usize) -> Agent {
    Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .max_idle_connections(idle)
        .max_idle_connections_per_host(2)
        .build()
        .new_agent()
}

/// The body of a page.
///
/// # Errors
///
/// In a few words: the connection, the time limit, a status other than 200, a body that is too long or not UTF-8.
pub(crate) fn get(agent: &Agent, url: &str, within: Duration, most: u64) -> Result<String, String> {
    let request =
        agent.get(url).header("accept", "text/plain;version=0.0.4").config().timeout_global(Some(within)).build();
    let mut response = request.call().map_err(|error| words(&error, within, most))?;
    if response.status() != 200 {
        return Err(status(&response));
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
    form: [(&str, &str); 1],
    within: Duration,
    most: u64,
) -> Result<(u16, String), String> {
    let request = agent.post(url).header("accept", "application/json").config().timeout_global(Some(within)).build();
    let mut response = request.send_form(form).map_err(|error| words(&error, within, most))?;
    if response.status().is_redirection() {
        return Err(status(&response));
    }
    Ok((response.status().as_u16(), body(&mut response, within, most)?))
}

fn body(response: &mut Response<Body>, within: Duration, most: u64) -> Result<String, String> {
    let read =
        response.body_mut().with_config().limit(most).read_to_vec().map_err(|error| words(&error, within, most))?;
    String::from_utf8(read).map_err(|_| "the answer is not UTF-8".to_owned())
}

fn status(response: &Response<Body>) -> String {
    let to = response.headers().get("location").and_then(|to| to.to_str().ok());
    let to = to.map_or_else(String::new, |to| format!(", to {}: give that address", to.escape_debug()));
    format!("the answer is {}{to}", response.status())
}

fn words(error: &Error, within: Duration, most: u64) -> String {
    match error {
        Error::Timeout(_) => format!("no answer within {within:?}"),
        Error::BodyExceedsLimit(_) => format!("the answer is longer than {most} bytes"),
        Error::HostNotFound => "the host is not known".to_owned(),
        Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}
