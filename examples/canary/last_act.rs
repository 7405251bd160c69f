//! The last act: a KPI that no breaker measures falls, and the switch is engaged automatically.

use crate::autopilot::{self, Autopilot};
use crate::console::Tone;
use crate::kpi::{Orders, Windows};
use crate::load::{Answer, Arm, Phase, Route, Sample};
use crate::ranking::SWITCH;
use crate::report::{setting, time};
use crate::rollout::{Rollout, STAGES};
use crate::step::step;
use backstop::BoxError;
use backstop::kill_switch::{Engagement, Trigger};
use std::time::Duration;

/// Result of the act. Times are measured from the start of the run.
pub(crate) struct Switched {
    released: Duration,
    judged: Duration,
    first_unranked: Duration,
    worst_first: Orders,
    unranked: Orders,
    engagement: Engagement,
}

impl Rollout {
    /// Runs the next release until orders have recovered.
    pub(crate) async fn last_act(&mut self) -> Result<Switched, BoxError> {
        let released = step("the next release goes out", self.release_worst_first()).await?;
        let mut autopilot = Autopilot::new(step("a scrape of the next release", self.scraper.next()).await?)?;
        let judging = self.judge_until_engage(&mut autopilot);
        let (worst_first, engagement) = step("the autopilot engages the switch", judging).await?;

        let judged = self.story.now();
        self.story.mark("judge", Tone::Bad, "judge: ENGAGE", &describe(&engagement)?);
        let first_unranked = step("the canary's gate closes", self.until_unranked()).await?;
        let [_, second] = STAGES;
        self.load.set(second, Phase::Unranked);
        let text = format!(
            "pages are served without the ranking, {} after the verdict: products are in catalogue order",
            time(first_unranked.saturating_sub(judged))
        );
        self.story.mark("canary", Tone::Plain, "pages without ranking", &text);

        let unranked = step("orders recover", self.until_orders_recover()).await?;
        let text = format!("orders RECOVERED: canary {}, stable {}", unranked.canary, unranked.stable);
        self.story.mark("judge", Tone::Good, "orders recovered", &text);
        let error = step("automation may not release", self.control_plane.rejected_release()).await?;
        self.story.say("judge", Tone::Plain, &format!("tries to release the switch; rejected: {error}"));
        self.check(released)?;
        let text = format!("switch \"{SWITCH}\" stays engaged until a person releases it");
        self.story.say("rollout", Tone::Plain, &text);
        Ok(Switched { released, judged, first_unranked, worst_first, unranked, engagement })
    }

    async fn release_worst_first(&self) -> Result<Duration, BoxError> {
        let request = reqwest::Client::builder().no_proxy().build()?.put(self.canary.url("ranking/worst_first"));
        request.send().await?.error_for_status()?;
        let [_, second] = STAGES;
        self.load.set(second, Phase::WorstFirst);
        let text = "canary's next release ranks the products of a page in reverse, worst first";
        Ok(self.story.mark("rollout", Tone::Plain, "canary ranks the worst first", text))
    }

    async fn judge_until_engage(&self, autopilot: &mut Autopilot) -> Result<(Orders, Engagement), BoxError> {
        let mut looks = self.scraper.looks.clone();
        looks.mark_unchanged();
        loop {
            looks.changed().await?;
            let Some(look) = looks.borrow_and_update().clone() else { continue };
            let Some((orders, reaction)) = autopilot.observe(&self.control_plane, &look).await? else { continue };
            let text = format!("page views with an order: canary {}, stable {}", orders.canary, orders.stable);
            self.story.say("judge", Tone::Plain, &format!("{text}; {}", reaction.verdict.decision.as_str()));
            if let Some(document) = &reaction.engaged {
                return Ok((orders, autopilot::engagement(document)?));
            }
        }
    }

    /// Time at which the first page without its ranking reached its caller.
    async fn until_unranked(&self) -> Result<Duration, BoxError> {
        loop {
            let samples = self.load.samples(Duration::ZERO);
            if let Some(at) = samples.iter().filter(|sample| sample.is_unranked).map(|s| s.at + s.took).min() {
                return Ok(at);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_orders_recover(&self) -> Result<Orders, BoxError> {
        /// Stable has 0.25; the canary that ranks the worst first has none.
        const RECOVERED: f64 = 0.15;
        let mut windows = Windows::new(self.scraper.next().await?);
        let mut looks = self.scraper.looks.clone();
        looks.mark_unchanged();
        loop {
            looks.changed().await?;
            let look = looks.borrow_and_update().clone();
            match look.and_then(|look| windows.observe(&look)) {
                Some(orders) if orders.canary.value() > RECOVERED => return Ok(orders),
                _ => {}
            }
        }
    }

    /// Checks that no circuit changed and that stable kept its ranking.
    fn check(&self, released: Duration) -> Result<(), BoxError> {
        let samples = self.load.samples(released);
        let is_page = |s: &&Sample| s.route == Route::Page && matches!(s.phase, Phase::WorstFirst | Phase::Unranked);
        let pages: Vec<_> = samples.iter().filter(is_page).collect();
        let full = pages.iter().filter(|page| page.answer == Answer::Full).count();
        let is_quiet = !self.story.circuits().iter().any(|change| change.at >= released);
        let checks = [
            ("no circuit changes in the last act", is_quiet),
            ("pages are answered in full in the last act", full * 100 >= pages.len() * 95),
            ("stable keeps its ranking", !samples.iter().any(|s| s.arm == Arm::Stable && s.is_unranked)),
        ];
        match checks.iter().find(|(_, holds)| !holds) {
            Some((step, _)) => Err(format!("step \"{step}\": this failed").into()),
            None => Ok(()),
        }
    }
}

/// The engagement as the document records it.
fn describe(engagement: &Engagement) -> Result<String, BoxError> {
    let Trigger::Kpi(ref breach) = engagement.trigger else { return Err("the trigger is not a KPI".into()) };
    let (metric, value, threshold) = (&breach.metric, breach.value, breach.threshold);
    let (window, samples) = (setting(Duration::from_secs(breach.window_seconds)), breach.samples);
    Ok(format!(
        "ENGAGE: switch \"{SWITCH}\" on the canary's instance, by {}\n\
         trigger: {:.0} % of {metric} missing, {:.0} % on stable, {samples} samples in {window}",
        engagement.by,
        100.0 * value,
        100.0 * threshold,
    ))
}

impl Switched {
    /// The act in a few sentences.
    pub(crate) fn conclusion(&self) -> String {
        format!(
            "Then the canary ranked the worst first: {} page views had an order, on stable {}; no circuit opened.\n\
             This KPI engaged the switch \"{SWITCH}\" {} after the release, by {}; {} later pages were served without\n\
             the ranking, and orders recovered: {}. The switch stays engaged until a person releases it:\n  \
             backstop switch --file switches.json release {SWITCH} --by NAME --reason \"the ranking is fixed\"",
            self.worst_first.canary,
            self.worst_first.stable,
            time(self.judged.saturating_sub(self.released)),
            self.engagement.by,
            time(self.first_unranked.saturating_sub(self.judged)),
            self.unranked.canary,
        )
    }
}
