//! Rows on their way into parts: what one reading of an input finds.
//!
//! Nothing is written before an input was read to its end, so that what breaks off leaves nothing behind.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::{EngineError, Stop};
use crate::domain::state::RowState;
use crate::domain::tag::TagSets;
use crate::ingest::Row;
use crate::ingest::spill::{Spill, SpillWriter};

/// How often the reader looks up whether it is to stop, in lines.
const STOP_STEP: u64 = 1_024;

/// What one reading finds.
pub(super) struct Survey {
    pub(super) spill: Spill,
    pub(super) sets: TagSets,
    pub(super) shape: String,
    /// Invalid rows, and the first of them.
    pub(super) invalid: u64,
    pub(super) first_invalid: Option<(u64, String)>,
}

/// Takes the rows of one reading.
pub(super) struct Surveyor {
    writer: SpillWriter,
    dir: PathBuf,
    stop: Stop,
    invalid: u64,
    first_invalid: Option<(u64, String)>,
    failed: Option<io::Error>,
}

impl Surveyor {
    /// Divides rows into parts, in a file in `dir` where they are many.
    pub(super) fn new(parts: u32, dir: PathBuf, stop: Stop) -> Self {
        let writer = SpillWriter::new(parts, &dir);
        Self { writer, dir, stop, invalid: 0, first_invalid: None, failed: None }
    }

    /// Takes a row, unless it is time to stop.
    pub(super) fn take(&mut self, row: Row<'_>) -> ControlFlow<()> {
        if row.line.is_multiple_of(STOP_STEP) && self.stop.is_requested() {
            return ControlFlow::Break(());
        }
        let pushed = match row.read {
            Ok(member) => {
                let (address, set) = (&member.address, member.tag_set);
                self.writer.push(address.key_hash(), row.line, set, address.canonical(), &member.name)
            }
            Err(error) => {
                if error.code.state_at_intake() == RowState::Invalid {
                    self.invalid += 1;
                    self.first_invalid.get_or_insert_with(|| (row.line, error.reason.clone()));
                }
                let email = error.email.as_deref().unwrap_or_default();
                self.writer.push_bad(row.line, error.code, email, &error.reason)
            }
        };
        match pushed {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Bytes that the rows take.
    pub(super) fn bytes(&self) -> u64 {
        self.writer.bytes()
    }

    /// Ends the reading: in so many parts, if it was not cut short.
    pub(super) fn finish(self, parts: u32, sets: TagSets, shape: String) -> Result<Survey, EngineError> {
        if self.stop.is_requested() {
            return Err(EngineError::Stopped);
        }
        if let Some(error) = self.failed {
            return Err(EngineError::io("put rows aside in", &self.dir)(error));
        }
        let Self { writer, invalid, first_invalid, .. } = self;
        Ok(Survey { spill: writer.finish_in(parts), sets, shape, invalid, first_invalid })
    }
}
