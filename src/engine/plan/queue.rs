//! What taking in the rows of the queue would send.

use std::collections::HashMap;

use super::tally::Tally;
use super::{Engine, EngineError, PlannedInput, Stop};
use crate::domain::tag::TagSet;
use crate::engine::queue::{is_covered, sorted, unknown};
use crate::store::{LedgerEntry, QueueOutcome, RunSource};

impl Engine {
    /// What the rows of the queue would send that nobody has read; `None` where there are none.
    pub async fn plan_queue(&self, stop: &Stop) -> Result<Option<PlannedInput>, EngineError> {
        let screen = self.store.screen(&self.settings.account).await?;
        let mut tally = Tally::new(self.settings.limits);
        let (mut after, mut read) = (0, 0);
        loop {
            let rows =
                self.store.new_rows_after(&self.settings.account, after, self.settings.queue_rows).await?;
            let Some(last) = rows.last() else { break };
            if stop.is_requested() {
                return Err(EngineError::Stopped);
            }
            (after, read) = (last.id, read + rows.len() as u64);
            self.list_tags(stop).await?;
            self.find_tags(&unknown(&self.tag_book(), &rows), stop).await?;
            let (ended, candidates) = self.parse(&rows, &self.tag_book(), &screen);
            let emails: HashMap<i64, &str> = rows.iter().map(|row| (row.id, row.email.as_str())).collect();
            let mut duplicates = 0;
            for row in &ended {
                match &row.outcome {
                    QueueOutcome::Ended { code: crate::domain::code::Code::Duplicate, .. } => duplicates += 1,
                    QueueOutcome::Ended { code, reason, .. } => {
                        let email = emails.get(&row.id).copied().unwrap_or_default();
                        tally.refused(row.id.unsigned_abs(), email, *code, reason);
                    }
                    QueueOutcome::Pending { .. } => {}
                }
            }
            let hashes = sorted(candidates.iter().map(|candidate| candidate.address.key_hash()));
            let ledger = self.store.ledger_lookup(&self.settings.account, &hashes).await?;
            let stored = self.store.tag_sets().await?;
            let delivered: HashMap<&str, &TagSet> = ledger
                .entries()?
                .iter()
                .filter_map(|LedgerEntry { email_key, tag_set, .. }| Some((*email_key, stored.get(tag_set)?)))
                .collect();
            let mut unchanged = 0;
            for candidate in &candidates {
                if is_covered(candidate, &delivered) {
                    unchanged += 1;
                    continue;
                }
                let (contact, line) = (candidate.contact(), candidate.row.id.unsigned_abs());
                let has = delivered.get(candidate.address.key()).copied();
                tally.person(line, &contact, &candidate.tags, has, self.client.contact_bytes(&contact));
            }
            tally.ended(rows.len() as u64, unchanged, duplicates);
            tally.end_part();
        }
        if read == 0 {
            return Ok(None);
        }
        let account = self.settings.account.clone();
        let mut input = PlannedInput { account, tags_to_make: self.tags.imagined(), ..tally.finish() };
        self.ask_guards(&mut input, RunSource::Queue, "member_queue", false).await?;
        // What comes in small numbers goes out as it comes, whatever it is.
        if self.store.filling_run(&self.settings.account).await?.is_none() && !self.is_rush().await? {
            input.concerns.clear();
        }
        Ok(Some(input))
    }
}
