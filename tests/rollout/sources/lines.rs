//! Ticks from a growing file and from a pipe.

use crate::kit::{requests, until};
use backstop::rollout::source::{Source as _, TickLines};
use std::io::Write as _;

fn line(at: u32, requests: u32) -> String {
    format!("{{\"at\":{at},\"canary\":{{\"segments\":{{\"default\":{{\"requests\":{requests}}}}}}}}}\n")
}

#[test]
fn whole_lines_of_a_growing_file_are_one_tick_a_look() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    let mut source = TickLines::file(&path).unwrap();
    assert_eq!(source.look().unwrap(), None);
    let text = [line(1, 10), line(2, 20), line(3, 30)].concat();
    let (first, rest) = text.split_at(text.len() - 10);
    file.write_all(first.as_bytes()).unwrap();
    let tick = source.look().unwrap().unwrap();
    assert_eq!(requests(tick.canary()).0, 30.0);
    assert_eq!(source.look().unwrap(), None, "a line without its end");
    file.write_all(rest.as_bytes()).unwrap();
    let next = source.look().unwrap().unwrap();
    assert_eq!((requests(next.canary()).0, next.at() - tick.at()), (30.0, 1.0));
    file.write_all(b"{\"at\": 4, \"canary\": {\"sements\": {}}}\n").unwrap();
    for _ in 0..2 {
        let error = source.look().unwrap_err().to_string();
        assert!(error.starts_with("ticks: line 4: canary") && error.contains("sements"), "{error}");
    }
}

#[test]
fn a_pipe_is_read_until_it_ends() {
    let text = (1..=500).map(|at| line(at, 1)).collect::<String>();
    let mut source = TickLines::pipe(std::io::Cursor::new(text)).unwrap();
    let mut total = 0.0;
    let error = until("the pipe ends", || match source.look() {
        Ok(tick) => {
            total += tick.map_or(0.0, |tick| requests(tick.canary()).0);
            None
        }
        Err(error) => Some(error.to_string()),
    });
    assert_eq!((total, error.as_str()), (500.0, "the pipe of ticks has ended"));
}
