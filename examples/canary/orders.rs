//! Act 4: a KPI that no breaker and no error rate measures falls, and a kill switch is engaged automatically.

use crate::autopilot::{Autopilot, Orders};
use crate::console::{Console, Tone};
use crate::judge::source;
use crate::load::Arm;
use crate::overload::Guards;
use crate::ranking::SWITCH;
use crate::report::time;
use crate::shop::Shop;
use crate::step::step;
use crate::story::Story;
use backstop::BoxError;
use backstop::kill_switch::auto_engage::Reaction;
use backstop::kill_switch::{Document, Engagement, Trigger};
use std::sync::Arc;
use std::time::Duration;

/// Orders per page view from which they have recovered: stable has 0.25, the canary that ranks the worst first a third.
const RECOVERED: f64 = 0.17;

/// Runs the act; returns its result in a few sentences.
pub(crate) async fn run(console: &Arc<Console>) -> Result<String, BoxError> {
    let shop = Shop::open(Story::new(console), Guards::Armed, 1).await?;
    let story = Arc::clone(&shop.story);
    step("the release goes out", shop.fault(Arm::Canary, "worst_first", 1)).await?;
    shop.load.set(50, 0);
    let text = "canary gets 50 % of the traffic; it ranks the products of a page in reverse, worst first";
    let released = story.mark("rollout", Tone::Plain, "worst first", text);

    let [stable, canary] = [Arm::Stable, Arm::Canary].map(|arm| shop.arms[arm as usize].url("metrics"));
    let mut autopilot = Autopilot::new(shop.directory.path(), source(&stable, &canary)?)?;
    let engaging = look_until(&mut autopilot, &story, |_, reaction| reaction.engaged.is_some());
    let (fallen, reaction) = step("the autopilot engages the switch", engaging).await?;
    let judged = story.now();
    let engagement = engagement(reaction.engaged.as_ref()).ok_or("the switch is released in the document")?;
    story.mark("judge", Tone::Bad, "ENGAGE", &describe(&engagement));

    let unranked = step("the canary's gate closes", until_unranked(&shop)).await?;
    let after = time(unranked.saturating_sub(judged));
    story.say("canary", Tone::Plain, &format!("pages are in catalogue order, {after} after the verdict"));
    let recovering = look_until(&mut autopilot, &story, |orders, _| orders[0].value() > RECOVERED);
    let (recovered, _) = step("orders recover", recovering).await?;
    let text = format!("orders RECOVERED: canary {}, stable {}", recovered[0], recovered[1]);
    story.mark("judge", Tone::Good, "orders recovered", &text);
    let error = autopilot.rejected_release()?;
    story.say("judge", Tone::Plain, &format!("tries to release the switch; rejected: {error}"));

    let circuits = shop.close(Vec::new()).await?.circuits;
    if !circuits.is_empty() {
        return Err("step \"no circuit changes while orders fall\": this failed".into());
    }
    Ok(format!(
        "Orders: the canary that ranked the worst first had {} page views with an order, stable {}; no circuit opened.\n\
         The KPI engaged the switch \"{SWITCH}\" {} after the release, and orders recovered: {}. It stays engaged until a\n\
         person releases it:\n  \
         backstop switch --file switches.json release {SWITCH} --by NAME --reason \"the ranking is fixed\"",
        fallen[0],
        fallen[1],
        time(judged.saturating_sub(released)),
        recovered[0],
    ))
}

/// Looks until the orders of both arms and the reaction are as wanted.
async fn look_until(
    autopilot: &mut Autopilot,
    story: &Story,
    is_wanted: impl Fn(&[Orders; 2], &Reaction) -> bool,
) -> Result<([Orders; 2], Reaction), BoxError> {
    loop {
        let (orders, reaction) = tokio::task::block_in_place(|| autopilot.look())?; // scrapes and stores block
        let text = format!("page views with an order: canary {}, stable {}", orders[0], orders[1]);
        story.say("judge", Tone::Plain, &format!("{text}; {}", reaction.verdict.decision.as_str()));
        if is_wanted(&orders, &reaction) {
            return Ok((orders, reaction));
        }
        tokio::task::yield_now().await; // so that the time limit of the step is looked at
    }
}

/// Time at which the first page without its ranking reached its caller.
async fn until_unranked(shop: &Shop) -> Result<Duration, BoxError> {
    loop {
        let samples = shop.load.samples(Duration::ZERO);
        let unranked = samples.iter().filter(|sample| sample.is_unranked);
        if let Some(at) = unranked.map(|sample| sample.at + sample.took).min() {
            return Ok(at);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn engagement(document: Option<&Document>) -> Option<Engagement> {
    document?.switch(SWITCH)?.engaged.clone()
}

/// The engagement as the document records it.
fn describe(engagement: &Engagement) -> String {
    let engaged = format!("ENGAGE: switch \"{SWITCH}\" on the canary's instance, by {}", engagement.by);
    let Trigger::Kpi(breach) = &engagement.trigger else { return engaged };
    let (missing, stable) = (100.0 * breach.value, 100.0 * breach.threshold);
    let (metric, samples, window) = (&breach.metric, breach.samples, breach.window_seconds);
    format!(
        "{engaged}\ntrigger: {missing:.0} % of {metric} missing, {stable:.0} % on stable, {samples} samples in {window} s"
    )
}
