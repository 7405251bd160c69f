//! Runs one operation of one subject many times and prints what it allocated.
//!
//! `count list` prints the subjects of this build. `count SUBJECT CASE CALLS` prints
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
        _ => Err("usage: count list | count SUBJECT CASE CALLS".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// One line a subject: name, title, mechanism and cases, separated by tabs.
fn list() {
    for subject in subjects() {
        let Subject { mechanism, name, title, .. } = subject;
        let cases = mechanism.cases().into_iter().filter(|case| subject.case(case).is_some());
        println!("{name}\t{title}\t{}\t{}", mechanism.as_str(), cases.collect::<Vec<_>>().join(" "));
    }
}

fn count(name: &str, case: &str, calls: &str) -> Result<(), String> {
    let calls: u64 = calls.parse().map_err(|_| format!("{calls} is not a number of calls"))?;
    let subject = subjects()
        .into_iter()
        .find(|subject| subject.name == name)
        .ok_or_else(|| format!("no subject {name} in this build"))?;
    let make = subject.case(case).ok_or_else(|| format!("{name} has no case {case}"))?;

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
