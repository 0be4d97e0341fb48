//! A run is given up because a person says so: what is not sent will not be.
//!
//! Needs no engine: whoever works on the run finds it canceled.

use crate::clock::Clock;
use crate::store::{CanceledRun, FileState, PassState, Store, StoreError};

/// Where a worker settles a batch of the run at the same moment, one of the two is undone and comes again.
const TRIES: u32 = 5;

/// Gives up what is left of a run; `None` where nothing is. `hand` is whose: "hand", or a name.
pub async fn cancel(
    store: &Store,
    run: i64,
    hand: &str,
    clock: &Clock,
) -> Result<Option<CanceledRun>, StoreError> {
    let reason = reason(store, run, hand).await?;
    for _ in 1..TRIES {
        match store.cancel_run(run, &reason, clock.now()).await {
            Err(error) if error.is_conflict() => {}
            done => return done,
        }
    }
    store.cancel_run(run, &reason, clock.now()).await
}

async fn reason(store: &Store, run: i64, hand: &str) -> Result<String, StoreError> {
    let file = store.file_of_run(run).await?.filter(|file| file.state == FileState::Taking);
    if let Some(file) = file {
        return Ok(format!(
            "canceled by {hand} when {} of {} parts of the file were taken in; its other rows never were",
            file.parts_done, file.parts
        ));
    }
    Ok(match store.pass_of_run(run).await?.filter(|pass| pass.state == PassState::Taking) {
        Some(_) => format!("canceled by {hand} while the source was taken in; its other rows never were"),
        None => format!("canceled by {hand}"),
    })
}
