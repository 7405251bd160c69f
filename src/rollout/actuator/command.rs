//! Commands of a plan: a program and its arguments, without a shell, in a process group that ends with its time.

use super::contract::Actuator;
use super::limit::{Cancel, Limit, MoveError};
use super::probe::{Probe, compare};
use crate::fs::{careful, lock_within};
use crate::rollback::plan::{Plan, Traffic};
use crate::rollout::filing::appending;
use crate::rollout::redact::clean;
use crate::rollout::stages::Reading;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// Between two looks at a command that runs.
const EVERY: Duration = Duration::from_millis(5);
/// Between two runs of a `verify`.
const VERIFY_EVERY: Duration = Duration::from_millis(200);
/// Longest wait for a command of a controller that was killed. Then one that moves traffic is killed too, as it must not set
/// its weight after this one has; an action of the plan goes on beside this one.
const ORPHAN: Duration = Duration::from_secs(2);
/// Longest wait for the end of a group that was killed.
#[cfg(target_os = "linux")]
const ENDING: Duration = Duration::from_millis(500);
/// The end of an output in which the last line is looked for, in bytes.
const TAIL: u64 = 4_096;
/// Most characters of it that are quoted.
const QUOTED: usize = 200;
/// Digits of a process's number.
const DIGITS: u64 = 20;
/// The log of outputs is not added to above this length, and by one command no more than this.
const LOG_MAX: u64 = 64 << 20;
const OUTPUT_MAX: u64 = 4 << 20;

/// Facts that a command is given as variables: `BACKSTOP_SERVICE` and so on, and `{weight}` and `{version}`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) weight: u32,
    /// Key of the step; 0 for a command that moves or reads the weight.
    pub(crate) key: u64,
}

impl Environment {
    const fn moves_traffic(&self) -> bool {
        self.key == 0
    }
}

/// Runs commands of one plan.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    service: String,
    version: String,
    previous: String,
    folder: PathBuf,
    log: PathBuf,
}

impl Command {
    pub(crate) fn new(plan: &Plan, folder: &Path, log: &Path) -> Self {
        Self {
            service: plan.service.clone(),
            version: plan.artifact.clone(),
            previous: plan.previous.clone(),
            folder: folder.to_owned(),
            log: log.to_owned(),
        }
    }

    /// Runs a command to its end. Its output goes to the log.
    pub(crate) fn run(&self, argv: &[String], environment: &Environment, limit: &Limit) -> Result<(), MoveError> {
        // Whatever else holds it leaves time for this one.
        let input = self.input((limit.left()? / 2).min(ORPHAN)).map(|(file, is_free)| {
            if !is_free {
                end_orphan(&file);
            }
            file
        });
        // Emptied before it names another group: an old number may be that of a process that has nothing to do with it.
        let running = input.as_ref().and_then(|file| file.try_clone().ok()).filter(|file| file.set_len(0).is_ok());
        let weight = environment.weight.to_string();
        let fill = |word: &String| word.replace("{weight}", &weight).replace("{version}", &self.version);
        let argv: Vec<_> = argv.iter().map(fill).collect();
        let Some((program, arguments)) = argv.split_first() else {
            return Err(MoveError::refused("the command is empty"));
        };
        let mut command = std::process::Command::new(program);
        command.args(arguments).current_dir(&self.folder).stdin(input.map_or_else(Stdio::null, File::into));
        command.env("BACKSTOP_SERVICE", &self.service).env("BACKSTOP_VERSION", &self.version);
        command.env("BACKSTOP_PREVIOUS", &self.previous).env("BACKSTOP_WEIGHT", &weight);
        command.env("BACKSTOP_KEY", environment.key.to_string());
        let output = self.output();
        let begins = output.as_ref().and_then(|file| file.metadata().ok()).map_or(u64::MAX, |metadata| metadata.len());
        match output.as_ref().and_then(|file| Some((file.try_clone().ok()?, file.try_clone().ok()?))) {
            Some((out, err)) => command.stdout(out).stderr(err),
            None => command.stdout(Stdio::null()).stderr(Stdio::null()),
        };
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let started = |error: std::io::Error| {
            let why = format!("{program} cannot be run: {error}");
            // Others may pass: too many processes, a file that is being written.
            match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => MoveError::refused(why),
                _ => MoveError::new(why),
            }
        };
        let mut child = command.spawn().map_err(started)?;
        if let Some(mut running) = running.filter(|_| environment.moves_traffic()) {
            // Through the description that the command has: its input stays at its end, so that it reads nothing.
            let _ = running.write_all(child.id().to_string().as_bytes());
        }
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(error) => return Err(MoveError::new(format!("{program} cannot be waited for: {error}"))),
            }
            if let Err(error) = limit.pause(EVERY) {
                kill(&mut child);
                return Err(error);
            }
            cut(output.as_ref(), begins);
        };
        cut(output.as_ref(), begins);
        if status.success() {
            return Ok(());
        }
        let ended =
            status.code().map_or_else(|| "was killed".to_owned(), |code| format!("ended with exit code {code}"));
        let said = self.said(begins).map(|said| format!(": {said}")).unwrap_or_default();
        Err(MoveError::new(format!("{program} {ended}{said}")))
    }

    /// Waits for a command that a killed controller left running.
    ///
    /// # Errors
    ///
    /// One that does not end in time.
    pub(crate) fn settle(&self, limit: &Limit) -> Result<(), MoveError> {
        match self.input(limit.left()?) {
            Some((_, false)) => Err(MoveError::new("the command of the controller before this one still runs")),
            _ => Ok(()),
        }
    }

    /// The standard input of a command, which reads nothing from it: a file with the number of the command's group, if it
    /// moves traffic. Its lock is held until the command and all that it started have closed it, also if this process is
    /// killed. `false` if another command held it for all of this time.
    fn input(&self, patience: Duration) -> Option<(File, bool)> {
        let path = self.log.with_file_name("running");
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        careful(&mut options, 0o600);
        let file = options.open(path).ok()?;
        let is_free = lock_within(&file, patience).ok()?;
        Some((file, is_free))
    }

    /// Runs a `verify` until it succeeds or the time is over.
    pub(crate) fn verify(&self, argv: &[String], environment: &Environment, limit: &Limit) -> Result<(), MoveError> {
        let mut before = None;
        loop {
            let Err(last) = self.run(argv, environment, limit) else { return Ok(()) };
            if last.is_final() {
                return Err(last);
            }
            if limit.pause(VERIFY_EVERY).is_err() {
                // The last one may have been cut off: the one before it has said why.
                let said = before.unwrap_or(last);
                return Err(MoveError::new(format!("its verify does not succeed: {said}")));
            }
            before = Some(last);
        }
    }

    fn output(&self) -> Option<File> {
        let file = appending(&self.log).ok()?;
        file.metadata().is_ok_and(|metadata| metadata.len() < LOG_MAX).then_some(file)
    }

    /// The last line that the command printed, without what looks like a secret.
    fn said(&self, begins: u64) -> Option<String> {
        let mut file = File::open(&self.log).ok()?;
        let from = begins.max(file.metadata().ok()?.len().saturating_sub(TAIL));
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        // nginx gives the place of the error, and then says that there is one.
        let last = text.lines().rfind(|line| line.contains(" [emerg] "));
        let last = last.or_else(|| text.lines().rfind(|line| !line.trim().is_empty()))?;
        // A part of a line may be a part of a secret, which looks like nothing.
        let is_whole = from == begins || text.trim_end().contains('\n');
        let said = if is_whole { clean(last) } else { format!("a line of more than {TAIL} bytes") };
        Some(said.chars().filter(|char| !char.is_control()).take(QUOTED).collect())
    }
}

