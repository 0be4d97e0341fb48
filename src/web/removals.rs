//! Who is forgotten is gone from what pages have kept, whichever process has forgotten them.
//!
//! The database counts how often somebody was taken out; what was read at an earlier count is thrown away.

use std::sync::{Mutex, PoisonError};

use super::fault::Fault;
use super::site::Site;

/// The count up to which nothing older is kept.
#[derive(Debug, Default)]
pub(super) struct Heeded(Mutex<i64>);

impl Site {
    /// Throws away what was read before the last removal. Asked first wherever what is kept may name somebody.
    pub(super) async fn heed_removals(&self) -> Result<(), Fault> {
        let removals = self.store.removals().await?;
        let mut heeded = self.heeded.0.lock().unwrap_or_else(PoisonError::into_inner);
        if removals > *heeded {
            self.searches.forget_all();
            self.run_numbers.forget_all();
            self.run_causes.forget_all();
            self.snapshots.forget();
            *heeded = removals;
        }
        Ok(())
    }
}
