//! The autopilot: judges orders per page view, and engages the ranking's switch once the judge says rollback.
//!
//! It writes to the document that the gates of the arms read, within the limits of the switch's definition.

use crate::judge::EVERY;
use crate::load::Arm;
use crate::ranking::SWITCH;
use backstop::BoxError;
use backstop::clock::Timestamp;
use backstop::kill_switch::audit::AuditLog;
use backstop::kill_switch::auto_engage::{KpiTrigger, Reaction};
use backstop::kill_switch::store::FileStore;
use backstop::kill_switch::{Author, Change, Definition, Editor, Engage, OnUnknown, Scope, Stage, SwitchId};
use backstop::rollback::{Arm as TickArm, Kpi, Policy, Tick};
use backstop::rollout::source::{Scrape, Source};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Author of the engagement, in the document and in the audit.
const NAME: &str = "autopilot";
/// The KPI, in the policy and in the ticks.
pub(crate) const KPI: &str = "orders per page view";
/// The warm-up is shorter than the default of a minute, to keep the demonstration short.
const POLICY: &str = r#"
    [[trigger]]
    name = "orders per page view"
    kind = "kpi"
    kpi = "orders per page view"
    minimum_requests = 50
    warm_up = "1s"
    borderline = 1.0
"#;

/// Path of the document.
pub(crate) fn document(directory: &Path) -> Result<String, BoxError> {
    let path = directory.join("switches.json").into_os_string();
    path.into_string()
        .map_err(|path| format!("the path of the temporary directory is not UTF-8: {}", path.display()).into())
}

fn editor(directory: &Path) -> Result<Editor, BoxError> {
    Ok(Editor::new(FileStore::new(document(directory)?)?).audited(AuditLog::new(directory.join("audit.jsonl"))))
}

/// Defines the switch, as a person, with the limits of automation.
pub(crate) async fn define_switch(directory: &Path) -> Result<(), BoxError> {
    let editor = editor(directory)?;
    let next_year = Timestamp::now() + Duration::from_secs(365 * 86_400);
    let definition = Definition::new("team-search", "the ranking of products", next_year, OnUnknown::Allow);
    let define = Change::Define { switch: SwitchId::new(SWITCH)?, definition: definition.with_max_automatic(100.0) };
    let by = Author::person("operator", Timestamp::now()).because("the ranking goes live");
    tokio::task::spawn_blocking(move || editor.change(&define, &by)).await??; // stores block
    Ok(())
}

/// Judge of the KPI for a release that has just gone out.
pub(crate) struct Autopilot {
    editor: Editor,
    trigger: KpiTrigger,
    source: Scrape,
}

/// Page views and orders of an arm since the look before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    pub(crate) orders: f64,
    pub(crate) page_views: f64,
}

impl Autopilot {
    /// It may engage on the canary's instance only: stable ranks correctly.
    pub(crate) fn new(directory: &Path, source: Scrape) -> Result<Self, BoxError> {
        let engage = Engage::new(SwitchId::new(SWITCH)?, Scope::all()).stage(Stage::instances([Arm::Canary.as_str()]));
        let trigger = KpiTrigger::new(Policy::parse(POLICY)?, engage, NAME);
        Ok(Self { editor: editor(directory)?, trigger, source })
    }

    /// The orders of canary and stable a second later, and what follows. Blocks.
    pub(crate) fn look(&mut self) -> Result<([Orders; 2], Reaction), BoxError> {
        loop {
            std::thread::sleep(EVERY);
            let Some(tick) = self.source.look()? else { continue };
            let both = [Some(tick.canary()), tick.baseline()].map(|arm| arm.map_or_else(Orders::default, Orders::of));
            let [canary, stable] = both.map(Orders::into_arm);
            let reaction =
                self.trigger.run(&self.editor, Tick::new(tick.at(), canary, Some(stable))?, Timestamp::now())?;
            return Ok((both, reaction));
        }
    }

    /// Error that the autopilot gets when it tries to release.
    pub(crate) fn rejected_release(&self) -> Result<String, BoxError> {
        let by = Author::automation(NAME, Timestamp::now()).because("orders recovered");
        match self.editor.change(&Change::Release { switch: SwitchId::new(SWITCH)? }, &by) {
            Ok(_) => Err("automation was allowed to release".into()),
            Err(error) => Ok(error.to_string()),
        }
    }
}

impl Orders {
    /// An order is a checkout that succeeded.
    fn of(arm: &TickArm) -> Self {
        let requests = |segment: &str| arm.segments.get(segment).and_then(|counts| counts.requests).unwrap_or(0.0);
        Self { orders: requests("checkout"), page_views: requests("page") }
    }

    fn into_arm(self) -> TickArm {
        let mut arm = TickArm::default();
        let kpi = Kpi { good: self.orders.min(self.page_views), total: self.page_views };
        arm.kpis.insert(KPI.to_owned(), kpi);
        arm
    }

    /// Orders per page view; NaN without page views.
    pub(crate) fn value(self) -> f64 {
        self.orders / self.page_views
    }
}

impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} ({:.0} %)", self.orders, self.page_views, 100.0 * self.value())
    }
}
