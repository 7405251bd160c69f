//! Addresses of an arm's instances.

use crate::config::{ConfigError, Problem};
use http::Uri;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::str::FromStr;

/// Most instances of an arm, and the largest file of them.
const TARGETS_MAX: usize = 2_000;
const FILE_MAX: u64 = 4 << 20;
const ALLOWED: &str =
    "addresses with commas, such as http://10.0.0.1:9090/metrics,10.0.0.2:9090; file:PATH; or dns:HOST:PORT";

/// Instances of an arm: a list, a file that is read again at each look, or a name that resolves to all of them.
///
/// | text | instances |
/// |---|---|
/// | `http://10.0.0.1:9090/metrics,10.0.0.2:9090` | these; without a path, `/metrics` |
/// | `file:canary.json` | those of a file of Prometheus's `file_sd`, with `__scheme__` and `__metrics_path__` of its labels, or of a text file with an address a line |
/// | `dns:canary.shop.svc:9090/metrics` | every address of the name, IPv4 alone where it has both: a headless service with `publishNotReadyAddresses`, since instances that are not listed are not seen to be not ready |
///
/// # Examples
///
/// ```
/// use backstop::rollout::source::Targets;
///
/// let canary: Targets = "10.0.0.7:9090,10.0.0.8:9090".parse()?;
/// # drop(canary);
/// assert!("ftp://10.0.0.7".parse::<Targets>().is_err());
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    List(BTreeSet<String>),
    File(PathBuf),
    Dns { name: String, path: String },
}

impl FromStr for Targets {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::of(Problem::new("targets", format!("\"{text}\""), ALLOWED));
        if let Some(path) = text.strip_prefix("file:") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Self(Kind::File(path.into()))) };
        }
        if let Some(rest) = text.strip_prefix("dns:") {
            let (name, path) = rest.split_once('/').map_or((rest, "metrics"), |(name, path)| (name, path));
            let is_name =
                name.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
            let kind = Kind::Dns { name: name.to_owned(), path: format!("/{path}") };
            return if is_name { Ok(Self(kind)) } else { Err(wrong()) };
        }
        let all: Option<BTreeSet<_>> =
            text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(|one| url(one, None, None)).collect();
        all.filter(|all| !all.is_empty()).map(|all| Self(Kind::List(all))).ok_or_else(wrong)
    }
}

impl Targets {
    /// URLs of the instances that are listed now. A name without addresses lists none: an arm that is scaled to 0. So does
    /// an unknown one, as resolvers do not agree on how to say it.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or has something else than targets; a resolver that does not answer; more than 2,000
    /// instances.
    pub(crate) fn list(&self) -> Result<BTreeSet<String>, String> {
        let all = match &self.0 {
            Kind::List(all) => return Ok(all.clone()),
            Kind::File(path) => {
                let shown = path.display();
                let is_small = std::fs::metadata(path).map(|data| data.len() <= FILE_MAX);
                let text = match is_small {
                    Ok(true) => std::fs::read_to_string(path),
                    Ok(false) => return Err(format!("{shown}: longer than 4 MiB")),
                    Err(error) => Err(error),
                };
                let text = text.map_err(|error| format!("{shown} cannot be read: {error}"))?;
                listed(&text).map_err(|error| format!("{shown}: {error}"))?
            }
            Kind::Dns { name, path } => match name.to_socket_addrs() {
                Ok(all) => one_family(all).map(|address| format!("http://{address}{path}")).collect(),
                Err(error) if is_no_address(&error.to_string()) => BTreeSet::new(),
                Err(error) => return Err(format!("{name} cannot be resolved: {error}")),
            },
        };
        if all.len() > TARGETS_MAX {
            return Err(format!(
                "{} instances are listed, at most {TARGETS_MAX} are scraped: use Prometheus",
                all.len()
            ));
        }
        Ok(all)
    }
}

/// An instance of a network with both has an address of each family, and counts once: by the older one, if there is any.
fn one_family(all: impl Iterator<Item = SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let all: Vec<_> = all.collect();
    let is_v4 = all.iter().any(SocketAddr::is_ipv4);
    all.into_iter().filter(move |address| address.is_ipv4() == is_v4)
}

/// Whether a resolver says that a name has no address, or does not exist. Its error has no code: these are the sentences
/// of glibc, musl, BSD and Windows.
fn is_no_address(error: &str) -> bool {
    const SENTENCES: [&str; 6] = [
        "Name or service not known",
        "No address associated with",
        "Name does not resolve",
        "Name has no usable address",
        "nodename nor servname provided",
        "No such host is known",
    ];
    SENTENCES.iter().any(|sentence| error.contains(sentence))
}

