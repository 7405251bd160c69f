//! Halving of the ticks on disk.

use super::halved::Halved;
use super::state::{KeptOverride, State, read};
use super::ticks::line;
use crate::fs::{self, Access, Failure};
use crate::rollback::TickReader;
use std::io::{self, BufWriter, Write as _};

/// Bytes that are written before it is tried again, after a failure as well.
const AGAIN: u64 = 8 << 20;

impl State {
    /// Halves the number of ticks. A process that is killed meanwhile leaves the old files or the new ones: `rollout.json` says
    /// which count.
    pub(super) fn halve(&mut self) {
        let (old, next) = (self.rollout.files, self.rollout.files.wrapping_add(1));
        match self.write_halved(next) {
            Ok((bytes, lines)) => {
                self.rollout.files = next;
                if self.write() {
                    self.remove(old);
                    (self.bytes, self.lines) = (bytes, lines);
                    self.ticks = self.append(&self.ticks_of(next));
                } else {
                    self.rollout.files = old;
                }
            }
            Err(failure) => self.error = Some(failure.to_string()),
        }
        self.halved_at = self.halved_at.max(self.bytes + AGAIN);
    }

    /// Writes the files of this number; returns the length and the lines of the ticks.
    fn write_halved(&self, files: u64) -> Result<(u64, u64), Failure> {
        let overrides = self.overrides();
        let (mut bytes, mut kept) = (0, Vec::new());
        let mut halved = Halved::default();
        let mut due = overrides.iter().peekable();
        let mut came = 0;
        let write = |file: &mut std::fs::File| {
            let mut file = BufWriter::new(file);
            let mut put = |tick: Option<crate::rollback::Tick>| -> io::Result<()> {
                let Some(tick) = tick else { return Ok(()) };
                let line = format!("{}\n", line(&tick));
                bytes += line.len() as u64;
                file.write_all(line.as_bytes())
            };
            let mut reader = TickReader::new();
            read(&self.ticks_of(self.rollout.files), |text| {
                // Lines that are no ticks are left out: the replay warned of those before its end.
                let Ok(Some(tick)) = reader.read(&String::from_utf8_lossy(text)) else { return Ok(()) };
                while let Some(one) = due.next_if(|one| one.after <= came) {
                    put(halved.end())?;
                    kept.push(KeptOverride { after: halved.gone, ..one.clone() });
                }
                came += 1;
                put(halved.push(tick))
            })?;
            put(halved.end())?;
            file.flush()
        };
        fs::replace_with(&self.ticks_of(files), write, Access::Private)?;
        kept.extend(due.map(|one| KeptOverride { after: halved.gone, ..one.clone() }));
        if !kept.is_empty() {
            let lines: Vec<_> = kept.iter().map(KeptOverride::line).collect();
            fs::replace(&self.overrides_of(files), lines.concat().as_bytes(), None)?;
        }
        Ok((bytes, halved.gone))
    }
}
