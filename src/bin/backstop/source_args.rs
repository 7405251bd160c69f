//! Arguments that name a source of ticks.

use super::output::Failure;
use backstop::rollback::Policy;
use backstop::rollout::source::{Access, Credentials, Prometheus, Scrape, Source, Targets, TickLines};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
pub(super) struct SourceArgs {
    /// `scrape`, `prometheus:URL`, `ticks:FILE`, or `ticks:-` for standard input.
    #[arg(long, value_name = "SOURCE")]
    source: String,
    /// The canary: for `scrape` its instances, as addresses with commas, `file:PATH` or `dns:HOST:PORT`; for `prometheus` label
    /// matchers.
    #[arg(long, value_name = "ARM")]
    canary: Option<String>,
    /// The stable version, in the same form. Default: none, and the canary is judged by limits alone.
    #[arg(long, value_name = "ARM")]
    baseline: Option<String>,
    /// For `prometheus`: a KPI, as NAME=GOOD;TOTAL with two counters. May be given more than once.
    #[arg(long, value_name = "NAME=GOOD;TOTAL")]
    kpi: Vec<String>,
    /// For `prometheus`: the label that names the service; `exported_service` behind the Prometheus operator.
    #[arg(long, value_name = "LABEL", default_value = "service")]
    service_label: String,
    /// For `prometheus`: seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    every: u32,
    /// For `scrape` and `prometheus`: a file with the token that the servers want as `Authorization: Bearer`. Files of
    /// credentials are read at each look.
    #[arg(long, value_name = "FILE", conflicts_with = "basic_auth_file")]
    bearer_token_file: Option<PathBuf>,
    /// For `scrape` and `prometheus`: a file with `user:password` for basic authentication.
    #[arg(long, value_name = "FILE")]
    basic_auth_file: Option<PathBuf>,
    /// For `scrape` and `prometheus` over https: a PEM file with the certificate authorities. Default: the public ones.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl SourceArgs {
    /// The source that is named. A file of ticks that was read by a process before is read behind its present end.
    pub(super) fn open(&self, service: &str, policy: &Policy, is_resumed: bool) -> Result<Box<dyn Source>, Failure> {
        let (kind, rest) = self.source.split_once(':').unwrap_or((&self.source, ""));
        if kind != "prometheus" && !self.kpi.is_empty() {
            return Err(Failure::Usage("--kpi is for --source prometheus:URL".to_owned()));
        }
        if kind == "ticks" && (self.credentials().is_some() || self.ca_file.is_some()) {
            return Err(Failure::Usage(
                "--bearer-token-file, --basic-auth-file and --ca-file are for servers".to_owned(),
            ));
        }
        let canary = || {
            let hint = "--canary is required: its instances, or its label matchers";
            self.canary.as_deref().ok_or_else(|| Failure::Usage(hint.to_owned()))
        };
        match (kind, rest) {
            ("scrape", "") => {
                let targets = |flag: &str, text: &str| {
                    text.parse::<Targets>().map_err(|error| Failure::Usage(format!("--{flag}: {error}")))
                };
                let mut source =
                    Scrape::new(service, targets("canary", canary()?)?).gauges(policy).access(self.access()?);
                if let Some(baseline) = &self.baseline {
                    source = source.baseline(targets("baseline", baseline)?);
                }
                Ok(Box::new(source))
            }
            ("prometheus", url) if !url.is_empty() => self.prometheus(url, service, canary()?, policy),
            ("ticks", "-") => {
                let source = TickLines::pipe(std::io::stdin());
                let source = source.map_err(|error| Failure::Usage(format!("--source ticks:-: {error}")))?;
                Ok(Box::new(source))
            }
            ("ticks", path) if !path.is_empty() => {
                let source = if is_resumed { TickLines::behind(path) } else { TickLines::file(path) };
                let source = source.map_err(|error| Failure::Usage(format!("{path} cannot be read: {error}")))?;
                Ok(Box::new(source))
            }
            _ => {
                let allowed = "scrape, prometheus:URL, ticks:FILE or ticks:-";
                Err(Failure::Usage(format!("--source: \"{}\" is not allowed, must be {allowed}", self.source)))
            }
        }
    }

    fn credentials(&self) -> Option<Credentials> {
        let bearer = self.bearer_token_file.clone().map(Credentials::BearerFile);
        bearer.or_else(|| self.basic_auth_file.clone().map(Credentials::BasicFile))
    }

    fn access(&self) -> Result<Access, Failure> {
        let access = Access::new(self.credentials(), self.ca_file.as_deref());
        access.map_err(|error| Failure::Usage(error.to_string()))
    }

    /// Whether it is a file of ticks, which is read from its beginning at each start.
    pub(super) fn is_file_of_ticks(&self) -> bool {
        self.source.strip_prefix("ticks:").is_some_and(|path| path != "-")
    }

    fn prometheus(&self, url: &str, service: &str, canary: &str, policy: &Policy) -> Result<Box<dyn Source>, Failure> {
        let usage = |error: backstop::ConfigError| Failure::Usage(error.to_string());
        let mut source = Prometheus::new(url, service, canary)
            .map_err(usage)?
            .access(self.access()?)
            .service_label(&self.service_label)
            .every(Duration::from_secs(u64::from(self.every)))
            .gauges(policy);
        if let Some(baseline) = &self.baseline {
            source = source.baseline(baseline);
        }
        for kpi in &self.kpi {
            let parts = kpi.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(';')?)));
            let (name, (good, total)) = parts.ok_or_else(|| {
                let allowed = "NAME=GOOD;TOTAL, such as checkout=checkouts_total{result=\"paid\"};checkouts_total";
                Failure::Usage(format!("--kpi: \"{kpi}\" is not allowed, must be {allowed}"))
            })?;
            source = source.kpi(name, good, total).map_err(usage)?;
        }
        Ok(Box::new(source))
    }
}
