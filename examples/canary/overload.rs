//! Acts 1 and 2: a canary that overloads its dependency, without protection and with it.

use crate::console::{Console, Tone};
use crate::judge::POLICY;
use crate::load::Arm;
use crate::report::setting;
use crate::shop::{Measured, Shop};
use crate::step::step;
use crate::story::Story;
use backstop::BoxError;
use backstop::rollback::{Decision, Policy};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The canary's share in the first stage and in the second, in percent.
const STAGES: [u32; 2] = [5, 50];
/// Shortest duration of the first stage.
const STAGE: Duration = Duration::from_secs(3);
/// Time until a person notices the problem without an alert. In production it is minutes.
const UNNOTICED: Duration = Duration::from_secs(4);

/// Mode of the arms' circuit breakers and bulkheads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guards {
    /// They measure and reject nothing.
    Shadow,
    Armed,
}

impl Guards {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Armed => "armed",
        }
    }
}

/// An act, and the times of its steps.
pub(crate) struct Overload {
    pub(crate) measured: Measured,
    pub(crate) begun: Duration,
    /// The canary's circuit opened; it cannot in shadow.
    pub(crate) opened: Option<Duration>,
    pub(crate) ended: Duration,
}

/// Runs the act once.
pub(crate) async fn run(guards: Guards, console: &Arc<Console>) -> Result<Overload, BoxError> {
    let mut shop = Shop::open(Story::new(console), guards, 1).await?;
    let story = Arc::clone(&shop.story);
    let [first, second] = STAGES;
    step("the canary calls ratings for each product", shop.fault(Arm::Canary, "one_by_one", 1)).await?;
    let mark = |weight: u32| {
        shop.load.set(weight, 0);
        let text = format!("canary gets {weight} % of the traffic");
        story.mark("rollout", Tone::Plain, &format!("canary gets {weight} %"), &text)
    };
    mark(first);
    let (mut judges, mut opened) = (Vec::new(), None);
    let begun = if guards == Guards::Armed {
        let judge = shop.judge(Arm::Canary, Policy::parse(POLICY)?)?;
        let good = async {
            tokio::time::sleep(STAGE).await;
            judge.until(|verdict| verdict.decision == Decision::Continue).await
        };
        step("the judge says CONTINUE in the first stage", good).await?;
        judges.push(judge);
        mark(second)
    } else {
        tokio::time::sleep(STAGE / 2).await;
        mark(second)
    };
    if let Some(judge) = judges.first() {
        let since = story.started + begun;
        let opening = step("the canary's circuit opens", shop.arms[Arm::Canary as usize].circuit(since, "open"));
        let bad = step("the judge says ROLLBACK", judge.until(|verdict| verdict.decision == Decision::Rollback));
        let (at, _) = tokio::try_join!(opening, bad)?;
        opened = Some(at.saturating_duration_since(story.started));
    } else {
        tokio::time::sleep(UNNOTICED).await;
        story.say("rollout", Tone::Plain, &format!("a person notices after {}", setting(UNNOTICED)));
    }
    let ended = mark_shifted(&shop);
    if guards == Guards::Armed {
        recover(&mut shop).await?;
    }
    Ok(Overload { measured: shop.close(judges).await?, begun, opened, ended })
}

fn mark_shifted(shop: &Shop) -> Duration {
    shop.load.set(0, 0);
    let text = "canary gets no traffic; stable takes all of it";
    shop.story.mark("rollout", Tone::Plain, "canary gets 0 %", text)
}

/// Deploys the fix, and waits until the canary's circuit has closed.
async fn recover(shop: &mut Shop) -> Result<(), BoxError> {
    step("stable serves all of the traffic", shop.until_full(Arm::Stable, 100)).await?;
    step("the canary is fixed", shop.fault(Arm::Canary, "one_by_one", 0)).await?;
    let fixed = Instant::now();
    let [first, _] = STAGES;
    shop.load.set(first, 0);
    let text = format!("canary fetches all ratings in one call, as stable does; {first} % of the traffic goes to it");
    shop.story.mark("rollout", Tone::Plain, "fixed", &text);
    let closed = shop.arms[Arm::Canary as usize].circuit(fixed, "closed");
    step("the canary's circuit closes", closed).await?;
    step("the fixed canary answers in full", shop.until_full(Arm::Canary, 10)).await
}
