//! Programs outside of a plan: the mover of the traffic, and receivers of alerts.

use super::model::{Alert, AlertKind, Cut, Level, Traffic, TrafficKind};
use crate::rollback::fields::Fields;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn traffic(fields: &mut Fields<'_>) -> Option<Traffic> {
    let kind = fields.kind(&[TrafficKind::Haproxy, TrafficKind::Nginx, TrafficKind::Command, TrafficKind::Webhook]);
    match kind {
        Some(TrafficKind::Command) => {
            fields.need("argv", "the command that sets a weight");
        }
        Some(TrafficKind::Webhook) => {
            fields.need("url", "the endpoint that sets a weight");
        }
        Some(TrafficKind::Haproxy) => {
            fields.need("socket", "the runtime socket: a path, or an address such as \"127.0.0.1:9999\"");
            fields.need("backend", "the backend with the servers of both versions");
        }
        Some(TrafficKind::Nginx) => {
            fields.need("file", "the file with the servers that nginx includes in an upstream");
        }
        None => {}
    }
    if let Some(TrafficKind::Haproxy | TrafficKind::Nginx) = kind {
        fields.need("canary", "the servers of the release");
        fields.need("stable", "the servers of the previous version");
    }
    let word = |fields: &mut Fields<'_>, name| {
        let text = fields.text(name).unwrap_or_default();
        if text.chars().any(|char| char.is_whitespace() || ";/#{}".contains(char)) {
            fields.wrong(name, &text, "a name without spaces, slashes and signs");
        }
        text
    };
    let backend = word(fields, "backend");
    let (canary, stable) = (servers(fields, "canary"), servers(fields, "stable"));
    if let Some(both) = canary.iter().find(|server| stable.contains(server)) {
        fields.wrong("stable", both, "no server that is among the canary's, too");
    }
    let probe = page(fields, "probe");
    if probe.is_some() {
        fields.need("probe_text", "the text that only the release's answers to probe have");
    }
    let (check, reload) = (fields.argv("check"), fields.argv("reload"));
    Some(Traffic {
        kind: kind?,
        argv: fields.argv("argv").unwrap_or_default(),
        verify: fields.argv("verify"),
        url: page(fields, "url"),
        socket: fields.text("socket").unwrap_or_default(),
        backend,
        canary,
        stable,
        cut: fields.choice("cut", &[Cut::Weight, Cut::Drain, Cut::Maint]).unwrap_or(Cut::Weight),
        file: fields.text("file").unwrap_or_default(),
        check: check.unwrap_or_else(|| ["nginx", "-t"].map(str::to_owned).to_vec()),
        reload: reload.unwrap_or_else(|| ["nginx", "-s", "reload"].map(str::to_owned).to_vec()),
        probe,
        probe_text: fields.text("probe_text").unwrap_or_default(),
        timeout: fields.duration("timeout").unwrap_or(TIMEOUT),
    })
}

/// Names for `HAProxy`, addresses for nginx: both go into a line of another program's language.
fn servers(fields: &mut Fields<'_>, name: &'static str) -> Vec<String> {
    let servers = fields.texts(name);
    if servers.as_ref().is_some_and(|servers| servers.is_empty() || servers.len() > 1_000) {
        fields.wrong(name, format!("{} servers", servers.as_ref().map_or(0, Vec::len)), "1 to 1,000 servers");
    }
    let servers = servers.unwrap_or_default();
    if let Some((_, twice)) = servers.iter().enumerate().find(|(at, server)| servers[..*at].contains(server)) {
        fields.wrong(name, twice, "each server once");
    }
    let is_word = |server: &String| server.chars().all(|char| char.is_alphanumeric() || "-_.:[]".contains(char));
    if let Some(other) = servers.iter().find(|server| !is_word(server)) {
        fields.wrong(name, other, "names or addresses of letters, digits and -_.:[]");
    }
    servers
}

fn page(fields: &mut Fields<'_>, name: &'static str) -> Option<String> {
    let url = fields.text(name)?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        fields.wrong(name, "another text", "a URL that begins with http:// or https://");
    }
    Some(url)
}

/// The values are secrets: no message repeats them.
pub(super) fn alert(fields: &mut Fields<'_>) -> Option<Alert> {
    let kind = fields.kind(&[AlertKind::Pagerduty, AlertKind::Slack, AlertKind::Generic]);
    fields.need("url", "the endpoint, or \"env:NAME\" for a variable that holds it");
    let url = fields.text("url").unwrap_or_default();
    if !["http://", "https://", "env:"].iter().any(|start| url.starts_with(start)) && !url.is_empty() {
        fields.wrong("url", "another text", "https://.., http://.. or env:NAME");
    }
    if kind == Some(AlertKind::Pagerduty) {
        fields.need("key", "the routing key, or \"env:NAME\" for a variable that holds it");
    }
    let level = fields.choice("level", &[Level::Info, Level::Notify, Level::Page]).unwrap_or(Level::Notify);
    Some(Alert { kind: kind?, url, key: fields.text("key"), level })
}
