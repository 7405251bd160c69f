//! `HAProxy`: weights of running servers, set and read through the runtime socket.

use super::backend::{Balancing, Server, servers};
use super::contract::Actuator;
use super::limit::{Cancel, Limit, MoveError};
use super::shares::{is_near, share, weights};
use super::socket::ask;
use crate::rollback::plan::{Cut, Traffic};
use crate::rollout::stages::Reading;

/// Failures that one error names.
const NAMED: usize = 3;

/// A weight that a server has to get.
struct Change<'a> {
    server: &'a Server,
    weight: u32,
    is_canary: bool,
}

impl Change<'_> {
    fn is_raise(&self) -> bool {
        self.weight >= self.server.weight
    }
}

/// The changes of both sides. A server that is down gets a weight as the others of its side, and counts for none of it.
fn changes<'a>(asked: u32, canary: &[&'a Server], stable: &[&'a Server]) -> Vec<Change<'a>> {
    let up = |servers: &[&Server]| match servers.iter().filter(|server| !server.is_down()).count() {
        0 => servers.len().max(1),
        up => up,
    };
    let (of_canary, of_stable) = weights(asked, up(canary), up(stable));
    let side = |servers: &[&'a Server], weights: Vec<u32>, is_canary: bool| {
        let is_any_up = servers.iter().any(|server| !server.is_down());
        let least = weights.last().copied().unwrap_or(0);
        let mut weights = weights.into_iter();
        let change = |server: &&'a Server| {
            let counts = !(is_any_up && server.is_down());
            let weight = if counts { weights.next().unwrap_or(least) } else { least };
            Change { server, weight, is_canary }
        };
        servers.iter().map(change).collect::<Vec<_>>()
    };
    let mut all = side(canary, of_canary, true);
    all.extend(side(stable, of_stable, false));
    all
}

/// The plan's servers, and why their weights are no shares of the traffic.
struct Sides {
    canary: Vec<Server>,
    stable: Vec<Server>,
    obstacle: Option<String>,
}

pub(super) struct Haproxy {
    traffic: Traffic,
}

impl Haproxy {
    pub(super) fn new(traffic: Traffic) -> Self {
        Self { traffic }
    }

