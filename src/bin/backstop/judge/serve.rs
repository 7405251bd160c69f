//! `judge serve`: judges a live source, and answers controllers.

use super::judged::Judged;
use crate::output::{Failure, Report};
use crate::stop::{self, Stop};
use backstop::clock::{Clock, Timestamp};
use backstop::rollout::judging::Judging;
use backstop::rollout::verdicts::{HookToken, overrides, router, serve};
use backstop::signals::Baseline;
use clap::Args;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot::{self, error::TryRecvError};

const HELP: &str = "\
Routes: /v1/verdict, /v1/evidence, /v1/evidence/ID, /metrics, and /v1/hooks/{rollback,confirm-rollout,
confirm-traffic-increase,confirm-promotion} for Flagger; with --token-file, POST /v1/rollout, which begins a rollout; with
--override-token-file, POST /v1/override for people. The first line of standard output is the address; each change of the
decision is a line on standard error.

Examples:
  backstop judge serve --service checkout --source scrape \\
    --canary dns:checkout-canary:9090 --baseline dns:checkout-stable:9090 --listen 0.0.0.0:9909 --token-file token --state state
  backstop judge serve --service checkout --source prometheus:http://prometheus:9090 \\
    --canary 'version=\"1.2.4\"' --baseline 'version=\"1.2.3\"'

Exit codes:
  0  ended by SIGTERM or SIGINT
  2  bad usage, or a file that cannot be read
  3  the address or the state cannot be used";

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Longest wait for the last look and what it writes, at an orderly end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Judges a live source, and answers Argo Rollouts, Flagger and people over HTTP until it is stopped.
#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Serve {
    #[command(flatten)]
    judged: Judged,
    /// The address to answer at.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9909")]
    listen: String,
    /// Keeps what was judged in this directory, so that a restart goes on; not with `ticks:FILE`. Default: in memory only.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// A baseline that `backstop baseline record` wrote, for the time without a live one.
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,
    /// A file with the token of controllers, which hooks and POST /v1/rollout must present. Default: hooks need none, and no
    /// rollout can be begun by a request of its own. Required where other machines reach the address.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Hooks need no token, also of other machines: each one that reaches the address can end what is judged, by a hook with
    /// a new checksum.
    #[arg(long, conflicts_with = "token_file")]
    no_token: bool,
    /// A file with the token by which a person overrides a verdict. Default: there is no such route.
    #[arg(long, value_name = "FILE")]
    override_token_file: Option<PathBuf>,
}

impl Serve {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let (token, person) = (token(self.token_file.as_deref())?, token(self.override_token_file.as_deref())?);
        if self.state.is_some() && self.judged.source.is_file_of_ticks() {
            let message = "--state: not allowed with --source ticks:FILE, which is read from its beginning at each start: a \
                           restart would count its ticks twice; leave out --state, or use ticks:-";
            return Err(Failure::Usage(message.to_owned()));
        }
        let mut judging = self.judged.open()?;
        if let Some(path) = &self.recorded {
            let baseline = Baseline::read(path);
            let failed = |error| Failure::Usage(format!("{} cannot be read: {error}", path.display()));
            judging = judging.recorded(baseline.map_err(failed)?);
        }
        if let Some(directory) = &self.state {
            judging = judging.state(directory).map_err(|error| Failure::Store(error.to_string()))?;
        }
        let (runtime, mut stop) = stop::runtime()?;
        let listener = runtime.block_on(TcpListener::bind(&self.listen));
        let address = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) =
            address.map_err(|error| Failure::Store(format!("cannot listen at {}: {error}", self.listen)))?;
        if token.is_none() && !self.no_token && !address.ip().to_canonical().is_loopback() {
            let message = "can be reached from other machines, and a hook with a new checksum ends what is judged: give hooks \
                           a token with --token-file, or say --no-token where the network lets only the controller through";
            return Err(Failure::Usage(format!("--listen: {address} {message}")));
        }
        let mut routes = router([judging.verdicts()], token);
        if let Some(person) = person {
            routes = routes.merge(overrides([judging.verdicts()], person));
        }
        runtime.spawn(serve(listener, routes));
        // The reader may be gone.
        let mut out = std::io::stdout();
        let _ = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
        let (on, is_over) = oneshot::channel();
        let thread = std::thread::Builder::new().name("backstop-judging".to_owned());
        let thread = thread.spawn(move || judge(judging, is_over));
        let thread = thread.map_err(|error| Failure::Store(format!("the system has no thread: {error}")))?;
        let ended = runtime.block_on(wait(&mut stop, &thread));
        drop(on);
        thread.thread().unpark();
        let clock = Clock::system();
        let told = clock.now();
        // A look may take longer; nothing of it is needed.
        while !thread.is_finished() && clock.now().saturating_duration_since(told) < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        runtime.shutdown_background();
        ended.map(|()| Report::default())
    }
}

/// The token in a file.
pub(crate) fn token(path: Option<&Path>) -> Result<Option<HookToken>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?;
    let token = HookToken::new(text.trim()).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    Ok(Some(token))
}

async fn wait(stop: &mut Stop, judging: &JoinHandle<()>) -> Result<(), Failure> {
    while !stop.within(LOOK).await {
        if judging.is_finished() {
            return Err(Failure::Store("judging ended by itself".to_owned()));
        }
    }
    Ok(())
}

/// Looks once a second until it is over, and prints each change of the decision, and each new reason why the source was not read.
fn judge(mut judging: Judging, mut is_over: oneshot::Receiver<()>) {
    let clock = Clock::system();
    let (mut last, mut unread) = (None, None);
    while is_over.try_recv() == Err(TryRecvError::Empty) {
        let begun = clock.now();
        let published = judging.look();
        let decision = published.decision();
        if last.replace(decision) != Some(decision) {
            let line = format!("{}: {}", decision.as_str(), published.verdict().sentence);
            let _ = writeln!(std::io::stderr(), "{:.0} {line}", Timestamp::now());
        }
        if unread.as_deref() != judging.failure() {
            unread = judging.failure().map(str::to_owned);
            let line = unread.as_deref().unwrap_or("the source is read again");
            let _ = writeln!(std::io::stderr(), "{:.0} {line}", Timestamp::now());
        }
        std::thread::park_timeout(LOOK.saturating_sub(clock.now().saturating_duration_since(begun)));
    }
}
