//! Services whose verdicts are answered.

use super::answer::problem;
use super::token::HookToken;
use crate::rollout::judging::{NAME_MAX, Verdicts};
use crate::sync::{AtomicU64, Ordering};
use axum::response::Response;
use http::StatusCode;
use std::collections::BTreeMap;

pub(super) struct Routes {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) token: Option<HookToken>,
}

pub(super) struct Service {
    pub(super) verdicts: Verdicts,
    /// Steps of traffic that were allowed without data, in the rollout of this number.
    pub(super) first_steps: AtomicU64,
    of: AtomicU64,
}

impl Service {
    fn new(verdicts: Verdicts) -> Self {
        let of = AtomicU64::new(verdicts.number());
        Self { verdicts, first_steps: AtomicU64::new(0), of }
    }

    /// Steps that were allowed in the rollout of this number. Two requests at the same instant may both be the first.
    pub(super) fn steps(&self, number: u64) -> u64 {
        if self.of.swap(number, Ordering::Relaxed) != number {
            self.first_steps.store(0, Ordering::Relaxed);
        }
        self.first_steps.load(Ordering::Relaxed)
    }
}

impl Routes {
    pub(super) fn new(verdicts: impl IntoIterator<Item = Verdicts>, token: Option<HookToken>) -> Self {
        let named = |verdicts: Verdicts| (verdicts.service().to_owned(), Service::new(verdicts));
        Self { services: verdicts.into_iter().map(named).collect(), token }
    }

    /// The service, if there is only one.
    pub(super) fn only(&self) -> Option<&Service> {
        self.services.values().next().filter(|_| self.services.len() == 1)
    }

    pub(super) fn unknown(&self, asked: &str) -> Response {
        let known: Vec<_> = self.services.keys().map(String::as_str).collect();
        let asked: String = asked.chars().take(100).flat_map(char::escape_debug).collect();
        let detail = format!("service \"{asked}\" is not judged here, must be one of {}", known.join(", "));
        problem(StatusCode::NOT_FOUND, "unknown_service", &detail)
    }

    pub(super) fn service(&self, asked: Option<&str>) -> Result<&Service, Box<Response>> {
        match asked {
            Some(name) => self.services.get(name).ok_or_else(|| Box::new(self.unknown(name))),
            None => self.only().ok_or_else(|| {
                let detail = "several services are judged here: name one, as /v1/verdict?service=NAME";
                Box::new(problem(StatusCode::BAD_REQUEST, "no_service", detail))
            }),
        }
    }
}

/// Checks that this can be the name of a rollout, or of a person.
///
/// # Errors
///
/// The answer to a request whose field it is.
pub(super) fn check_name(field: &str, name: &str) -> Result<(), Box<Response>> {
    if !name.trim().is_empty() && name.len() <= NAME_MAX && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = format!("{field}: 1 to {NAME_MAX} bytes without control characters, not blank");
    Err(Box::new(problem(StatusCode::BAD_REQUEST, "bad_name", &detail)))
}
