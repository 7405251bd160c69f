//! Times our own rows, with the harness of `peers.rs`. `run.sh --ours` makes the table.

use backstop_benches::{measure, ours, prepare};

fn main() {
    prepare();
    let mut criterion = measure::criterion();
    measure::all(&mut criterion, &ours::subjects());
    criterion.final_summary();
}
