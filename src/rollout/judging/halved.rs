//! Old ticks at half of their number: what is kept of a long rollout is bounded.

use crate::rollback::Tick;

/// Puts each tick together with the one after it, but the first, and those on both sides of a new stage or of a break. Counts
/// and times stay; evidence that rests on single seconds becomes coarser.
#[derive(Debug, Default)]
pub(super) struct Halved {
    has_begun: bool,
    /// Ticks that were returned.
    pub(super) gone: u64,
    pending: Option<Tick>,
}

impl Halved {
    /// Takes in a tick; returns the one that is whole.
    pub(super) fn push(&mut self, tick: Tick) -> Option<Tick> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let out = match self.pending.take() {
            // The judge takes the length of the first tick from its time.
            None if is_first => Some(tick),
            None => {
                self.pending = Some(tick);
                None
            }
            Some(before) if before.stage == tick.stage => Some(before.and(tick)),
            Some(before) => {
                self.pending = Some(tick);
                Some(before)
            }
        };
        self.gone += u64::from(out.is_some());
        out
    }

    /// Ends the tick that waits for another one: something happened behind it, or there is none.
    pub(super) fn end(&mut self) -> Option<Tick> {
        let out = self.pending.take();
        self.gone += u64::from(out.is_some());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollback::{Arm, Segment};

    fn tick(at: u32, stage: f64) -> Tick {
        let mut arm = Arm::default();
        let segment = Segment { requests: Some(f64::from(at)), ..Segment::default() };
        arm.segments.insert("s".to_owned(), segment);
        Tick::new(f64::from(at), arm, None).and_then(|tick| tick.in_stage(stage)).unwrap()
    }

    fn shown(tick: &Tick) -> (f64, f64) {
        (tick.at, tick.canary.segments["s"].requests.unwrap())
    }

    #[test]
    fn ticks_are_put_together_but_the_first_and_those_around_a_stage_or_a_break() {
        let mut halved = Halved::default();
        let mut out = Vec::new();
        for (at, stage) in [(1, 5.0), (2, 5.0), (3, 5.0), (4, 5.0), (5, 20.0), (6, 20.0), (7, 20.0)] {
            out.extend(halved.push(tick(at, stage)));
        }
        out.extend(halved.end());
        out.extend(halved.push(tick(8, 20.0)));
        out.extend(halved.end());
        out.extend(halved.end());
        let out: Vec<_> = out.iter().map(shown).collect();
        assert_eq!(out, [(1.0, 1.0), (3.0, 5.0), (4.0, 4.0), (6.0, 11.0), (7.0, 7.0), (8.0, 8.0)]);
        assert_eq!(halved.gone, 6);
    }
}
