//! Programs and pages that are asked from outside while something is engaged: does it hold there, and is all well?

use super::http::{self, Http};
use super::output::Failure;
use super::token;
use backstop::kill_switch::SwitchId;
use backstop::kill_switch::drill::Instance;
use backstop::rollout::soak::Finding;
use backstop::rollout::staged::{Check, Reached};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::Scope;
use std::time::Duration;

/// How long to wait before a program, and before a page of it, is asked again.
const PAUSE: Duration = Duration::from_millis(10);
const PAGE_PAUSE: Duration = Duration::from_millis(50);
/// More would each need a thread.
const PROGRAMS_MAX: usize = 100;

/// A program with an admin page, as it was when it was first asked.
pub(super) struct Program {
    http: Http,
    path: String,
    /// Its instance name and address: two programs may have the same name.
    pub(super) name: String,
    instance: String,
    region: Option<String>,
}

/// Asks programs for the first time.
///
/// # Errors
///
/// One that does not answer, or does not know the switch.
pub(super) fn programs(urls: &[String], token_file: Option<&Path>, switch: &SwitchId) -> Result<Vec<Program>, Failure> {
    if urls.len() > PROGRAMS_MAX {
        return Err(Failure::Usage(format!("{} instances given, at most {PROGRAMS_MAX} are allowed", urls.len())));
    }
    urls.iter().map(|url| Program::at(Http::new(url, token::read(token_file)?)?, switch)).collect()
}

impl Program {
    pub(super) fn at(http: Http, switch: &SwitchId) -> Result<Self, Failure> {
        let path = format!("/v1/switches/{switch}");
        let response: Value = serde_json::from_slice(&http.get(&path)?.body).unwrap_or_default();
        let here = &response["switch"]["here"];
        let Some(instance) = here["instance"].as_str().map(str::to_owned) else {
            return Err(http.foreign("did not answer with its instance name"));
        };
        if here["is_engaged"].is_null() {
            let message = format!(
                "the program at {} has no gate for {switch}, so the switch turns nothing off there",
                http.place()
            );
            return Err(Failure::Refused { code: "no_gate", message });
        }
        let region = here["region"].as_str().map(str::to_owned);
        Ok(Self { name: format!("{instance} at {}", http.place()), http, path, instance, region })
    }

    /// Returns whether the switch is engaged on it, the generation by which it is, and what is wrong with it; why it does
    /// not say.
    fn state(&self) -> Result<(bool, u64, Option<String>), String> {
        let answer = self.http.get(&self.path).map_err(|failure| failure.to_string())?;
        let response: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let here = &response["switch"]["here"];
        let state = here["is_engaged"].as_bool().zip(response["generation"].as_u64());
        let warning = here["warning"].as_str().map(str::to_owned);
        state
            .map(|(is_engaged, generation)| (is_engaged, generation, warning))
            .ok_or_else(|| "its answer lacks the state of the switch".to_owned())
    }

    /// That it has what the stage gives it, and nothing that the stage does not.
    pub(super) fn check(&self) -> Check<'_> {
        Check::new(&self.name, |reached: &Reached| {
            let is_included = reached.stage.includes(&self.instance, self.region.as_deref());
            match self.state() {
                Ok((_, generation, _)) if generation < reached.generation => {
                    Finding::Waiting("it has not read the new document yet".to_owned())
                }
                Ok((true, _, Some(why))) if is_included => Finding::Bad(format!("it {why}")),
                Ok((is_engaged, ..)) if is_engaged == is_included => Finding::Good,
                Ok((true, ..)) => Finding::Bad("it is engaged there, but not part of the stage".to_owned()),
                Ok((false, ..)) => Finding::Bad("it is part of the stage, but not engaged there".to_owned()),
                Err(why) => Finding::Bad(why),
            }
        })
    }
}

/// A page that has to be well.
pub(super) fn page(url: &str) -> Result<Check<'_>, Failure> {
    let page = http::Page::new(url, &[])?;
    Ok(Check::new(url, move |_: &Reached| match page.status() {
        Ok(status) if status < 400 => Finding::Good,
        Ok(status) => Finding::Bad(format!("it answers with {status}")),
        Err(why) => Finding::Bad(why),
    }))
}

/// A page that answers with one status while the switch is engaged for it, and without an error else.
pub(super) struct Degraded {
    pub(super) page: http::Page,
    pub(super) status: u16,
}

/// The last observation.
#[derive(Default)]
struct Seen(AtomicU8);

impl Seen {
    fn set(&self, is_off: Option<bool>) {
        self.0.store(is_off.map_or(0, |is_off| 1 + u8::from(is_off)), Ordering::Relaxed);
    }

    fn get(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            response => Some(response == 2),
        }
    }
}

/// Asks again and again, on a thread of its own, until `asked` is gone.
fn ask<'scope>(
    scope: &'scope Scope<'scope, '_>,
    asked: &Arc<Seen>,
    pause: Duration,
    ask: impl Fn() -> Option<bool> + Send + 'scope,
) {
    let asked = Arc::downgrade(asked);
    scope.spawn(move || {
        while asked.strong_count() > 0 {
            let response = ask();
            if let Some(seen) = asked.upgrade() {
                seen.set(response);
            }
            std::thread::sleep(pause);
        }
    });
}

/// A program as a drill sees it: by its own word, and by a page of its if there is one.
pub(super) fn instance<'scope>(
    scope: &'scope Scope<'scope, '_>,
    program: &'scope Program,
    page: Option<&'scope Degraded>,
) -> Instance<'static> {
    let applied = Arc::new(Seen::default());
    ask(scope, &applied, PAUSE, || program.state().ok().map(|(is_engaged, ..)| is_engaged));
    let instance = Instance::new(&program.name, move || applied.get());
    let Some(Degraded { page, status }) = page else { return instance };
    let verified = Arc::new(Seen::default());
    // An error is neither: what is broken is not on again.
    ask(scope, &verified, PAGE_PAUSE, move || match page.status() {
        Ok(answered) if answered == *status => Some(true),
        Ok(..400) => Some(false),
        _ => None,
    });
    instance.verified(move || verified.get())
}
