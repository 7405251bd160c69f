//! Requests to an admin address: addresses a token is sent to, timeouts, and the meaning of an error status.

use super::output::Failure;
use backstop::kill_switch::Document;
use backstop::kill_switch::access::Token;
use serde_json::Value;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue, Response, Uri};
use ureq::{Agent, Body, Error};

/// For one request and its answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// For a page that is looked at again and again.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);
const EXAMPLE: &str = "http://127.0.0.1:9901";

/// An admin address, and the token for it.
pub(super) struct Http {
    agent: Agent,
    base: String,
    token: Option<Token>,
}

/// A successful response.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Http {
    /// # Errors
    ///
    /// A text that is not an address; a token that others on the way could read.
    pub(super) fn new(url: &str, token: Option<Token>) -> Result<Self, Failure> {
        let usage = |message: &str| Failure::Usage(message.to_owned());
        let wrong =
            || Failure::Usage(format!("the admin address must be a URL like {EXAMPLE}, with the prefix of its routes"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
        if scheme == "https" {
            let message = "this command speaks no TLS: go through a tunnel to the program's machine, as \
                           `ssh -L 9901:127.0.0.1:9901 HOST` makes, to http://127.0.0.1:9901";
            return Err(usage(message));
        }
        // The value is not printed: it may contain a password.
        if scheme != "http" || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        if token.is_some() && !is_loopback(authority.host()) {
            let message = "a token is not sent over plain http to another machine, where others can read it on its \
                           way: go through a tunnel, as `ssh -L 9901:127.0.0.1:9901 HOST` makes, to \
                           http://127.0.0.1:9901";
            return Err(usage(message));
        }
        let base = format!("http://{authority}{}", uri.path().trim_end_matches('/'));
        // No proxy and no other address: either would be shown the token.
        let config = Agent::config_builder().proxy(None).max_redirects(0).http_status_as_error(false);
        let agent = config.timeout_global(Some(TIMEOUT)).build().new_agent();
        Ok(Self { agent, base, token })
    }

    pub(super) fn get(&self, path: &str) -> Result<Answer, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.reveal()));
        }
        let response = request.call().and_then(answer);
        self.judge(response.map_err(|error| self.unreachable(&error, ""))?)
    }

    /// Where it is: host and port.
    pub(super) fn place(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        let mut request = self.agent.post(format!("{}{path}", self.base)).content_type("application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.reveal()));
        }
        let response = request.send(body.to_string()).and_then(answer);
        self.judge(response.map_err(|error| {
            let is_unsent = match &error {
                Error::HostNotFound | Error::ConnectionFailed => true,
                Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
                _ => false,
            };
            let may_be = "; the change may still be made: check before you repeat it";
            self.unreachable(&error, if is_unsent { "" } else { may_be })
        })?)
    }

    fn unreachable(&self, error: &Error, but: &str) -> Failure {
        let message = format!("the admin address {} does not answer: {error}{but}", self.base);
        self.answered(3, "unreachable", &message)
    }

    fn judge(&self, answer: Answer) -> Result<Answer, Failure> {
        if matches!(answer.status, 200 | 202) {
            return Ok(answer);
        }
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(code) = problem["code"].as_str().filter(|code| is_code(code)) else {
            return Err(self.foreign(&format!("answers with status {}", answer.status)));
        };
        let detail = problem["detail"].as_str().unwrap_or_default();
        let (exit_code, message) = match (answer.status, code) {
            (400 | 413 | 415, _) => (2, format!("{detail}{}", fields(&problem))),
            (401, _) if self.token.is_none() => {
                (3, "it requires a token: set BACKSTOP_TOKEN, or give --token-file PATH".to_owned())
            }
            (401, _) => (3, "the token is unknown to this program, or expired".to_owned()),
            (404, "not_found") => {
                let why = "check the prefix of its routes in the URL, and your token";
                (3, format!("{} has no such route: {why}", self.base))
            }
            (404 | 409 | 422, _) => (1, detail.to_owned()),
            _ => (3, detail.to_owned()),
        };
        Err(self.answered(exit_code, code, &message))
    }

    /// Something that is not what an admin page says.
    pub(super) fn foreign(&self, what: &str) -> Failure {
        self.answered(3, "no_admin_page", &format!("{} {what}, but not in the form of an admin page", self.base))
    }

    /// Messages of the other side, without the token.
    fn answered(&self, exit_code: u8, code: &str, message: &str) -> Failure {
        let hidden = |text: &str| match &self.token {
            Some(token) => text.replace(&token.reveal(), "bks_(hidden)"),
            None => text.to_owned(),
        };
        Failure::Answered { exit_code, code: hidden(code), message: hidden(message) }
    }
}