    /// The plan's servers as they run. For a share of 0, servers that are missing are left out as long as one of their side
    /// is there, and a cut needs no stable one.
    fn servers(&self, asked: u32, is_cut: bool, limit: &Limit) -> Result<Sides, MoveError> {
        let Traffic { socket, backend, canary, stable, .. } = &self.traffic;
        let answer = ask(socket, &format!("show servers state {backend}"), limit)?;
        if !answer.ends_with("\n\n") {
            return Err(MoveError::new(format!("the runtime socket {socket} ended in the middle of its answer")));
        }
        let all = servers(&answer).ok_or_else(|| {
            let said = answer.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
            MoveError::refused(format!("HAProxy does not show the servers of backend {backend}: {}", plain(said)))
        })?;
        let pick = |names: &[String], may_be_none: bool| {
            let find = |name: &&String| all.iter().find(|server| server.name == **name);
            let found: Vec<_> = names.iter().filter_map(|name| find(&name).cloned()).collect();
            let may_miss = asked == 0 && (may_be_none || !found.is_empty());
            match names.iter().find(|name| find(name).is_none()).filter(|_| !may_miss) {
                None => Ok(found),
                Some(name) => {
                    let names: Vec<_> = all.iter().map(|server| &*server.name).collect();
                    let names = names.join(", ");
                    Err(MoveError::refused(format!("backend {backend} has no server {name}, only {names}")))
                }
            }
        };
        let (canary, stable) = (pick(canary, false)?, pick(stable, is_cut)?);
        // A share of 0 needs no more questions: without a weight, a server has no traffic.
        let answer = if asked == 0 { String::new() } else { ask(socket, &format!("show stat {backend} 6 -1"), limit)? };
        let obstacle = Balancing::of(&answer).obstacle(&self.traffic, &all, asked);
        Ok(Sides { canary, stable, obstacle })
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
    fn difference(&self, Sides { canary, stable, obstacle }: &Sides, asked: u32) -> Option<String> {
        let backend = &self.traffic.backend;
        if obstacle.is_some() {
            return obstacle.clone();
        }
        if asked > 0
            && let Some(server) = canary.iter().find(|server| server.is_in_maintenance())
        {
            return Some(format!("{backend}/{} is in maintenance", server.name));
        }
        // At 0 %, a canary that is down would have traffic as soon as it is up.
        let of_canary = |server: &Server| if asked == 0 { server.when_up() } else { server.effective() };
        // A server of several that fails its health check comes back by itself: its weight was not changed.
        let configured = share(canary.iter().map(Server::when_up), stable.iter().map(Server::when_up));
        let is_any_up = |side: &[Server]| side.iter().any(|server| !server.is_down());
        if is_any_up(canary) && is_any_up(stable) && configured.is_some_and(|found| is_near(found, asked)) {
            return None;
        }
        match share(canary.iter().map(of_canary), stable.iter().map(Server::effective)) {
            None => Some(format!("no server of backend {backend} has a weight: there is no traffic at all")),
            Some(found) if is_near(found, asked) => None,
            Some(found) => {
                let part = |(server, weight): (&Server, u32)| {
                    format!("{}={weight}{}", server.name, if server.is_down() { " down" } else { "" })
                };
                let canary = canary.iter().map(|server| (server, of_canary(server)));
                let stable = stable.iter().map(|server| (server, server.effective()));
                let parts: Vec<_> = canary.chain(stable).take(8).map(part).collect();
                Some(format!("the canary has {found:.1} % instead of {asked} % ({})", parts.join(" ")))
            }
        }
    }

    /// Sets weights: raised before others are lowered, so that at no moment the whole backend is without one. After a
    /// failure the canary gets no more, and still gets less where a stable server has a weight, or at a cut.
    fn apply(&self, mut changes: Vec<Change<'_>>, is_cut: bool, limit: &Limit) -> (usize, Vec<MoveError>) {
        changes.sort_by_key(|change| (!change.is_raise(), change.is_raise() == change.is_canary));
        let has_weight = |server: &Server| server.when_up() > 0;
        let mut is_stable_weighted = changes.iter().any(|change| !change.is_canary && has_weight(change.server));
        let (mut done, mut failures) = (0, Vec::<MoveError>::new());
        for Change { server, weight, is_canary } in changes {
            let is_raise = weight >= server.weight;
            let is_for_canary = is_raise == is_canary && weight != server.weight;
            let is_silent = failures.last().is_some_and(|error| !error.is_final());
            if !failures.is_empty() && (is_for_canary || is_silent && is_raise) {
                continue;
            }
            if is_canary && !is_raise && !(is_stable_weighted || weight > 0 || is_cut) {
                continue;
            }
            match self.set_weight(server, weight, limit) {
                Ok(()) => {
                    done += usize::from(weight != server.weight);
                    is_stable_weighted |= !is_canary && weight > 0;
                }
                Err(error) => failures.push(error),
            }
        }
        (done, failures)
    }
}

impl Actuator for Haproxy {
    fn set(&mut self, weight: u32, is_cut: bool, cancel: &Cancel) -> Result<(), MoveError> {
        let limit = Limit::new(self.traffic.timeout, cancel);
        let is_off = is_cut && weight == 0;
        let Sides { canary, stable, obstacle } = self.servers(weight, is_cut, &limit)?;
        if let Some(why) = obstacle {
            return Err(MoveError::refused(why));
        }
        let backend = &self.traffic.backend;
        if let Some(server) = canary.iter().find(|server| weight > 0 && server.is_in_maintenance()) {
            return Err(MoveError::refused(format!(
                "{backend}/{} is in maintenance: `set server {backend}/{} state ready` when it may have traffic",
                server.name, server.name
            )));
        }
        if weight > 0 && canary.iter().all(Server::is_down) {
            return Err(MoveError::new(format!("each canary server of backend {backend} is down")));
        }
        let usable: Vec<_> = stable.iter().filter(|server| !server.is_in_maintenance() && !server.drains()).collect();
        if weight < 100 && usable.is_empty() && !is_off {
            return Err(MoveError::refused(format!(
                "each stable server of backend {backend} is in maintenance or drains"
            )));
        }
        let all = changes(weight, &canary.iter().collect::<Vec<_>>(), &usable);
        let (mut done, mut failures) = self.apply(all, is_off, &limit);
        for server in &canary {
            let state = match self.traffic.cut {
                Cut::Drain if is_cut => "drain",
                Cut::Maint if is_cut => "maint",
                // A drain is of a rollback before: maintenance is left to the person who set it.
                _ if weight > 0 && server.drains() && failures.is_empty() => "ready",
                _ => continue,
            };
            match self.set_state(server, state, &limit) {
                Ok(()) => done += 1,
                Err(error) => failures.push(error),
            }
        }
        if done == 0 && !failures.is_empty() {
            return Err(failures.swap_remove(0));
        }
        let sides = self.servers(weight, is_cut, &limit)?;
        let is_done = is_off && sides.canary.iter().all(|server| server.when_up() == 0);
        let difference = if is_done { None } else { self.difference(&sides, weight) };
        let failures = failures.iter().take(NAMED).map(ToString::to_string);
        let parts: Vec<_> = difference.into_iter().chain(failures).collect();
        if parts.is_empty() {
            return Ok(());
        }
        Err(MoveError::new(format!("it took hold in part: {}", parts.join("; "))))
    }

    fn read(&mut self, weight: u32, cancel: &Cancel) -> Reading {
        let limit = Limit::new(self.traffic.timeout, cancel);
        match self.servers(weight, false, &limit) {
            Err(error) => Reading::Unknown { why: error.to_string() },
            Ok(sides) => match self.difference(&sides, weight) {
                None => Reading::Same,
                Some(why) => Reading::Differs { why },
            },
        }
    }
}

/// Text of another program, in a line of ours.
fn plain(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(200).collect()
}