/// Cuts the log where a command that began here printed too much: one may fill a disk in seconds.
fn cut(log: Option<&File>, begins: u64) {
    let most = begins.saturating_add(OUTPUT_MAX);
    let Some(log) = log.filter(|log| log.metadata().is_ok_and(|metadata| metadata.len() > most)) else { return };
    let _ = log.set_len(most);
}

/// Kills a command and everything that it started in its group.
fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Kills the group of the command that holds this file, as its number in the file says: only if the command itself still
/// has the file open, as a number is used again. Without `/proc`, nothing is killed.
fn end_orphan(file: &File) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;
        let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let mut text = String::new();
        let is_read = file.take(DIGITS).read_to_string(&mut text).is_ok();
        let Some(number) = text.trim().parse::<i32>().ok().filter(|number| is_read && *number > 1) else { return };
        let of_number = std::fs::metadata(format!("/proc/{number}/fd/0")).map(place);
        let is_holder = of_number.is_ok_and(|found| file.metadata().map(place).is_ok_and(|ours| ours == found));
        if let Some(group) = rustix::process::Pid::from_raw(number).filter(|_| is_holder) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = lock_within(file, ENDING);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Moves traffic by a command.
pub(super) struct Commanded {
    traffic: Traffic,
    command: Command,
    probe: Option<Probe>,
}

impl Commanded {
    pub(super) fn new(traffic: Traffic, command: Command) -> Self {
        let probe = Probe::of(&traffic);
        Self { traffic, command, probe }
    }
}

impl Actuator for Commanded {
    fn set(&mut self, weight: u32, _: bool, cancel: &Cancel) -> Result<(), MoveError> {
        let limit = Limit::new(self.traffic.timeout, cancel);
        let environment = Environment { weight, ..Environment::default() };
        self.command.run(&self.traffic.argv, &environment, &limit)?;
        if let Some(verify) = &self.traffic.verify {
            self.command.verify(verify, &environment, &limit)?;
        }
        self.probe.as_ref().map_or(Ok(()), |probe| probe.confirm(weight, &limit))
    }

    fn read(&mut self, weight: u32, cancel: &Cancel) -> Reading {
        let limit = Limit::new(self.traffic.timeout, cancel);
        let Some(verify) = &self.traffic.verify else { return compare(self.probe.as_ref(), weight, &limit) };
        let environment = Environment { weight, ..Environment::default() };
        match self.command.run(verify, &environment, &limit) {
            Ok(()) => Reading::Same,
            // A `verify` that was killed has shown nothing.
            Err(error) if error.is_final() || limit.left().is_err() => Reading::Unknown { why: error.to_string() },
            Err(error) => Reading::Differs { why: error.to_string() },
        }
    }
}
