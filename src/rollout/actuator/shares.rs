//! Weights of servers for a share of the traffic.

/// The most that a server's weight can be: `HAProxy`'s limit.
const MOST: u64 = 256;
/// Weight of a server where there is room: above, nothing is gained.
const USUAL: u64 = 100;

/// Weights of the canary's servers and of the stable ones, for a share in percent. The canary's part of the sum is within
/// half a point of it, however many servers there are on each side.
pub(super) fn weights(share: u32, canary: usize, stable: usize) -> (Vec<u32>, Vec<u32>) {
    let share = u64::from(share.min(100));
    let (canary_room, stable_room) = (MOST * canary as u64, MOST * stable as u64);
    // The largest sum whose parts have room on both sides.
    let sum = USUAL * (canary as u64 + stable as u64);
    let of_canary_room = (canary_room * 100).checked_div(share).unwrap_or(sum);
    let of_stable_room = (stable_room * 100).checked_div(100 - share).unwrap_or(sum);
    let sum = sum.min(of_canary_room).min(of_stable_room);
    let of_canary = (sum * share + 50) / 100;
    (spread(of_canary, canary), spread(sum - of_canary, stable))
}

/// A sum over servers, as evenly as whole numbers allow.
fn spread(sum: u64, servers: usize) -> Vec<u32> {
    let count = (servers as u64).max(1);
    let (each, rest) = (sum / count, sum % count);
    (0..servers as u64).map(|place| u32::try_from(each + u64::from(place < rest)).unwrap_or(0)).collect()
}

/// The canary's part of the weights in percent; `None` if all are 0.
pub(super) fn share(canary: impl IntoIterator<Item = u32>, stable: impl IntoIterator<Item = u32>) -> Option<f64> {
    let sum = |weights: &mut dyn Iterator<Item = u32>| weights.map(u64::from).sum::<u64>();
    let canary = sum(&mut canary.into_iter());
    let all = canary + sum(&mut stable.into_iter());
    (all > 0).then(|| canary as f64 * 100.0 / all as f64)
}

/// Returns whether a share in force is the one that was asked for.
pub(super) fn is_near(share: f64, asked: u32) -> bool {
    let most = if asked == 0 || asked == 100 { 1e-9 } else { 0.5 };
    (share - f64::from(asked)).abs() <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_is_met_to_half_a_point_with_any_number_of_servers() {
        for (canary, stable) in [(1, 1), (1, 2), (2, 1), (1, 19), (3, 7), (1, 500), (500, 1), (300, 2), (1_000, 1_000)]
        {
            for asked in 0..=100 {
                let (of_canary, of_stable) = weights(asked, canary, stable);
                assert_eq!((of_canary.len(), of_stable.len()), (canary, stable));
                assert!(of_canary.iter().chain(&of_stable).all(|weight| u64::from(*weight) <= MOST));
                let found = share(of_canary, of_stable).unwrap();
                assert!(is_near(found, asked), "{asked} % of {canary} and {stable}: {found}");
            }
        }
    }
}
