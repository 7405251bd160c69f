//! A backend of `HAProxy` as it runs: its servers, and settings by which weights are not shares of the traffic.

use crate::rollback::plan::Traffic;

/// Bits of `srv_admin_state`: maintenance by a person, a tracked server, the file or a name that does not resolve.
const MAINT: u32 = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;
const DRAIN: u32 = 0x08 | 0x10;
/// `srv_op_state` of a server that failed its health check; without one it is 2, running.
const STOPPED: u32 = 0;
/// Algorithms that take any weight and know only none and some.
const WEIGHTLESS: [&str; 2] = ["first", "sticky"];
/// Servers that one error names.
const NAMED: usize = 8;

/// A server of the backend, as it runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) weight: u32,
    admin: u32,
    operation: u32,
}

impl Server {
    pub(super) fn is_in_maintenance(&self) -> bool {
        self.admin & MAINT != 0
    }

    pub(super) fn drains(&self) -> bool {
        self.admin & DRAIN != 0
    }

    pub(super) fn is_down(&self) -> bool {
        self.operation == STOPPED
    }

    /// The weight that counts as soon as the server is up: none in maintenance or while it drains.
    pub(super) fn when_up(&self) -> u32 {
        if self.is_in_maintenance() || self.drains() { 0 } else { self.weight }
    }

    /// The weight that counts now.
    pub(super) fn effective(&self) -> u32 {
        if self.is_down() { 0 } else { self.when_up() }
    }
}

/// The servers in the answer to `show servers state`; `None` if it is something else.
pub(super) fn servers(answer: &str) -> Option<Vec<Server>> {
    let mut lines = answer.lines().skip_while(|line| !line.starts_with("# "));
    let names: Vec<_> = lines.next()?.trim_start_matches("# ").split_whitespace().collect();
    let column = |name| names.iter().position(|other| *other == name);
    let (name, admin, weight) = (column("srv_name")?, column("srv_admin_state")?, column("srv_uweight")?);
    let operation = column("srv_op_state")?;
    let server = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse().ok();
        let name = (*fields.get(name)?).to_owned();
        Some(Server { name, weight: number(weight)?, admin: number(admin)?, operation: number(operation)? })
    };
    lines.map(str::trim).filter(|line| !line.is_empty()).map(server).collect()
}

/// The part of `show stat` that says how weights are used; empty where a version does not say it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Balancing {
    algorithm: String,
    backups: Vec<String>,
}

impl Balancing {
    pub(super) fn of(answer: &str) -> Self {
        let mut lines = answer.lines().skip_while(|line| !line.starts_with("# "));
        let names = fields(lines.next().unwrap_or_default().trim_start_matches("# "));
        let column = |name: &str| names.iter().position(|other| other == name);
        let (name, backup, algorithm) = (column("svname"), column("bck"), column("algo"));
        let mut balancing = Self::default();
        for line in lines {
            let fields = fields(line);
            let value = |at: Option<usize>| at.and_then(|at| fields.get(at)).map_or("", |field| field);
            match value(name) {
                "BACKEND" => value(algorithm).clone_into(&mut balancing.algorithm),
                server if value(backup) == "1" => balancing.backups.push(server.to_owned()),
                _ => {}
            }
        }
        balancing
    }

    fn is_backup(&self, server: &str) -> bool {
        self.backups.iter().any(|backup| backup == server)
    }

