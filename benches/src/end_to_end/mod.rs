//! Whole requests, as users make them: bare, behind layers of others, and behind ours.

mod client;
mod grpc;
mod pass_through;
mod route;

use backstop::protect::{Protect, Switched, protect};

use crate::ours::{bulkhead, circuit_breaker, kill_switch};
use crate::{Instance, Mechanism, Subject};

/// The rows, in the order of the tables.
pub fn subjects() -> Vec<Subject> {
    let mut subjects = route::ROWS.to_vec();
    subjects.extend(grpc::ROWS.into_iter().chain(client::ROWS));
    subjects
}

const fn row(mechanism: Mechanism, name: &'static str, title: &'static str, admits: fn() -> Instance) -> Subject {
    Subject { mechanism, name, title, admits: Some(admits), rejects: None }
}

/// All three of ours in one layer.
fn all_three() -> Protect<Switched> {
    protect()
        .kill_switch(&kill_switch::released())
        .circuit_breaker(&circuit_breaker::count())
        .bulkhead(&bulkhead::roomy())
}
