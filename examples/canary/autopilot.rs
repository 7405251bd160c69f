//! The autopilot: evaluates the KPI window by window and engages the ranking's switch once every guard allows it.
//!
//! It writes to the document that the gates of the arms read, within the limits of the switch's definition.

use crate::kpi::{Orders, Share, Windows};
use crate::load::Arm;
use crate::ranking::{ORDERS, PAGE_VIEWS, SWITCH};
use crate::rollout::STAGES;
use crate::scrape::Look;
use backstop::BoxError;
use backstop::clock::Timestamp;
use backstop::kill_switch::audit::AuditLog;
use backstop::kill_switch::auto_engage::{
    BlastRadius, Kpi, KpiTrigger, KpiTriggerConfig, Reading, Spread, Verdict, Window,
};
use backstop::kill_switch::store::FileStore;
use backstop::kill_switch::{
    Author, Change, Definition, Document, Editor, Engage, Engagement, OnUnknown, Scope, Stage, SwitchId,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Author of the engagement, in the document and in the audit.
const NAME: &str = "autopilot";
const KPI: &str = "orders per page view";
/// Stable has 0.25; a page below this is broken.
pub(crate) const THRESHOLD: f64 = 0.15;
/// Shorter than the defaults of 60 s, 100 samples and 5 min, to keep the demonstration short.
const WINDOW: Duration = Duration::from_secs(1);
const SAMPLES: u32 = 20;
const WARM_UP: Duration = Duration::from_millis(1_500);

/// Editor of the document that holds the switch, with its audit log.
pub(crate) struct ControlPlane(Arc<Editor>);

impl ControlPlane {
    /// Defines the switch, as a person, with the limits of automation.
    pub(crate) async fn open(directory: &Path) -> Result<Self, BoxError> {
        let store = FileStore::new(document(directory)?)?;
        let control_plane = Self(Arc::new(Editor::new(store).audited(AuditLog::new(directory.join("audit.jsonl")))));
        let next_year = Timestamp::now() + Duration::from_secs(365 * 86_400);
        let definition = Definition::new("team-search", "the ranking of products", next_year, OnUnknown::Allow);
        let define = Change::Define { switch: id()?, definition: definition.with_max_automatic(100.0) };
        control_plane.change(define, Author::person("mira", Timestamp::now()).because("the ranking goes live")).await?;
        Ok(control_plane)
    }

    /// Engages on the canary's instance only: stable ranks correctly.
    pub(crate) async fn engage(&self, verdict: &Verdict) -> Result<Engagement, BoxError> {
        let engage = Engage::new(id()?, Scope::all()).stage(Stage::instances([Arm::Canary.as_str()]));
        let (change, by) = verdict.engage(engage, NAME, Timestamp::now()).ok_or("the verdict is Wait")?;
        let document = self.change(change, by).await?;
        let engaged = document.switch(SWITCH).and_then(|switch| switch.engaged.as_ref());
        engaged.cloned().ok_or_else(|| "the switch is released in the document".into())
    }

    /// Error that the autopilot gets when it tries to release.
    pub(crate) async fn rejected_release(&self) -> Result<String, BoxError> {
        let by = Author::automation(NAME, Timestamp::now()).because("orders recovered");
        match self.change(Change::Release { switch: id()? }, by).await {
            Ok(_) => Err("automation was allowed to release".into()),
            Err(error) => Ok(error.to_string()),
        }
    }

    /// Runs on a blocking thread, because stores block.
    async fn change(&self, change: Change, by: Author) -> Result<Document, BoxError> {
        let editor = Arc::clone(&self.0);
        Ok(tokio::task::spawn_blocking(move || editor.change(&change, &by)).await??)
    }
}

/// Path of the document.
pub(crate) fn document(directory: &Path) -> Result<String, BoxError> {
    let path = directory.join("switches.json").into_os_string();
    path.into_string()
        .map_err(|path| format!("the path of the temporary directory is not UTF-8: {}", path.display()).into())
}

fn id() -> Result<SwitchId, BoxError> {
    Ok(SwitchId::new(SWITCH)?)
}

/// KPI trigger for a release that has just gone out.
pub(crate) struct Autopilot {
    trigger: KpiTrigger,
    windows: Windows,
}

impl Autopilot {
    pub(crate) fn new(begin: Look) -> Result<Self, BoxError> {
        let kpi = Kpi::lower_is_worse(KPI, THRESHOLD)
            .metric(format!("{ORDERS} / {PAGE_VIEWS}"))
            .minimum_samples(SAMPLES)
            .warm_up(WARM_UP);
        let config =
            KpiTriggerConfig::builder().kpi(kpi).window(WINDOW).max_reach(reach(), Spread::Instances).build()?;
        Ok(Self { trigger: KpiTrigger::new(config, Timestamp::now()), windows: Windows::new(begin) })
    }

    /// Adds a scrape; returns a verdict at the end of a window.
    pub(crate) fn observe(&mut self, look: &Look) -> Option<(Orders, Verdict)> {
        let orders = self.windows.observe(look)?;
        let reading = |share: Share| Reading::new(share.value(), share.page_views as f64);
        let window = Window::new(Timestamp::now(), BlastRadius::new(reach(), Spread::Instances))
            .canary(KPI, reading(orders.canary))
            .baseline(KPI, reading(orders.stable));
        Some((orders, self.trigger.observe(&window)))
    }
}

/// Share of the traffic that the canary's instance serves, in percent.
fn reach() -> f64 {
    let [_, second] = STAGES;
    f64::from(second)
}
