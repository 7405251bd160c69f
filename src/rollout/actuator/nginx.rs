//! nginx: a file of servers that an `upstream` includes, and a reload.

use super::command::{Command, Environment};
use super::contract::Actuator;
use super::limit::{Cancel, Limit, MoveError};
use super::probe::{Probe, compare};
use super::shares::weights;
use crate::fs::{Access, replace_with};
use crate::rollback::plan::Traffic;
use crate::rollout::stages::Reading;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// Readings between two that count requests: the file is looked at each time.
const COUNT_EVERY: u32 = 15;

pub(super) struct Nginx {
    traffic: Traffic,
    command: Command,
    probe: Option<Probe>,
    readings: u32,
}

impl Nginx {
    pub(super) fn new(traffic: Traffic, command: Command) -> Self {
        let probe = Probe::of(&traffic);
        Self { traffic, command, probe, readings: 0 }
    }

    fn write(&self, text: &str) -> Result<(), MoveError> {
        let path = Path::new(&self.traffic.file);
        let like = path.metadata().ok();
        let access = like.as_ref().map_or(Access::Directory, |like| Access::Like(like, None));
        replace_with(path, |file| file.write_all(text.as_bytes()), access)
            .map_err(|failure| MoveError::new(failure.to_string()))
    }
}

/// The servers with their weights. nginx has no weight 0: such a server is `down`.
fn text(traffic: &Traffic, weight: u32) -> String {
    let (of_canary, of_stable) = weights(weight, traffic.canary.len(), traffic.stable.len());
    let mut text = format!("# {weight} % for the release; written by backstop\n");
    let all = traffic.canary.iter().zip(of_canary).chain(traffic.stable.iter().zip(of_stable));
    for (server, weight) in all {
        let _ = match weight {
            0 => writeln!(text, "server {server} down;"),
            weight => writeln!(text, "server {server} weight={weight};"),
        };
    }
    text
}

impl Actuator for Nginx {
    fn set(&mut self, weight: u32, _: bool, cancel: &Cancel) -> Result<(), MoveError> {
        let limit = Limit::new(self.traffic.timeout, cancel);
        let before = fs::read_to_string(&self.traffic.file).ok();
        self.write(&text(&self.traffic, weight))?;
        let environment = Environment { weight, ..Environment::default() };
        if let Err(error) = self.command.run(&self.traffic.check, &environment, &limit) {
            // Another program's reload must not find it.
            if let Some(before) = before {
                self.write(&before)?;
            }
            return Err(MoveError::new(format!("nginx does not accept its configuration: {error}")));
        }
        self.command.run(&self.traffic.reload, &environment, &limit)?;
        self.probe.as_ref().map_or(Ok(()), |probe| probe.confirm(weight, &limit))
    }

    /// A file that is as it was written does not say what runs: requests do.
    fn read(&mut self, weight: u32, cancel: &Cancel) -> Reading {
        match fs::read_to_string(&self.traffic.file) {
            Ok(found) if found == text(&self.traffic, weight) => {
                self.readings += 1;
                let probe = self.probe.as_ref().filter(|_| self.readings % COUNT_EVERY == 1);
                compare(probe, weight, &Limit::new(self.traffic.timeout, cancel))
            }
            Ok(_) => Reading::Differs { why: format!("{} was changed", self.traffic.file) },
            Err(error) => Reading::Unknown { why: format!("{}: {error}", self.traffic.file) },
        }
    }
}
