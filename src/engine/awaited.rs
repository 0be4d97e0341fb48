//! Who is pending already in a source's earlier runs: the next pass leaves them to those.
//!
//! They are divided as the rows of the pass are, so that each part meets its own, in constant memory.

use std::io;
use std::path::PathBuf;

use super::{Engine, EngineError};
use crate::ingest::spill::{Spill, SpillWriter};
use crate::store::LedgerSlice;

/// People who will be sent without the pass, by part.
pub(super) struct Awaited {
    spill: Spill,
    pub(super) dir: PathBuf,
}

impl Awaited {
    /// Adds those of a part to what the ledger has: they are as good as delivered to whoever comes later.
    pub(super) fn add_to(&self, ledger: &mut LedgerSlice, part: u32) -> io::Result<()> {
        let rows = self.spill.load(part)?;
        for place in 0..rows.len() {
            let row = rows.row(place);
            // Their number of a tag set is the database's; it stands where files have a line.
            ledger.add_awaited(row.email(), row.line.cast_signed());
        }
        Ok(())
    }
}

impl Engine {
    /// Reads who is pending in a source's open runs. To be asked before the ledger: who is delivered in
    /// between is in one of both.
    pub(super) async fn awaited(&self, source: &str, parts: u32) -> Result<Option<Awaited>, EngineError> {
        let dir = self.settings.spill_dir.clone();
        let mut writer = SpillWriter::new(parts, &dir);
        let mut last = 0;
        loop {
            // A batch that is split meanwhile leaves its rows to batches with higher numbers.
            let batches = self.store.awaited_batches(&self.settings.account, source, last).await?;
            let Some(newest) = batches.last() else { break };
            last = *newest;
            for batch in batches {
                for (hash, key, tag_set) in self.store.awaited_rows(batch).await? {
                    let pushed = writer.push(hash, tag_set.unsigned_abs(), 0, &key, "");
                    pushed.map_err(EngineError::io("put rows aside in", &dir))?;
                }
            }
        }
        Ok((last > 0).then(|| Awaited { spill: writer.finish(), dir }))
    }
}
