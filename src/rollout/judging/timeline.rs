//! Time of a rollout, from a source's clock and from ours.

/// Difference between both clocks beyond which the source's was set.
const SET: f64 = 60.0;

/// Maps times of a source to seconds since the rollout began, which never go back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timeline {
    /// Our time minus the source's.
    offset: Option<f64>,
    last: f64,
}

impl Timeline {
    /// After ticks up to this time.
    pub(super) fn resumed(last: f64) -> Self {
        Self { offset: None, last }
    }

    /// The time of a tick of the source; `now` is ours, in seconds since the rollout began. The source's clock gives the
    /// differences; one that was set begins anew.
    pub(super) fn of_source(&mut self, at: f64, now: f64) -> f64 {
        let offset = *self.offset.get_or_insert(now - at);
        if (at + offset - now).abs() > SET {
            self.offset = Some(now - at);
        }
        self.own(at + self.offset.unwrap_or(offset))
    }

    /// A time of our own.
    pub(super) fn own(&mut self, now: f64) -> f64 {
        self.last = self.last.max(now);
        self.last
    }

    /// Time of the last tick.
    pub(super) fn last(&self) -> f64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "whole seconds")]
    fn a_source_whose_clock_is_set_goes_on_at_our_time() {
        let mut time = Timeline::default();
        assert_eq!(time.of_source(1_000.0, 2.0), 2.0);
        assert_eq!(time.of_source(1_015.0, 17.3), 17.0);
        assert_eq!(time.of_source(9_000.0, 18.0), 18.0, "an hour later");
        assert_eq!(time.of_source(9_001.0, 19.2), 19.0);
        assert_eq!(time.of_source(8_995.0, 20.0), 19.0, "back by little");
        assert_eq!(time.own(25.0), 25.0);
        assert_eq!(time.last(), 25.0);
    }
}
