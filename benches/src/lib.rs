//! Cost per call of a circuit breaker, a bulkhead, both together and a kill switch: ours beside their peers.
//!
//! A [`Subject`] is one row of a table: an instance that admits calls and one that rejects them. The
//! criterion benches time every subject with one loop ([`measure`]); `src/bin/count.rs` counts its
//! allocations and, under callgrind, its instructions. `run.sh` puts the figures into one table for
//! each [`Mechanism`].

pub mod allocations;
pub mod bare;
#[cfg(feature = "end-to-end")]
pub mod end_to_end;
#[cfg(feature = "peers")]
pub mod measure;
#[cfg(feature = "ours")]
pub mod ours;
#[cfg(feature = "peers")]
pub mod peers;
pub mod quiet;
#[cfg(feature = "recorder")]
pub mod recorder;
pub mod subject;

pub use subject::{Instance, Mechanism, Runner, Subject};

/// Every subject of this build, in the order of the tables: the bare service first.
pub fn subjects() -> Vec<Subject> {
    [
        vec![bare::SUBJECT],
        #[cfg(feature = "peers")]
        peers::subjects(),
        #[cfg(feature = "ours")]
        ours::subjects(),
        #[cfg(feature = "end-to-end")]
        end_to_end::subjects(),
    ]
    .concat()
}

/// Puts the process into the state that the figures are for: with a recorder, if this build has one.
pub fn prepare() {
    #[cfg(feature = "recorder")]
    recorder::install();
}

/// Work that a service does aside, such as folding histogram samples. Never timed.
pub fn tidy() {
    #[cfg(feature = "recorder")]
    recorder::upkeep();
}
