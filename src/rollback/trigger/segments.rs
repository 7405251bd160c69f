//! Values of a trigger by segment: at most a thousand.

use std::collections::BTreeMap;

const SEGMENTS_MAX: usize = 1000;

/// A value for each segment. The one that was not seen for longest makes room for a new one.
#[derive(Clone, Debug)]
pub(super) struct BySegment<T>(BTreeMap<String, (f64, T)>);

impl<T> BySegment<T> {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value of a segment that is seen at this time.
    pub(super) fn seen(&mut self, name: &str, at: f64, new: impl FnOnce() -> T) -> &mut T {
        if !self.0.contains_key(name) {
            if self.0.len() >= SEGMENTS_MAX
                && let Some((oldest, _)) = self.0.iter().min_by(|(_, one), (_, other)| one.0.total_cmp(&other.0))
            {
                let oldest = oldest.clone();
                self.0.remove(&oldest);
            }
            self.0.insert(name.to_owned(), (at, new()));
        }
        let (seen, value) = self.0.get_mut(name).expect("it was there or is new");
        *seen = at;
        value
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, (_, value))| (&**name, value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.values_mut().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_goes_on_is_kept_and_those_that_are_over_make_room() {
        let mut segments = BySegment::new();
        for at in 0..3 * SEGMENTS_MAX {
            *segments.seen("a goes on", at as f64, || 0) += 1;
            segments.seen(&format!("over {at}"), at as f64, || 0);
        }
        assert_eq!(segments.len(), SEGMENTS_MAX);
        assert_eq!(*segments.seen("a goes on", 9e9, || 0), 3 * SEGMENTS_MAX);
    }
}
