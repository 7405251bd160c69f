//! Output during the run: a line for each event and, on a terminal, a status line below.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

/// Tone of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Good,
    Bad,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Strong => "1",
            Self::Good => "32",
            Self::Bad => "1;31",
        }
    }
}

/// Standard output, with a status line if the terminal can redraw it.
pub(crate) struct Console {
    is_live: bool,
    /// The status line on screen.
    status: Mutex<String>,
}

impl Console {
    pub(crate) fn new() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let is_live = std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb;
        Self { is_live, status: Mutex::new(String::new()) }
    }

    /// Prints an event, `at` this time of the run.
    pub(crate) fn say(&self, at: Duration, who: &str, tone: Tone, text: &str) {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let mut block = format!("{:>7.2} s  {who:<8}  {}", at.as_secs_f64(), self.paint(tone, first));
        for line in lines {
            let _ = write!(block, "\n{:21}{line}", "");
        }
        self.print(&block);
    }

    pub(crate) fn heading(&self, text: &str) {
        let line = "─".repeat(text.chars().count());
        self.print(&format!("\n{}\n{line}", self.paint(Tone::Strong, text)));
    }

    pub(crate) fn print(&self, text: &str) {
        let status = self.status.lock().expect("printing does not panic");
        let mut out = std::io::stdout().lock();
        // A reader that has gone (`| head`) does not stop the run.
        let _ = if status.is_empty() { writeln!(out, "{text}") } else { write!(out, "\r\x1b[K{text}\n{status}") };
        let _ = out.flush();
    }

    /// Redraws the status line; an empty text erases it.
    pub(crate) fn status(&self, text: &str) {
        if self.is_live {
            let mut status = self.status.lock().expect("printing does not panic");
            *status = if text.is_empty() { String::new() } else { format!("\x1b[2m{text}\x1b[0m") };
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "\r\x1b[K{status}");
            let _ = out.flush();
        }
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        if self.is_live && tone != Tone::Plain {
            format!("\x1b[{}m{text}\x1b[0m", tone.code())
        } else {
            text.to_owned()
        }
    }
}