/// A group of targets, as in files of Prometheus.
#[derive(Deserialize)]
struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Targets of a file: JSON if it begins with a bracket, otherwise an address a line.
fn listed(text: &str) -> Result<BTreeSet<String>, String> {
    let bad = |target: &str| format!("\"{}\" is no address of an instance", target.escape_debug());
    if text.trim_start().starts_with('[') {
        let groups: Vec<Group> =
            serde_json::from_str(text).map_err(|error| format!("not a list of targets: {error}"))?;
        let all = groups.iter().flat_map(|group| {
            let label = |name: &str| group.labels.get(name).map(String::as_str);
            let (scheme, path) = (label("__scheme__"), label("__metrics_path__"));
            group.targets.iter().map(move |target| url(target, scheme, path).ok_or_else(|| bad(target)))
        });
        return all.collect();
    }
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(|line| url(line, None, None).ok_or_else(|| bad(line))).collect()
}

/// The URL of a target: a URL already, or host and port.
fn url(target: &str, scheme: Option<&str>, path: Option<&str>) -> Option<String> {
    let full =
        if target.contains("://") { target.to_owned() } else { format!("{}://{target}", scheme.unwrap_or("http")) };
    let uri: Uri = full.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let is_fine =
        matches!(scheme, "http" | "https") && !authority.host().is_empty() && !authority.as_str().contains('@');
    let path = match uri.path_and_query().map_or("/", |path| path.as_str()) {
        "/" => path.unwrap_or("/metrics"),
        path => path,
    };
    (is_fine && path.starts_with('/')).then(|| format!("{scheme}://{authority}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_files_and_names_become_urls() {
        let list = |text: &str| text.parse::<Targets>().unwrap().list().unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(
            list("http://a:1/m?x=y, b:2,https://c"),
            ["http://a:1/m?x=y", "http://b:2/metrics", "https://c/metrics"]
        );
        assert!(list("dns:localhost:9090").iter().any(|url| url == "http://127.0.0.1:9090/metrics"));
        let json =
            r#"[{"targets": ["a:1", "b:2"], "labels": {"__metrics_path__": "/m", "zone": "x"}}, {"targets": []}]"#;
        assert_eq!(listed(json).unwrap(), ["http://a:1/m".to_owned(), "http://b:2/m".to_owned()].into());
        assert_eq!(listed("a:1 # one\n\n# none\n").unwrap(), ["http://a:1/metrics".to_owned()].into());
        assert_eq!(listed("[]").unwrap().len(), 0);
    }

    #[test]
    fn an_instance_with_addresses_of_both_families_counts_once() {
        let of = |all: &[&str]| -> Vec<String> {
            one_family(all.iter().map(|one| one.parse().unwrap())).map(|address| address.to_string()).collect()
        };
        assert_eq!(of(&["[fd00::7]:9090", "10.0.0.7:9090", "10.0.0.8:9090"]), ["10.0.0.7:9090", "10.0.0.8:9090"]);
        assert_eq!(of(&["[fd00::7]:9090", "[fd00::8]:9090"]), ["[fd00::7]:9090", "[fd00::8]:9090"]);
    }

    #[test]
    fn a_name_without_addresses_lists_none_and_a_resolver_that_fails_is_an_error() {
        let failed = |why: &str| format!("failed to lookup address information: {why}");
        assert!(is_no_address(&failed("Name or service not known")));
        assert!(is_no_address(&failed("No address associated with hostname")));
        for why in ["Temporary failure in name resolution", "Try again", "Non-recoverable failure in name resolution"] {
            assert!(!is_no_address(&failed(why)), "{why}");
        }
        let targets: Targets = "dns:no-such-host.invalid:9090".parse().unwrap();
        match targets.list() {
            Ok(listed) => assert!(listed.is_empty(), "{listed:?}"),
            Err(error) => assert!(error.starts_with("no-such-host.invalid:9090 cannot be resolved"), "{error}"),
        }
    }

    #[test]
    fn what_is_no_address_is_an_error_that_names_it() {
        for text in
            ["", ",", "ftp://a", "http://", "http://user:secret@a", "a b", "file:", "dns:", "dns:host", "dns::9090"]
        {
            assert!(text.parse::<Targets>().is_err(), "{text}");
        }
        assert_eq!(listed("a:1\nhttp://").unwrap_err(), "\"http://\" is no address of an instance");
        assert!(listed("[{\"target\": 1}]").unwrap_err().starts_with("not a list of targets"));
        let missing: Targets = "file:/no/such/file".parse().unwrap();
        assert!(missing.list().unwrap_err().starts_with("/no/such/file cannot be read"));
    }
}
