//! `rollout start`: the controller, in the foreground.

use super::earlier::Earlier;
use super::place::lock;
use super::service::{BY, failed, run, say};
use crate::author_args::name;
use crate::judge::token;
use crate::output::{Failure, Report};
use crate::plan::{invalid, read, socket};
use crate::source_args::SourceArgs;
use crate::time_args::now;
use backstop::ConfigError;
use backstop::admin::Admin;
use backstop::kill_switch::KillSwitches;
use backstop::kill_switch::access::Token;
use backstop::rollback::Policy;
use backstop::rollback::plan::{Level, Plan};
use backstop::rollout::controller::{Controller, Ended, Judged, Looks, Settings, Status, refuse};
use backstop::rollout::judging::Verdicts;
use backstop::rollout::requests::check_texts;
use backstop::rollout::stages::End;
use backstop::rollout::state_dir::StateDir;
use backstop::rollout::verdicts::{HookToken, router, serve};
use clap::Args;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Time for the HTTP answer to the command that ended the rollout.
const LINGER: Duration = Duration::from_millis(500);

/// Beginnings of alerts.
const NOT_STARTED: &str = "a rollout was not started";
const NOT_GONE_ON: &str = "a rollout does not go on, and its release keeps the traffic that it has";

/// Starts a rollout, or goes on with one whose controller was killed. Runs until the rollout ends.
#[derive(Args)]
pub(super) struct Start {
    /// The release plan, in TOML or JSON. Its commands run in its folder.
    plan: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    #[arg(long, value_name = "NAME", help = BY)]
    by: Option<String>,
    /// The reason; required for an artifact that was rolled back before.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Also answer HTTP at this address: status and people's commands (/v1/rollouts), and the verdict as `judge serve` does.
    #[arg(long, value_name = "ADDRESS", requires = "access_file")]
    listen: Option<String>,
    /// The access list for --listen, as `backstop switch token` writes it, with the verbs `rollout` and `rollback`.
    #[arg(long, value_name = "FILE")]
    access_file: Option<PathBuf>,
    /// A file with the token for the hooks at --listen, and to name another rollout. Default: no token is right; /v1/verdict,
    /// /v1/evidence and /metrics need none.
    #[arg(long, value_name = "FILE", requires = "listen")]
    token_file: Option<PathBuf>,
    /// Seconds between two looks at the release.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, hide = true)]
    look_every: f64,
}

impl Start {
    pub(super) fn run(self, state: &Path) -> Result<Report, Failure> {
        let by = name(self.by.as_deref())?;
        let texts = [("by", &*by)].into_iter().chain(self.reason.as_deref().map(|reason| ("reason", reason)));
        check_texts(texts).map_err(|error| Failure::Usage(error.to_string()))?;
        let text = read(&self.plan)?;
        let failed = |failure: &Failure, level, what: &str| match failure {
            Failure::Input(why) | Failure::Store(why) => refuse(&text, level, &format!("{what}: {why}")),
            _ => {}
        };
        let plan =
            Plan::parse(&text).or_else(|_| Plan::check(&text, now())).map_err(|error| invalid(&self.plan, &error));
        let plan = plan.inspect_err(|failure| failed(failure, Level::Notify, NOT_STARTED))?;
        let dir = StateDir::new(state, &plan.service)?;
        // Without a controller, nothing watches a release that has traffic.
        let is_on_its_way = dir.holder().is_none() && Earlier::unfinished(&dir).map_or(true, |latest| latest.is_some());
        let (level, what) = if is_on_its_way { (Level::Page, NOT_GONE_ON) } else { (Level::Notify, NOT_STARTED) };
        self.work(state, &dir, &plan, &text, &by).inspect_err(|failure| failed(failure, level, what))
    }

