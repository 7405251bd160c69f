//! A kill switch during an incident: engaged for one tenant, for 10 % of the users, for all, and released.
//!
//! `cargo run --example kill_switch`
//!
//! An axum server on loopback, the document in a file, the audit beside it. The example exits with 1 if a step does not
//! give the expected answers.

use axum::extract::{OriginalUri, Request};
use axum::{Router, response::IntoResponse, routing::get};
use backstop::BoxError;
use backstop::clock::Timestamp;
use backstop::kill_switch::audit::{AuditLog, verify};
use backstop::kill_switch::drill::{Drill, Instance};
use backstop::kill_switch::store::FileStore;
use backstop::kill_switch::{
    Author, Change, Definition, Engage, KillSwitches, OnUnknown, Scope, Severity, SwitchId, Target,
};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const USERS: usize = 200;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let directory = tempfile::tempdir()?;
    let (document, audit) = (directory.path().join("switches.json"), directory.path().join("audit.jsonl"));

    // ---- the program: a risky route, and its fallback while the switch is engaged
    let switches =
        KillSwitches::builder("shop").store(FileStore::new(&document)?).audit(AuditLog::new(&audit)).build()?;
    let recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
    let gate = recommendations
        .layer()
        .target(|request: &Request| {
            let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
            let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |OriginalUri(uri)| uri);
            Target::new().route(uri.path()).tenant(header("tenant")).key(header("user"))
        })
        .fallback(|_: Request, _| Ok("bestsellers".into_response()));
    let app = Router::new().route("/recommendations", get(async || "made for you").layer(gate));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let shop = Shop::new(format!("http://{}/recommendations", listener.local_addr()?));
    tokio::spawn(async { axum::serve(listener, app).await });

    // ---- the operator: usually another program, on the same file
    let id = SwitchId::new("recommendations")?;
    let next_year = Timestamp::now() + Duration::from_secs(365 * 86_400);
    let definition = Definition::new("team-recs", "the recommendations on every page", next_year, OnUnknown::Allow);
    let definition = definition.with_severity(Severity::Low);
    let engage = |scope| Change::Engage(Engage::new(id.clone(), scope).replace().incident("INC-1204"));
    let change = async |change: Change, by: &str, reason: &str| {
        let (switches, by) = (switches.clone(), Author::person(by, Timestamp::now()).because(reason));
        // Stores block, so changes run on a blocking thread.
        tokio::task::spawn_blocking(move || switches.change(&change, &by)).await?.map_err(BoxError::from)
    };

    println!("{:34} acme   globex", "");
    change(Change::Define { switch: id.clone(), definition }, "mira", "recommendations go live").await?;
    shop.expect("before the incident", 0, 0).await?;

    let for_acme = change(engage(Scope::new().tenant("acme")), "mira", "acme sees wrong prices").await?;
    shop.expect("engaged for one tenant", 100, 0).await?;

    change(engage(Scope::new().percent(10.0)), "jonas", "not only acme: shed some load").await?;
    let some = shop.expect("engaged for 10 % of the users", 10, 10).await?;

    change(engage(Scope::all()), "jonas", "the model serves garbage").await?;
    shop.expect("engaged for all", 100, 100).await?;

    change(Change::Release { switch: id.clone() }, "mira", "the old model is back").await?;
    shop.expect("released", 0, 0).await?;

    let generation = for_acme.generation();
    let (names, over) = ([id.clone()].into(), ["jonas".to_owned()].into());
    let revert = Change::RevertSwitches { generation, switches: names, settings: false, over };
    change(revert, "mira", "acme still has the new model").await?;
    shop.expect(&format!("back to generation {generation}"), 100, 0).await?;

    change(Change::Release { switch: id.clone() }, "mira", "acme has the old model again").await?;
    change(engage(Scope::new().percent(10.0)), "jonas", "the same 10 % again?").await?;
    ensure(some == shop.expect("10 % again: the same users", 10, 10).await?, "different users are inside 10 %")?;
    change(Change::Release { switch: id.clone() }, "mira", "incident closed").await?;

    // ---- afterwards: a drill, to check that the switch still works
    let probed = recommendations.clone();
    let control = switches.clone();
    let drill = Drill::new(id, Scope::new().tenant("drill"));
    let report = tokio::task::spawn_blocking(move || {
        let by = Author::person("mira", Timestamp::now()).because("the drill after the incident");
        let is_off = || Some(probed.check(&Target::new().tenant("drill")).is_err());
        let editor = control.editor().expect("there is a store");
        drill.run(editor, &[Instance::of(&probed).verified(is_off)], &by)
    });
    let report = report.await??;
    println!("\ndrill, off:   {}\n       again: {}", report.disable.sentence, report.restore.sentence);
    ensure(report.is_pass(), "the drill failed")?;

    println!("\nthe audit trail:");
    for line in std::fs::read_to_string(&audit)?.lines() {
        let entry: serde_json::Value = serde_json::from_str(line)?;
        let word = |field: &str| entry[field].as_str().unwrap_or("");
        let scope = if entry["scope_after"].is_null() { String::new() } else { entry["scope_after"].to_string() };
        println!("  {:>4} {:6} {:8} {:40} {scope}", entry["generation"], word("by"), word("what"), word("reason"));
    }
    let verified = verify(&std::fs::read(&audit)?)?;
    // The first change of an empty store makes two generations: the empty document, and the change.
    ensure(verified.entries + 1 == switches.status().generation, "an entry is missing")?;
    println!(
        "\n{} entries, the hash chain is intact; {} requests were degraded",
        verified.entries,
        recommendations.blocked()
    );
    Ok(())
}

/// Client of the shop, as all its users.
struct Shop {
    url: String,
    client: reqwest::Client,
}

impl Shop {
    fn new(url: String) -> Self {
        Self { url, client: reqwest::Client::new() }
    }

    /// Prints how many users of each tenant get the degraded answer, checks it against the expected percentages, and
    /// returns those of globex.
    async fn expect(&self, what: &str, acme: usize, globex: usize) -> Result<Vec<usize>, BoxError> {
        let started = Instant::now();
        let (of_acme, of_globex) = (self.degraded("acme").await?, self.degraded("globex").await?);
        let percent = |users: &[usize]| 100 * users.len() / USERS;
        let shown = |users: &[usize]| match percent(users) {
            0 => "fresh ".to_owned(),
            100 => "off   ".to_owned(),
            some => format!("{some:>2} %  "),
        };
        let requests = 2 * USERS;
        println!(
            "{what:34} {} {} {requests} requests in {:.0?}",
            shown(&of_acme),
            shown(&of_globex),
            started.elapsed()
        );
        // With so few users a share is approximate; none and all are exact.
        let is_near = |users, expected| match expected {
            0 | 100 => percent(users) == expected,
            _ => percent(users).abs_diff(expected) <= 6,
        };
        ensure(is_near(&of_acme, acme) && is_near(&of_globex, globex), what)?;
        Ok(of_globex)
    }

    async fn degraded(&self, tenant: &str) -> Result<Vec<usize>, BoxError> {
        let mut users = Vec::new();
        for user in 0..USERS {
            let request = self.client.get(&self.url).header("tenant", tenant).header("user", format!("user-{user}"));
            match request.send().await?.error_for_status()?.text().await?.as_str() {
                "bestsellers" => users.push(user),
                "made for you" => {}
                other => return Err(format!("unexpected answer: {other}").into()),
            }
        }
        Ok(users)
    }
}

fn ensure(is_so: bool, what: &str) -> Result<(), BoxError> {
    if is_so { Ok(()) } else { Err(format!("unexpected result: {what}").into()) }
}
