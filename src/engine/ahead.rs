//! The ledger read ahead of the rows that are held against it: part by part, while the file is
//! still being read, and no further ahead than fits in little memory.

use tokio::sync::mpsc;

use super::{Engine, EngineError};
use crate::ingest::spill::hash_range;
use crate::store::{LedgerSlice, StoreError};

/// A ledger so many times larger than the part is asked row by row.
const SPARSE: u64 = 12;
/// Bytes of a row, for all we know before it is read.
const ROW_BYTES: u64 = 50;
/// Slices that wait for their part.
const WAITING: usize = 12;

/// Where the ledger's side of a part comes from.
pub(super) enum LedgerAhead {
    /// Nobody was delivered yet.
    Nothing,
    /// The list is short and the ledger long: asked for by the hashes of the part.
    Asked,
    /// The slices of all parts in their order.
    Sliced(mpsc::Receiver<Result<LedgerSlice, StoreError>>),
}

impl LedgerAhead {
    /// The ledger's side of the next part; `None` where it is to be asked for.
    pub(super) async fn next(&mut self) -> Result<Option<LedgerSlice>, EngineError> {
        match self {
            Self::Nothing => Ok(Some(LedgerSlice::default())),
            Self::Asked => Ok(None),
            Self::Sliced(slices) => match slices.recv().await {
                Some(slice) => Ok(Some(slice?)),
                // Fewer slices than parts cannot be; asking is right all the same.
                None => Ok(None),
            },
        }
    }
}

impl Engine {
    /// Begins to read the ledger for the parts from `first` on of a file that holds about so many bytes.
    pub(super) async fn read_ledger_ahead(
        &self,
        first: u32,
        parts: u32,
        bytes: u64,
    ) -> Result<LedgerAhead, EngineError> {
        let account = self.settings.account.clone();
        let members = self.store.account(&account).await?.map_or(0, |account| account.members);
        if members == 0 {
            return Ok(LedgerAhead::Nothing);
        }
        if members / SPARSE > bytes / ROW_BYTES {
            return Ok(LedgerAhead::Asked);
        }
        let store = self.store.clone();
        let (to, slices) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            for part in first..parts {
                let (from, until) = hash_range(part, parts);
                let slice = store.ledger_range(&account, from, until).await;
                let is_last = slice.is_err();
                // Nobody listens any more where the file turned out to be none.
                if to.send(slice).await.is_err() || is_last {
                    return;
                }
            }
        });
        Ok(LedgerAhead::Sliced(slices))
    }
}
