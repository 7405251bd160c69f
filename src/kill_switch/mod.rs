//! An emergency stop for one capability.
