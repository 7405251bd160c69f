//! The rollback verdict.

mod false_alarms;
mod properties;