/// A page of a program, as anybody sees it.
pub(super) struct Page {
    agent: Agent,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Page {
    /// # Errors
    ///
    /// A text that is not an address, or not a header.
    pub(super) fn new(url: &str, headers: &[String]) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::Usage(what.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong("a page must be a URL like http://127.0.0.1:8080/health"))?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return Err(wrong("a page must be a URL that begins with http://: https is not supported"));
        }
        let header = |text: &String| {
            let (name, value) = text.split_once(':')?;
            Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
        };
        let headers: Option<_> = headers.iter().map(header).collect();
        let headers = headers.ok_or_else(|| wrong("a header must be NAME: VALUE"))?;
        let config = Agent::config_builder().proxy(None).max_redirects(0).http_status_as_error(false);
        let agent = config.timeout_global(Some(PAGE_TIMEOUT)).build().new_agent();
        Ok(Self { agent, url: url.to_owned(), headers })
    }

    /// Status of its answer; the error if there is none.
    pub(super) fn status(&self) -> Result<u16, String> {
        let mut request = self.agent.get(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.call().map(|response| response.status().as_u16()).map_err(|error| error.to_string())
    }
}

fn answer(mut response: Response<Body>) -> Result<Answer, Error> {
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(Document::SIZE_MAX as u64).read_to_vec()?;
    Ok(Answer { status, body })
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The fields of a body that are wrong.
fn fields(problem: &Value) -> String {
    let problem_text = |problem: &Value| {
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        format!("\n  {} is {}, must be {}", text("field"), text("value"), text("allowed"))
    };
    problem["problems"].as_array().map(|all| all.iter().map(problem_text).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_this_machine_or_for_nobody() {
        let token = || Some(Token::from_bytes([7; 32]));
        for url in ["http://127.0.0.1:9901", "http://[::1]:9901/backstop/", "http://localhost", "HTTP://127.3.2.1"] {
            assert!(Http::new(url, token()).is_ok(), "{url}");
        }
        for url in [
            "http://10.0.0.1:9901",
            "http://shop.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://0.0.0.0:9901",
            "https://127.0.0.1",
            "http://mira:secret@127.0.0.1",
            "http://127.0.0.1@evil.example",
            "http://127.0.0.1/?x",
            "file:///etc/passwd",
            "127.0.0.1:9901",
            "",
        ] {
            let failure = Http::new(url, token()).err().map(|failure| (failure.exit_code(), failure.to_string()));
            let (code, message) = failure.unwrap_or_default();
            assert!(code == 2 && !message.contains("secret") && !message.contains(&token().unwrap().reveal()), "{url}");
        }
        assert!(Http::new("http://10.0.0.1:9901", None).is_ok(), "without a token there is nothing to lose");
    }

    #[test]
    fn what_the_other_side_says_has_no_token_in_it() {
        let token = Token::from_bytes([7; 32]);
        let http = Http::new(EXAMPLE, Some(token.clone())).unwrap();
        let body = serde_json::json!({ "code": "pinned", "detail": format!("no, {}", token.reveal()) }).to_string();
        let failure = http.judge(Answer { status: 409, body: body.into_bytes() }).err().unwrap();
        assert_eq!((failure.exit_code(), failure.code()), (1, "pinned"));
        assert_eq!(failure.to_string(), "no, bks_(hidden)");
        for (status, body) in [(200, ""), (302, ""), (502, "<html>"), (409, r#"{"code":"\u001b"}"#)] {
            let failure = http.judge(Answer { status, body: body.as_bytes().to_vec() }).err();
            let code = failure.as_ref().map_or("", Failure::code);
            assert_eq!(code, if status == 200 { "" } else { "no_admin_page" }, "{body}");
        }
    }
}