    /// Why this share cannot be set by weights, and what to change; `None` if it can. Without a weight the canary has no
    /// traffic, whatever else is set.
    pub(super) fn obstacle(&self, traffic: &Traffic, servers: &[Server], asked: u32) -> Option<String> {
        let Traffic { backend, canary, stable, .. } = traffic;
        let is_part = (1..100).contains(&asked);
        if asked == 0 {
            return None;
        }
        if is_part && WEIGHTLESS.contains(&&*self.algorithm) {
            return Some(format!(
                "backend {backend} balances with `{}`, which ignores weights and takes only 0 % and 100 %: set \
                 `balance roundrobin` or `balance leastconn`",
                self.algorithm
            ));
        }
        let named = canary.iter().chain(stable.iter().filter(|_| is_part));
        if let Some(server) = named.clone().find(|server| self.is_backup(server)) {
            return Some(format!(
                "{backend}/{server} is a backup server, whose weight does not count while another server is up: remove \
                 `backup` from its line in HAProxy's configuration"
            ));
        }
        let is_stranger = |server: &&Server| {
            let is_named = canary.contains(&server.name) || stable.contains(&server.name);
            !is_named && server.when_up() > 0 && !self.is_backup(&server.name)
        };
        let strangers: Vec<_> = servers.iter().filter(is_stranger).map(|server| &*server.name).take(NAMED).collect();
        (!strangers.is_empty()).then(|| {
            format!(
                "backend {backend} has servers with a weight that the plan does not name, and the canary's share would not be \
                 {asked} % ({}): add them to `canary` or `stable`, or take them out of the backend",
                strangers.join(", ")
            )
        })
    }
}

/// Fields of a line of comma-separated values; one with a comma in it is in quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut is_quoted) = (vec![String::new()], false);
    for char in line.chars() {
        match char {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            char => fields.last_mut().into_iter().for_each(|field| field.push(char)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollback::plan::Plan;

    const SERVERS: &str = "1\n# be_id be_name srv_id srv_name srv_op_state srv_admin_state srv_uweight\n3 web 1 s1 2 0 100\n3 web 2 c1 0 1 5\n\n";

    #[test]
    fn columns_are_found_by_their_names() {
        let found = servers(SERVERS).unwrap();
        assert_eq!(found[1], Server { name: "c1".into(), weight: 5, admin: 1, operation: 0 });
        assert_eq!((found[0].effective(), found[1].effective()), (100, 0));
        for other in ["", "Can't find backend.\n", "1\n# be_id srv_name\n", &SERVERS.replace("100", "x")] {
            assert_eq!(servers(other), None, "{other}");
        }
        let answer =
            "# pxname,svname,act,bck,last_chk,algo,\nweb,s1,0,1,\"a, b\",,\nweb,c1,1,0,,,\nweb,BACKEND,1,1,,first,\n\n";
        assert_eq!(Balancing::of(answer), Balancing { algorithm: "first".into(), backups: vec!["s1".into()] });
        for other in ["", "Unknown command\n", "# pxname,svname\nweb,BACKEND\n"] {
            assert_eq!(Balancing::of(other), Balancing::default(), "{other}");
        }
    }

    #[test]
    fn a_setting_by_which_weights_are_no_shares_is_named() {
        let plan = Plan::parse(include_str!("../../../tests/rollout/plan.toml")).unwrap();
        let of = |canary: &str, stable: &str| {
            let traffic = plan.traffic.clone().unwrap();
            Traffic { backend: "web".into(), canary: vec![canary.into()], stable: vec![stable.into()], ..traffic }
        };
        let servers = servers(&SERVERS.replace(" 0 1 5", " 2 0 5")).unwrap();
        let is = |algorithm: &str, backups: &[&str], stable: &str, asked| {
            let backups = backups.iter().map(|name| (*name).to_owned()).collect();
            let balancing = Balancing { algorithm: algorithm.into(), backups };
            balancing.obstacle(&of("c1", stable), &servers, asked).unwrap_or_default()
        };
        assert_eq!(is("roundrobin", &[], "s1", 5), "");
        assert!(is("first", &[], "s1", 5).contains("`first`"));
        assert!(is("", &["s1"], "s1", 99).contains("web/s1 is a backup"));
        assert!(is("", &["c1"], "s1", 100).contains("web/c1 is a backup"));
        assert!(is("", &[], "s2", 100).contains("(s1)"));
        for (algorithm, backups, stable, asked) in [
            ("first", [""; 1], "s1", 100),
            ("first", ["c1"], "s2", 0),
            ("", ["s1"], "s1", 100),
            ("", ["s1"], "s2", 100),
        ] {
            assert_eq!(is(algorithm, &backups, stable, asked), "", "{algorithm} {backups:?} {stable} {asked}");
        }
    }
}
