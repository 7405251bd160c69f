//! The autopilot: judges the KPI window by window and engages the ranking's switch once the judge says so.
//!
//! It writes to the document that the gates of the arms read, within the limits of the switch's definition.

use crate::kpi::{Orders, Share, Windows};
use crate::load::Arm;
use crate::ranking::SWITCH;
use crate::scrape::Look;
use backstop::BoxError;
use backstop::clock::Timestamp;
use backstop::kill_switch::audit::AuditLog;
use backstop::kill_switch::auto_engage::{KpiTrigger, Reaction};
use backstop::kill_switch::store::FileStore;
use backstop::kill_switch::{
    Author, Change, Definition, Document, Editor, Engage, Engagement, OnUnknown, Scope, Stage, SwitchId,
};
use backstop::rollback::{Arm as TickArm, Kpi, Policy, Tick};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Author of the engagement, in the document and in the audit.
const NAME: &str = "autopilot";
/// The KPI, in the policy and in the ticks.
const KPI: &str = "orders per page view";
/// The warm-up is shorter than the default of a minute, to keep the demonstration short.
const POLICY: &str = r#"
    [[trigger]]
    name = "orders per page view"
    kind = "kpi"
    kpi = "orders per page view"
    minimum_requests = 20
    warm_up = "1s"
    borderline = 1.0
"#;

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

    /// Judges a tick, and engages on the canary's instance only if the judge says so: stable ranks correctly.
    pub(crate) async fn run(&self, mut trigger: KpiTrigger, tick: Tick) -> Result<(KpiTrigger, Reaction), BoxError> {
        let editor = Arc::clone(&self.0);
        let run = move || trigger.run(&editor, tick, Timestamp::now()).map(|reaction| (trigger, reaction));
        Ok(tokio::task::spawn_blocking(run).await??)
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
    /// Seconds since the release, a window each.
    seconds: f64,
}

impl Autopilot {
    pub(crate) fn new(begin: Look) -> Result<Self, BoxError> {
        let engage = Engage::new(id()?, Scope::all()).stage(Stage::instances([Arm::Canary.as_str()]));
        let trigger = KpiTrigger::new(Policy::parse(POLICY)?, engage, NAME);
        Ok(Self { trigger, windows: Windows::new(begin), seconds: 0.0 })
    }

    /// Adds a scrape; returns the orders and the reaction at the end of a window.
    pub(crate) async fn observe(
        &mut self,
        control_plane: &ControlPlane,
        look: &Look,
    ) -> Result<Option<(Orders, Reaction)>, BoxError> {
        let Some(orders) = self.windows.observe(look) else { return Ok(None) };
        self.seconds += 1.0;
        let tick = Tick::new(self.seconds, arm(orders.canary), Some(arm(orders.stable)))?;
        let (trigger, reaction) = control_plane.run(self.trigger.clone(), tick).await?;
        self.trigger = trigger;
        Ok(Some((orders, reaction)))
    }
}

fn arm(share: Share) -> TickArm {
    let mut arm = TickArm::default();
    let (good, total) = (share.orders as f64, share.page_views as f64);
    arm.kpis.insert(KPI.to_owned(), Kpi { good: good.min(total), total });
    arm
}

/// The engagement in the new document.
pub(crate) fn engagement(document: &Document) -> Result<Engagement, BoxError> {
    let engaged = document.switch(SWITCH).and_then(|switch| switch.engaged.clone());
    engaged.ok_or_else(|| "the switch is released in the document".into())
}
