//! Act 3: two canaries beside one stable. One fails 2 % of its pages, quickly; the other has a burst of errors.

use crate::console::{Console, Tone};
use crate::judge::{Look, POLICY};
use crate::load::{Arm, CHECKOUT, RATE};
use crate::overload::Guards;
use crate::report::{seconds, time};
use crate::shop::{Measured, Shop};
use crate::step::step;
use crate::story::Story;
use backstop::BoxError;
use backstop::rollback::simulation::{Stage, forecast};
use backstop::rollback::{Decision, Policy};
use std::sync::Arc;
use std::time::Duration;

/// Share of each canary, in percent.
const WEIGHT: u32 = 20;
/// Pages of a thousand that fail.
const SLIGHT: u32 = 20;
const BURST: u32 = 300;
/// The burst's begin and length.
const BURST_AT: Duration = Duration::from_secs(7);
const BURST_LASTS: Duration = Duration::from_millis(700);
/// Shortest time in which the second canary has to be left alone.
const WATCHED: Duration = Duration::from_secs(13);

/// The act, and its result in a sentence or two.
pub(crate) struct Slight {
    pub(crate) measured: Measured,
    pub(crate) conclusion: String,
}

pub(crate) async fn run(console: &Arc<Console>) -> Result<Slight, BoxError> {
    let policy = Policy::parse(POLICY)?;
    let predicted = predict(&policy);
    console.print(&format!("backstop policy explain, at this traffic: {predicted}"));
    let shop = Shop::open(Story::new(console), Guards::Armed, 2).await?;
    let story = &shop.story;
    step("a canary fails 2 % of its pages", shop.fault(Arm::Canary, "failing", SLIGHT)).await?;
    shop.load.set(WEIGHT, WEIGHT);
    let text = format!("both canaries get {WEIGHT} % of the traffic; one fails 2 % of its pages, all of them quickly");
    let begun = story.mark("rollout", Tone::Plain, "canaries get 20 % each", &text);
    let (bad, good) = (shop.judge(Arm::Canary, policy.clone())?, shop.judge(Arm::Other, policy)?);

    let finding = async {
        let look = step("the judge says ROLLBACK", bad.until(|v| v.decision == Decision::Rollback)).await?;
        shop.load.set(0, WEIGHT);
        story.mark("rollout", Tone::Plain, "canary gets 0 %", "canary gets no traffic; canary 2 goes on");
        Ok(look)
    };
    let burst = async {
        tokio::time::sleep(BURST_AT).await;
        shop.fault(Arm::Other, "failing", BURST).await?;
        story.mark("canary 2", Tone::Plain, "burst in canary 2", "a burst: 30 % of its pages fail for 0.7 s");
        tokio::time::sleep(BURST_LASTS).await;
        shop.fault(Arm::Other, "failing", 0).await?;
        tokio::time::sleep(WATCHED.saturating_sub(BURST_AT + BURST_LASTS)).await;
        Ok::<_, BoxError>(())
    };
    let (look, ()) = tokio::try_join!(finding, burst)?;
    let history = good.history();
    let last = history.last().ok_or("step \"canary 2 is judged\": no verdict")?;
    if let Some(wrong) = history.iter().find(|look| look.verdict.decision.code() >= Decision::Pause.code()) {
        return Err(format!("step \"canary 2 is left alone\": {}", wrong.verdict.sentence).into());
    }
    let text = format!("canary 2: {}: {}", last.verdict.decision.as_str().to_uppercase(), last.verdict.sentence);
    story.mark("judge", Tone::Good, "canary 2 goes on", &text);
    let conclusion = conclude(&look, last, begun, &predicted);
    Ok(Slight { measured: shop.close(vec![bad, good]).await?, conclusion })
}

/// The forecast of `backstop policy explain` for 2 % errors, from simulation.
fn predict(policy: &Policy) -> String {
    let rate = f64::from(RATE) * (1.0 + 1.0 / CHECKOUT as f64);
    let (canary, stable) = (f64::from(WEIGHT), f64::from(100 - 2 * WEIGHT));
    let stage = Stage {
        requests_per_second: rate * (canary + stable) / 100.0,
        error_rate: 1e-5,
        instances: 2,
        weight: canary / (canary + stable),
        length: 60.0,
    };
    let forecast = forecast(stage, policy, 50, 1);
    forecast.faults.iter().find(|found| found.name == "2 % errors").map_or_else(String::new, |found| {
        format!(
            "2 % errors are found in {} (median; 9 of 10 in {}), after {:.0} failed requests",
            seconds(found.median),
            seconds(found.most),
            found.failed
        )
    })
}

fn conclude(bad: &Look, good: &Look, begun: Duration, predicted: &str) -> String {
    let found = time(bad.at.saturating_sub(begun));
    let failed = |look: &Look| {
        let errors = look.verdict.triggers.iter().find(|trigger| trigger.name == "errors");
        let (rate, requests) = errors.map_or((0.0, 0.0), |errors| (errors.canary.unwrap_or(0.0), errors.samples));
        format!("{:.0} failed of {requests:.0} requests", rate * requests)
    };
    format!(
        "A fault that no breaker sees: rolled back {found} after its first request, with {}, one now and then.\n\
         Predicted: {predicted}.\n\
         The canary with a burst went on, with {} in one second.",
        failed(bad),
        failed(good)
    )
}
