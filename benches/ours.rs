//! Times our own rows and whole requests, with the harness of `peers.rs`. `run.sh --ours` makes the table.

use backstop_benches::{end_to_end, measure, ours, prepare};

fn main() {
    prepare();
    let mut criterion = measure::criterion();
    measure::all(&mut criterion, &[ours::subjects(), end_to_end::subjects()].concat());
    criterion.final_summary();
}
