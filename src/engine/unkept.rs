//! The lines of a file that ended without a row in the queue, read back in the order of the file.
//!
//! They lie packed, part by part. Knows nothing of what is made of them.

use tokio::sync::mpsc;

use super::EngineError;
use super::lines::{UnkeptLine, unpack};
use super::merge::Merge;
use crate::store::Store;

/// Lines on their way from the database.
const IN_TRANSIT: usize = 4_096;

/// The first duplicates of a run as (line, line of the twin), where they are still known.
pub async fn first_duplicates(
    store: &Store,
    run_id: i64,
    limit: usize,
) -> Result<Vec<(u64, u64)>, EngineError> {
    let parts = match store.file_of_run(run_id).await? {
        Some(file) => file.parts,
        None => store.pass_of_run(run_id).await?.map_or(0, |pass| pass.parts),
    };
    if parts == 0 {
        return Ok(Vec::new());
    }
    let (to, mut lines) = mpsc::channel(IN_TRANSIT);
    let sender = {
        let store = store.clone();
        tokio::spawn(async move { send_unkept(&store, run_id, parts, to).await })
    };
    let mut found = Vec::new();
    while found.len() < limit {
        match lines.recv().await {
            Some(line) if line.twin > 0 => found.push((line.line, line.twin)),
            Some(_) => {}
            None => break,
        }
    }
    drop(lines);
    sender.await??;
    Ok(found)
}

/// Sends the lines that are not kept, in order, part by part joined.
pub(super) async fn send_unkept(
    store: &Store,
    run_id: i64,
    parts: u32,
    to: mpsc::Sender<UnkeptLine>,
) -> Result<(), EngineError> {
    let mut merge = Merge::default();
    for part in 0..parts {
        refill(store, run_id, part, 0, &mut merge).await?;
    }
    while let Some((line, emptied)) = merge.next() {
        if to.send(line).await.is_err() {
            break;
        }
        if let Some((part, chunk)) = emptied {
            refill(store, run_id, part, chunk + 1, &mut merge).await?;
        }
    }
    Ok(())
}

async fn refill(
    store: &Store,
    run_id: i64,
    part: u32,
    chunk: u32,
    merge: &mut Merge,
) -> Result<(), EngineError> {
    if let Some(packed) = store.unkept_chunk(run_id, part, chunk).await? {
        let broken = || crate::store::StoreError::Corrupt {
            table: "unkept_lines",
            column: "lines",
            value: format!("run {run_id}, part {part}, chunk {chunk}"),
        };
        merge.add(part, chunk, unpack(&packed).ok_or_else(broken)?);
    }
    Ok(())
}