    fn work(&self, state: &Path, dir: &StateDir, plan: &Plan, text: &str, by: &str) -> Result<Report, Failure> {
        if plan.traffic.is_none() {
            let message = format!("{}: traffic: required, as this controller moves it", self.plan.display());
            return Err(Failure::Input(message));
        }
        // A rollback that could not be written down is a decision all the same.
        let is_lost = || match Status::unrecorded(dir)?.filter(|status| status.artifact == plan.artifact) {
            None => Ok(false),
            Some(_) if self.reason.is_some() => Ok(true),
            Some(status) => {
                let (artifact, number, state) = (&plan.artifact, &status.rollout, status.state.replace('_', " "));
                let message = format!(
                    "{artifact} was {state} in rollout {number}, and its journal has no record of that: add --reason to try it again"
                );
                Err(Failure::Refused { code: "rolled_back_before", message })
            }
        };
        // A supervisor may have missed the end. To begin anew would take the traffic away from a promoted release.
        let has_ended = || -> Result<Option<Report>, Failure> {
            let latest = Earlier::latest(dir)?.filter(|latest| latest.text == text && latest.has_begun);
            let Some((number, end)) = latest.and_then(|latest| Some((latest.number(), latest.end?))) else {
                return Ok(None);
            };
            let warning = format!("rollout {number} of this plan has ended: add --reason to try it again");
            let report = report(&plan.artifact, end);
            Ok(Some(Report { warning: Some(warning), ..report }).filter(|_| self.reason.is_none()))
        };
        let unfinished = || Earlier::unfinished(dir).map(|latest| latest.filter(|latest| latest.text == text));
        // One that has begun goes on whenever its controller is started again, with the policy that it began with.
        let fresh = || {
            Plan::check(text, now()).map_err(|error| invalid(&self.plan, &error))?;
            socket(&self.plan, plan)?;
            self.policy(plan)
        };
        if Status::unrecorded(dir)?.is_none()
            && let Some(report) = has_ended()?
        {
            return Ok(report);
        }
        let policy_text = if unfinished()?.is_some() { None } else { Some(fresh()?) };
        dir.create()?;
        let was_lost = dir.holder().is_none() && is_lost()?;
        let lock = lock(dir, plan, text, by)?;
        let is_lost = is_lost()? || was_lost;
        if let Some(report) = has_ended()? {
            return Ok(report);
        }
        let (folder, is_retreat) = if let Some(latest) = unfinished()?.filter(|_| !is_lost) {
            (latest.folder, latest.is_retreat)
        } else {
            self.needs_a_reason(dir, plan)?;
            let policy_text = policy_text.map_or_else(fresh, Ok)?;
            let home = self.kept().map_or_else(|| self.home(), |folder| Settings::commands_in(&folder));
            let start = serde_json::json!({ "commands_in": home, "by": by }).to_string();
            let files: [(&str, &[u8]); 3] = [
                ("plan.toml", text.as_bytes()),
                ("policy.toml", policy_text.as_bytes()),
                ("start.json", start.as_bytes()),
            ];
            (dir.begin(&files)?, false)
        };
        // A judge or an address that fails keeps no crashed controller from giving the traffic back.
        let go_on = |failure: Failure, lost: &str| {
            if !is_retreat {
                return Err(failure);
            }
            say(&format!("warning: the rollback goes on, and {lost}: {failure}"));
            Ok(())
        };
        let number = StateDir::number(&folder);
        let judged = match self.judged(plan, &folder, &number) {
            Ok(judged) => Some(judged),
            Err(failure) => go_on(failure, "nothing here sees whether the service recovers").map(|()| None)?,
        };
        let verdicts = judged.as_ref().map(Judged::verdicts);
        self.listen(state, verdicts).or_else(|failure| go_on(failure, "there is no answer over HTTP"))?;
        let looks = judged.map(|judged| Box::new(judged) as Box<dyn Looks>);
        let look_every = Duration::try_from_secs_f64(self.look_every).unwrap_or(Duration::from_secs(1));
        let settings = Settings { looks, look_every, reason: self.reason.clone(), ..Settings::of(dir, folder, by) };
        let controller = Controller::new(settings, lock).map_err(|error| failed(&error))?;
        say(&format!("rollout {number} of {}: {}", plan.service, controller.rollout().name()));
        let (ended, held) = run(dir, controller, say);
        if self.listen.is_some() {
            thread::sleep(LINGER);
        }
        if let Ended::Done(end) = ended { Ok(report(&plan.artifact, end)) } else { Err(held) }
    }

    /// Folder of the plan.
    fn home(&self) -> PathBuf {
        let home = std::path::absolute(&self.plan).ok().and_then(|path| path.parent().map(Path::to_owned));
        home.unwrap_or_else(|| PathBuf::from("."))
    }

    /// Its folder, if that is the one of an earlier rollout: its policy is beside it, and its commands run elsewhere.
    fn kept(&self) -> Option<PathBuf> {
        Some(self.home()).filter(|home| home.join("start.json").is_file())
    }

