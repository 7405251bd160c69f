//! Runs one operation of one subject many times and prints what it allocated.
//!
//! `count list` prints the subjects of this build. `count SUBJECT closed|open CALLS` prints
//! `CALLS calls, ALLOCATIONS allocations`. Under callgrind, collect only inside [`measured`] and
//! take the difference of two runs with different numbers of calls: set-up, warm-up and the clock
//! calibration of the recorder then do not count.

use std::process::ExitCode;

use backstop_benches::allocations::{self, CountingAllocator};
use backstop_benches::{Runner, Subject, prepare, subjects};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Calls before the counting begins: enough to fill every peer's window and first buffers.
const WARM_UP: u64 = 2_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["list"] => {
            list();
            Ok(())
        }
        [name, case, calls] => count(name, case, calls),
        _ => Err("usage: count list | count SUBJECT closed|open CALLS".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// One line a subject: name, title and cases, separated by tabs.
fn list() {
    for Subject { name, title, closed, open } in subjects() {
        let cases: Vec<&str> = [closed.map(|_| "closed"), open.map(|_| "open")].into_iter().flatten().collect();
        println!("{name}\t{title}\t{}", cases.join(" "));
    }
}

fn count(name: &str, case: &str, calls: &str) -> Result<(), String> {
    let calls: u64 = calls.parse().map_err(|_| format!("{calls} is not a number of calls"))?;
    let subject = subjects()
        .into_iter()
        .find(|subject| subject.name == name)
        .ok_or_else(|| format!("no subject {name} in this build"))?;
    let make = match case {
        "closed" => subject.closed,
        "open" => subject.open,
        _ => return Err(format!("{case} is neither closed nor open")),
    }
    .ok_or_else(|| format!("{name} has no case {case}"))?;

    prepare();
    let instance = make();
    let mut runner = instance.runner();
    let warm = runner(WARM_UP);
    let before = allocations::so_far();
    let expected = measured(&mut runner, calls);
    let allocated = allocations::so_far() - before;
    if !(warm && expected) {
        return Err(format!("a call on {name} did not end as expected"));
    }
    println!("{calls} calls, {allocated} allocations");
    Ok(())
}

/// A function of its own, so that callgrind can tell it from the set-up.
#[inline(never)]
fn measured(runner: &mut Runner, calls: u64) -> bool {
    runner(calls)
}
