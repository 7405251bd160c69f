//! Times the peers beside the bare service. `run.sh` makes the table.

use backstop_benches::{measure, peers, prepare};

fn main() {
    prepare();
    let mut criterion = measure::criterion();
    measure::all(&mut criterion, &peers::subjects());
    criterion.final_summary();
}
