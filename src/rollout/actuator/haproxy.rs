//! `HAProxy`: weights of running servers, set and read through the runtime socket.

use super::contract::Actuator;
use super::limit::{Cancel, Limit, MoveError};
use super::shares::{is_near, share, weights};
use super::socket::ask;
use crate::rollback::plan::{Cut, Traffic};
use crate::rollout::stages::Reading;

/// Bits of `srv_admin_state`: maintenance by a person, a tracked server, the file or a name that does not resolve.
const MAINT: u32 = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;
const DRAIN: u32 = 0x08 | 0x10;

/// A server of the backend, as it runs.
#[derive(Clone, Debug, PartialEq)]
struct Server {
    name: String,
    weight: u32,
    admin: u32,
}

impl Server {
    fn is_in_maintenance(&self) -> bool {
        self.admin & MAINT != 0
    }

    /// The weight that counts: none in maintenance or while it drains.
    fn effective(&self) -> u32 {
        if self.admin & (MAINT | DRAIN) == 0 { self.weight } else { 0 }
    }
}

pub(super) struct Haproxy {
    traffic: Traffic,
}

impl Haproxy {
    pub(super) fn new(traffic: Traffic) -> Self {
        Self { traffic }
    }

    /// The plan's servers as they run: the canary's and the stable ones.
    fn servers(&self, limit: &Limit) -> Result<(Vec<Server>, Vec<Server>), MoveError> {
        let Traffic { socket, backend, canary, stable, .. } = &self.traffic;
        let answer = ask(socket, &format!("show servers state {backend}"), limit)?;
        let all = parse(&answer).ok_or_else(|| {
            let said = answer.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
            MoveError::refused(format!("HAProxy does not show the servers of backend {backend}: {}", plain(said)))
        })?;
        let pick = |names: &[String]| {
            let one = |name: &String| {
                all.iter().find(|server| server.name == *name).cloned().ok_or_else(|| {
                    let names: Vec<_> = all.iter().map(|server| &*server.name).collect();
                    MoveError::refused(format!("backend {backend} has no server {name}, only {}", names.join(", ")))
                })
            };
            names.iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        Ok((pick(canary)?, pick(stable)?))
    }

    fn command(&self, command: &str, limit: &Limit) -> Result<(), MoveError> {
        let answer = ask(&self.traffic.socket, command, limit)?;
        let said = answer.trim();
        if said.is_empty() {
            return Ok(());
        }
        let backend = &self.traffic.backend;
        if said.contains("static LB algorithm") {
            return Err(MoveError::refused(format!(
                "backend {backend} balances with a static algorithm, which takes only 0 % and 100 %: set `balance roundrobin` or \
                 `balance leastconn`, or add `hash-type consistent`"
            )));
        }
        if said.contains("ermission denied") {
            return Err(MoveError::refused(
                "HAProxy denies it: the socket needs `level admin` in HAProxy's configuration",
            ));
        }
        Err(MoveError::refused(format!("HAProxy refused `{command}`: {}", plain(said))))
    }

    fn set_weight(&self, server: &Server, weight: u32, limit: &Limit) -> Result<(), MoveError> {
        if server.weight == weight {
            return Ok(());
        }
        self.command(&format!("set weight {}/{} {weight}", self.traffic.backend, server.name), limit)
    }

    fn set_state(&self, server: &Server, state: &str, limit: &Limit) -> Result<(), MoveError> {
        self.command(&format!("set server {}/{} state {state}", self.traffic.backend, server.name), limit)
    }

    /// The difference between the running weights and a share; `None` if there is none.
    fn difference(&self, canary: &[Server], stable: &[Server], asked: u32) -> Option<String> {
        let backend = &self.traffic.backend;
        if asked > 0
            && let Some(server) = canary.iter().find(|server| server.is_in_maintenance())
        {
            return Some(format!("{backend}/{} is in maintenance", server.name));
        }
        let effective = |servers: &[Server]| servers.iter().map(Server::effective).collect::<Vec<_>>();
        match share(effective(canary), effective(stable)) {
            None => Some(format!("no server of backend {backend} has a weight: there is no traffic at all")),
            Some(found) if is_near(found, asked) => None,
            Some(found) => {
                let part = |server: &Server| format!("{}={}", server.name, server.effective());
                let parts: Vec<_> = canary.iter().chain(stable).take(8).map(part).collect();
                Some(format!("the canary has {found:.1} % instead of {asked} % ({})", parts.join(" ")))
            }
        }
    }
}

impl Actuator for Haproxy {
    fn set(&mut self, weight: u32, is_cut: bool, cancel: &Cancel) -> Result<(), MoveError> {
        let limit = Limit::new(self.traffic.timeout, cancel);
        let (canary, stable) = self.servers(&limit)?;
        let backend = &self.traffic.backend;
        if let Some(server) = canary.iter().find(|server| weight > 0 && server.is_in_maintenance()) {
            return Err(MoveError::refused(format!(
                "{backend}/{} is in maintenance: `set server {backend}/{} state ready` when it may have traffic",
                server.name, server.name
            )));
        }
        let usable: Vec<_> = stable.iter().filter(|server| server.admin & (MAINT | DRAIN) == 0).collect();
        if weight < 100 && usable.is_empty() {
            return Err(MoveError::refused(format!(
                "each stable server of backend {backend} is in maintenance or drains"
            )));
        }
        let (of_canary, of_stable) = weights(weight, canary.len(), usable.len().max(1));
        let canary_weights = canary.iter().zip(of_canary);
        let stable_weights = usable.iter().copied().zip(of_stable);
        // Raised before others are lowered: at no moment is the whole backend without a weight.
        let (up, down): (Vec<_>, Vec<_>) =
            canary_weights.chain(stable_weights).partition(|(server, weight)| *weight >= server.weight);
        for (server, weight) in up.into_iter().chain(down) {
            self.set_weight(server, weight, &limit)?;
        }
        for server in &canary {
            match self.traffic.cut {
                Cut::Drain if is_cut => self.set_state(server, "drain", &limit)?,
                Cut::Maint if is_cut => self.set_state(server, "maint", &limit)?,
                // A drain is of a rollback before: maintenance is left to the person who set it.
                _ if weight > 0 && server.admin & DRAIN != 0 => self.set_state(server, "ready", &limit)?,
                _ => {}
            }
        }
        let (canary, stable) = self.servers(&limit)?;
        match self.difference(&canary, &stable, weight) {
            None => Ok(()),
            Some(why) => Err(MoveError::new(format!("it took hold in part: {why}"))),
        }
    }

