//! Sentences about the requests of a stage: too few of them, or not the share that was set.

use super::event::Look;
use std::time::Duration;

/// Requests by which a share is looked at, and the difference that is always allowed.
const SHARE_REQUESTS: f64 = 1_000.0;
const SHARE_LEAST: f64 = 0.02;

/// A sentence about a share of the requests that is far from the weight, beyond chance. No more than that: a source that
/// leaves out instances looks the same.
pub(super) fn other_share(weight: u32, Look { samples, others, .. }: &Look) -> Option<String> {
    let (all, wanted) = (samples + others, f64::from(weight) / 100.0);
    if *others <= 0.0 || all < SHARE_REQUESTS {
        return None;
    }
    let (found, least) = (samples / all, wanted.min(1.0 - wanted));
    let chance = 4.0 * (wanted * (1.0 - wanted) / all).sqrt();
    let is_other = (found - wanted).abs() > chance + (least / 2.0).max(SHARE_LEAST);
    is_other.then(|| {
        format!(
            "{:.1} % of {all:.0} requests since the stage began went to the release instead of {weight} %: the load balancer \
             does not do what it says, or the source leaves out instances",
            found * 100.0
        )
    })
}

/// The length that a stage needs with its traffic.
pub(super) fn too_quiet(weight: u32, samples: f64, needed: u32, elapsed: Duration, max: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let until = if samples > 0.0 {
        let needs = seconds * f64::from(needed) / samples;
        let is_enough = needs <= max.as_secs_f64();
        let advice = if is_enough { "" } else { "; its longest duration is shorter: raise max, or lower samples" };
        format!("with this traffic it must last about {}{advice}", rounded(needs))
    } else {
        "without traffic it cannot be decided".to_owned()
    };
    format!(
        "the stage of {weight} % is quiet: {samples:.0} of {needed} canary requests in {}; {until}",
        rounded(seconds)
    )
}

/// `90 s` below three minutes, else whole minutes, rounded up.
fn rounded(seconds: f64) -> String {
    if seconds < 180.0 { format!("{:.0} s", seconds.ceil()) } else { format!("{:.0} min", (seconds / 60.0).ceil()) }
}