    /// Text of the plan's policy: the built-in one if the plan names none and there is no `policy.toml`.
    fn policy(&self, plan: &Plan) -> Result<String, Failure> {
        let name = if self.kept().is_some() { "policy.toml" } else { &*plan.policy };
        let path = self.home().join(name);
        if name == "policy.toml" && !path.exists() {
            return Ok(Policy::DEFAULT.to_owned());
        }
        let text = read(&path)?;
        Policy::parse(&text).map_err(|error| invalid(&path, &error))?;
        Ok(text)
    }

    /// The source, judged by the policy that the rollout began with.
    fn judged(&self, plan: &Plan, folder: &Path, number: &str) -> Result<Judged, Failure> {
        let path = folder.join("policy.toml");
        let policy = Policy::parse(&read(&path)?).map_err(|error| invalid(&path, &error))?;
        let is_resumed = folder.join("evidence").join("ticks.jsonl").exists();
        if is_resumed && self.source.is_file_of_ticks() {
            say(
                "the file of ticks is read from its present end on: those before are judged, or came without a controller",
            );
        }
        let source = self.source.open(&plan.service, &policy, is_resumed)?;
        let judged = Judged::new(&plan.service, policy, source, number, &folder.join("evidence").join("judge"));
        judged.map_err(|error| Failure::Store(error.to_string()))
    }

    /// Answers HTTP on a thread of its own, as long as the process lasts.
    fn listen(&self, state: &Path, verdicts: Option<Verdicts>) -> Result<(), Failure> {
        let (Some(address), Some(access)) = (&self.listen, &self.access_file) else { return Ok(()) };
        let usage = |error: ConfigError| Failure::Usage(error.to_string());
        let failed = |error: std::io::Error| Failure::Store(format!("cannot listen at {address}: {error}"));
        let switches = KillSwitches::builder("rollouts").build().map_err(usage)?;
        let admin = Admin::builder(switches).access_file(access).rollouts(state).build().map_err(usage)?;
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let shown = listener.local_addr().map_err(failed)?;
        if !shown.ip().to_canonical().is_loopback() && !admin.has_live_token() {
            return Err(Failure::Usage(format!(
                "--listen: {shown} can be reached from other machines, and no token is valid"
            )));
        }
        // Naming another rollout would end the judging of this one.
        let token = token(self.token_file.as_deref())?.map_or_else(no_token, Ok)?;
        let routes = router(verdicts, Some(token)).fallback_service(admin.router());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let serve = move || {
            runtime.block_on(async {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    serve(listener, routes).await;
                }
            });
        };
        thread::Builder::new().name("backstop-http".to_owned()).spawn(serve).map_err(failed)?;
        say(&format!("listening on http://{shown}"));
        Ok(())
    }

    /// An artifact that was rolled back before is tried again with a reason only.
    fn needs_a_reason(&self, dir: &StateDir, plan: &Plan) -> Result<(), Failure> {
        for folder in dir.rollouts().into_iter().rev() {
            let Some(earlier) = Earlier::of(folder)? else { continue };
            let (number, Earlier { folder, artifact, end, .. }) = (earlier.number(), earlier);
            let is_back = end == Some(End::RolledBack);
            if artifact != plan.artifact {
                if is_back && dir.latest().as_ref() == Some(&folder) {
                    say(&format!("warning: {artifact} was rolled back, and its cause may still be there"));
                }
                continue;
            }
            if is_back && self.reason.is_none() {
                let message =
                    format!("{artifact} was rolled back before (rollout {number}): add --reason to try it again");
                return Err(Failure::Refused { code: "rolled_back_before", message });
            }
            break;
        }
        Ok(())
    }
}

fn report(artifact: &str, end: End) -> Report {
    let exit_code = match end {
        End::Promoted => 0,
        End::RolledBack => 20,
        End::Superseded | End::Aborted => 21,
    };
    let text = format!("{artifact}: {}", end.as_str().replace('_', " "));
    Report { exit_code, ..Report::of(text, &serde_json::json!({ "artifact": artifact, "state": end.as_str() })) }
}

/// A token that is never presented.
fn no_token() -> Result<HookToken, Failure> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| Failure::Store(format!("the system gives no randomness: {error}")))?;
    HookToken::new(&Token::from_bytes(random).reveal()).map_err(|error| Failure::Store(error.to_string()))
}