    fn read(&mut self, weight: u32, cancel: &Cancel) -> Reading {
        let limit = Limit::new(self.traffic.timeout, cancel);
        match self.servers(&limit) {
            Err(error) => Reading::Unknown { why: error.to_string() },
            Ok((canary, stable)) => match self.difference(&canary, &stable, weight) {
                None => Reading::Same,
                Some(why) => Reading::Differs { why },
            },
        }
    }
}

/// The servers in the answer to `show servers state`; `None` if it is something else.
fn parse(answer: &str) -> Option<Vec<Server>> {
    let mut lines = answer.lines().skip_while(|line| !line.starts_with("# "));
    let names: Vec<_> = lines.next()?.trim_start_matches("# ").split_whitespace().collect();
    let column = |name| names.iter().position(|other| *other == name);
    let (name, admin, weight) = (column("srv_name")?, column("srv_admin_state")?, column("srv_uweight")?);
    let server = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        Some(Server { name: (*fields.get(name)?).to_owned(), admin: number(admin)?, weight: number(weight)? })
    };
    lines.map(str::trim).filter(|line| !line.is_empty()).map(server).collect()
}

/// Text of another program, in a line of ours.
fn plain(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_their_names() {
        let answer = "1\n# be_id be_name srv_id srv_name srv_op_state srv_admin_state srv_uweight\n3 web 1 s1 2 0 100\n3 web 2 c1 0 1 5\n\n";
        let servers = parse(answer).unwrap();
        assert_eq!(servers[1], Server { name: "c1".into(), weight: 5, admin: 1 });
        assert_eq!((servers[0].effective(), servers[1].effective()), (100, 0));
        for other in ["", "Can't find backend.\n", "1\n# be_id srv_name\n", &answer.replace("100", "x")] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
