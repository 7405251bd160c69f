//! The autopilot: takes the KPI window by window and engages the ranking's switch once every guard agrees.
//!
//! It writes to the document that the arms' gates read, as far as the switch's definition lets a program go.

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

/// Who engages, in the document and in the audit.
const NAME: &str = "autopilot";
const KPI: &str = "orders per page view";
/// Stable has 0.25. Below this, something is wrong with the page.
pub(crate) const THRESHOLD: f64 = 0.15;
/// Shorter than the defaults of 60 s, 100 samples and 5 min, which would make for a long demonstration.
const WINDOW: Duration = Duration::from_secs(1);
const SAMPLES: u32 = 20;
const WARM_UP: Duration = Duration::from_millis(1_500);

/// The document with the switch in it, and where changes to it are written down.
pub(crate) struct ControlPlane(Arc<Editor>);

impl ControlPlane {
    /// Defines the switch: a person does, and says how far a program may go.
    pub(crate) async fn open(directory: &Path) -> Result<Self, BoxError> {
        let store = FileStore::new(document(directory)?)?;
        let control_plane = Self(Arc::new(Editor::new(store).audited(AuditLog::new(directory.join("audit.jsonl")))));
        let next_year = Timestamp::now() + Duration::from_secs(365 * 86_400);
        let definition = Definition::new("team-search", "the ranking of products", next_year, OnUnknown::Allow);
        let define = Change::Define { switch: id()?, definition: definition.max_automatic(100.0) };
        control_plane.change(define, Author::person("mira", Timestamp::now()).because("the ranking goes live")).await?;
        Ok(control_plane)
    }

    /// Engages on the canary's instance alone: stable ranks well.
    pub(crate) async fn engage(&self, verdict: &Verdict) -> Result<Engagement, BoxError> {
        let engage = Engage::new(id()?, Scope::all()).stage(Stage::instances([Arm::Canary.as_str()]));
        let (change, by) = verdict.engage(engage, NAME, Timestamp::now()).ok_or("the verdict is to wait")?;
        let document = self.change(change, by).await?;
        let engaged = document.switch(SWITCH).and_then(|switch| switch.engaged.as_ref());
        engaged.cloned().ok_or_else(|| "the document says that it is released".into())
    }

    /// What the autopilot hears when it asks for the release.
    pub(crate) async fn refusal_to_release(&self) -> Result<String, BoxError> {
        let by = Author::automation(NAME, Timestamp::now()).because("orders are back");
        match self.change(Change::Release { switch: id()? }, by).await {
            Ok(_) => Err("a program may release".into()),
            Err(error) => Ok(error.to_string()),
        }
    }

    /// Stores block: changes do not belong on an async thread.
    async fn change(&self, change: Change, by: Author) -> Result<Document, BoxError> {
        let editor = Arc::clone(&self.0);
        Ok(tokio::task::spawn_blocking(move || editor.change(&change, &by)).await??)
    }
}

/// Where the document is.
pub(crate) fn document(directory: &Path) -> Result<String, BoxError> {
    let path = directory.join("switches.json").into_os_string();
    path.into_string()
        .map_err(|path| format!("the directory for temporary files is not UTF-8: {}", path.display()).into())
}

fn id() -> Result<SwitchId, BoxError> {
    Ok(SwitchId::new(SWITCH)?)
}

/// Judges a release that has just gone out.
pub(crate) struct Autopilot {
    automatic: KpiTrigger,
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
        Ok(Self { automatic: KpiTrigger::new(config, Timestamp::now()), windows: Windows::new(begin) })
    }

    /// Takes another look; a verdict comes with the look that ends a window.
    pub(crate) fn observe(&mut self, look: &Look) -> Option<(Orders, Verdict)> {
        let orders = self.windows.observe(look)?;
        let reading = |share: Share| Reading::new(share.value(), share.page_views as f64);
        let window = Window::new(Timestamp::now(), BlastRadius::new(reach(), Spread::Instances))
            .canary(KPI, reading(orders.canary))
            .baseline(KPI, reading(orders.stable));
        Some((orders, self.automatic.observe(&window)))
    }
}

/// What the canary's instance serves, in percent of the traffic.
fn reach() -> f64 {
    let [_, second] = STAGES;
    f64::from(second)
}
