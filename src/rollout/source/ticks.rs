//! Ticks from a growing file or a pipe.

use super::{Source, SourceError};
use crate::clock::timestamp;
use crate::rollback::{Tick, TickReader};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

/// Longest line, as the reader of ticks allows it.
const LINE_MAX: usize = 16 << 20;
/// Bytes that are searched at once for the end of a line.
const PART: u64 = 64 << 10;
/// Most lines of a pipe that wait to be looked at; the writer waits then.
const WAITING_MAX: usize = 64;
/// Most ticks that one look puts together.
const TICKS_MAX: usize = 1_000;

/// Reads ticks as JSON Lines: new lines of a growing file, or of a pipe.
///
/// A line counts when its line break is written. Lines that arrived since the look before are one tick. Times of the lines
/// are differences only: the last line's is the present.
///
/// # Examples
///
/// ```no_run
/// use backstop::rollout::source::TickLines;
///
/// let source = TickLines::file("ticks.jsonl")?;
/// # drop(source);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TickLines {
    input: Input,
    reader: TickReader,
    /// Seconds since 1970 at the ticks' 0.
    zero: Option<f64>,
    error: Option<SourceError>,
}

#[derive(Debug)]
enum Input {
    File { file: BufReader<File>, line: Vec<u8> },
    Pipe(Arc<Pipe>),
}

/// Lines that a thread has read.
#[derive(Debug, Default)]
struct Pipe {
    lines: Mutex<VecDeque<Vec<u8>>>,
    has_ended: AtomicBool,
}

impl TickLines {
    /// Reads a file from its beginning, and what is appended later.
    ///
    /// # Errors
    ///
    /// That of the system.
    pub fn file(path: impl AsRef<Path>) -> std::io::Result<Self> {
        let file = BufReader::new(File::open(path)?);
        Ok(Self::of(Input::File { file, line: Vec::new() }))
    }

    /// Reads what is appended to a file from now on: the lines in it were read before.
    ///
    /// # Errors
    ///
    /// That of the system.
    pub fn behind(path: impl AsRef<Path>) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let mut end = file.metadata()?.len();
        let mut part = Vec::new();
        // A line that is being written belongs to what follows.
        while end > 0 {
            let begin = end.saturating_sub(PART);
            file.seek(SeekFrom::Start(begin))?;
            part.clear();
            file.by_ref().take(end - begin).read_to_end(&mut part)?;
            if let Some(place) = part.iter().rposition(|byte| *byte == b'\n') {
                end = begin + place as u64 + 1;
                break;
            }
            end = begin;
        }
        file.seek(SeekFrom::Start(end))?;
        Ok(Self::of(Input::File { file: BufReader::new(file), line: Vec::new() }))
    }

    /// Reads a pipe, such as standard input, on a thread of its own.
    ///
    /// # Errors
    ///
    /// That of the system, which may have no thread.
    pub fn pipe(input: impl Read + Send + 'static) -> std::io::Result<Self> {
        let pipe = Arc::new(Pipe::default());
        let filled = Arc::clone(&pipe);
        std::thread::Builder::new().name("backstop-ticks".to_owned()).spawn(move || fill(input, &filled))?;
        Ok(Self::of(Input::Pipe(pipe)))
    }

    fn of(input: Input) -> Self {
        Self { input, reader: TickReader::new(), zero: None, error: None }
    }

    /// The next whole line; `None` if there is none yet.
    fn next(&mut self) -> Result<Option<Vec<u8>>, SourceError> {
        match &mut self.input {
            Input::File { file, line } => {
                let most = (LINE_MAX + 1 - line.len().min(LINE_MAX)) as u64;
                let read = file.by_ref().take(most).read_until(b'\n', line);
                read.map_err(|error| SourceError::new(format!("the ticks cannot be read: {error}")))?;
                let is_whole = line.last() == Some(&b'\n') || line.len() > LINE_MAX;
                Ok(is_whole.then(|| std::mem::take(line)))
            }
            Input::Pipe(pipe) => {
                // Acquire: pairs with the store at the end of the pipe, after its last line.
                let has_ended = pipe.has_ended.load(Ordering::Acquire);
                match pipe.lines.lock().pop_front() {
                    None if has_ended => Err(SourceError::new("the pipe of ticks has ended")),
                    line => Ok(line),
                }
            }
        }
    }
}

fn fill(input: impl Read, pipe: &Pipe) {
    let mut input = BufReader::new(input);
    loop {
        let mut line = Vec::new();
        match input.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        loop {
            let mut lines = pipe.lines.lock();
            if lines.len() < WAITING_MAX {
                lines.push_back(line);
                break;
            }
            drop(lines);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    // Release: pairs with the load in `next`.
    pipe.has_ended.store(true, Ordering::Release);
}

impl Source for TickLines {
    fn look(&mut self) -> Result<Option<Tick>, SourceError> {
        // A line that is no tick ends the source: the counters behind it are not known.
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let mut all: Option<Tick> = None;
        for _ in 0..TICKS_MAX {
            let line = match self.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(_) if all.is_some() => break,
                Err(error) => return Err(error),
            };
            let text = String::from_utf8_lossy(&line);
            match self.reader.read(&text) {
                Ok(Some(tick)) => {
                    all = Some(match all {
                        Some(before) => before.and(tick),
                        None => tick,
                    });
                }
                Ok(None) => {}
                Err(error) => {
                    let error = SourceError::new(format!("ticks: {error}"));
                    self.error = Some(error.clone());
                    return all.map_or(Err(error), |tick| Ok(Some(tick)));
                }
            }
        }
        let Some(mut tick) = all else { return Ok(None) };
        let now = timestamp().as_duration().as_secs_f64();
        tick.at += *self.zero.get_or_insert(now - tick.at);
        Ok(Some(tick))
    }
}
