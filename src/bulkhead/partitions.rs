//! Shares of a bulkhead: each partition has some permits guaranteed, and borrows what the others leave idle.

/// Whether guaranteed shares may exceed the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum PartitionTotal {
    /// Never more calls in flight than the limit. While others borrow a partition's share, it has to wait for
    /// their calls to end; then it goes first. Without a queue it is rejected meanwhile.
    #[default]
    Hard,
    /// A partition below its share always gets a permit, although others borrow from it: up to twice the limit
    /// can then be in flight, and if a share is less than one permit, that one as well.
    Soft,
}

/// The place of calls that belong to no partition: nothing is guaranteed to them.
pub(crate) const UNPARTITIONED: usize = 0;

/// Partitions of a bulkhead, and the calls in each.
#[derive(Debug)]
pub(crate) struct Partitions {
    total: PartitionTotal,
    /// By place; that of calls without a partition is 0.
    shares: Vec<f64>,
    in_flight: Vec<u32>,
}

impl Partitions {
    pub(crate) fn new(total: PartitionTotal, shares: impl IntoIterator<Item = f64>) -> Self {
        let shares: Vec<f64> = std::iter::once(0.0).chain(shares).collect();
        Self { total, in_flight: vec![0; shares.len()], shares }
    }

    /// Takes new shares; the calls in flight stay whose they are.
    pub(crate) fn reshare(&mut self, total: PartitionTotal, shares: impl IntoIterator<Item = f64>) {
        let in_flight = std::mem::take(&mut self.in_flight);
        *self = Self::new(total, shares);
        for (now, before) in self.in_flight.iter_mut().zip(in_flight) {
            *now = before;
        }
    }

    /// Number of partitions, with the one for calls without a partition.
    pub(crate) fn len(&self) -> usize {
        self.shares.len()
    }

    pub(crate) fn in_flight(&self, partition: usize) -> u32 {
        self.in_flight[partition]
    }

    /// Permits that are a partition's own: its share of the limit rounded up, at least one.
    pub(crate) fn guaranteed(&self, partition: usize, limit: u32) -> u32 {
        if partition == UNPARTITIONED {
            return 0;
        }
        // A share like 0.3 of 10 is 3 and not, by a hair, 4.
        let permits = (f64::from(limit) * self.shares[partition] - 1e-9).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is at most 1")]
        {
            (permits as u32).max(1)
        }
    }

    /// Places in the queue that are a partition's own: its share of them rounded down, at least one.
    pub(crate) fn own_places(&self, partition: usize, places: usize) -> usize {
        if partition == UNPARTITIONED {
            return 0;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is at most 1")]
        {
            ((places as f64 * self.shares[partition] + 1e-9) as usize).max(1)
        }
    }

    /// Returns whether a partition uses less than is its own.
    pub(crate) fn is_below_share(&self, partition: usize, limit: u32) -> bool {
        self.in_flight[partition] < self.guaranteed(partition, limit)
    }

    pub(crate) fn may_enter(&self, partition: usize, in_flight: u32, limit: u32) -> bool {
        in_flight < limit || self.total == PartitionTotal::Soft && self.is_below_share(partition, limit)
    }

    pub(crate) fn enter(&mut self, partition: usize) {
        self.in_flight[partition] += 1;
    }

    pub(crate) fn exit(&mut self, partition: usize) {
        self.in_flight[partition] = self.in_flight[partition].saturating_sub(1);
    }

    pub(crate) fn clear(&mut self) {
        self.in_flight.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up_and_at_least_one() {
        let partitions = Partitions::new(PartitionTotal::Hard, [0.3, 0.01, 0.34]);
        let guaranteed: Vec<_> = (0..4).map(|partition| partitions.guaranteed(partition, 10)).collect();
        assert_eq!(guaranteed, [0, 3, 1, 4]);
    }

    #[test]
    fn only_a_soft_total_lets_a_share_exceed_the_limit() {
        for (total, enters) in [(PartitionTotal::Hard, false), (PartitionTotal::Soft, true)] {
            let mut partitions = Partitions::new(total, [0.3, 0.7]);
            (0..10).for_each(|_| partitions.enter(1));
            assert!(!partitions.may_enter(1, 10, 10), "the borrower is above its share");
            assert_eq!(partitions.may_enter(2, 10, 10), enters);
            assert!(!partitions.may_enter(UNPARTITIONED, 10, 10));
        }
    }

    #[test]
    fn new_shares_leave_the_calls_in_flight_whose_they_are() {
        let mut partitions = Partitions::new(PartitionTotal::Hard, [0.5, 0.5]);
        partitions.enter(2);
        partitions.reshare(PartitionTotal::Soft, [0.9, 0.1]);
        assert_eq!((partitions.in_flight(2), partitions.guaranteed(1, 10)), (1, 9));
        partitions.exit(2);
        partitions.exit(2);
        assert_eq!(partitions.in_flight(2), 0);
    }
}
