//! What a run's requests have come to, for whoever has to tell bad rows from a bad request.

use super::rows::DOUBTED_PRIORITY;
use super::{ClaimedBatch, Result, Store, read};
use crate::clock::Time;
use crate::domain::refusal::{Answer, Control, Evidence, Tally};
use crate::domain::tag::TagSet;

/// People accepted last, of whom somebody may still be sent.
const CANDIDATES: i64 = 100;

impl Store {
    /// What became of the run's requests: of those with this tag set since the first of these moments,
    /// of all since the second. They are when a control last proved that rows were to blame.
    pub async fn evidence(&self, run_id: i64, tag_set_id: i64, since: [Time; 2]) -> Result<Evidence> {
        let (is_halted, is_insisted, same_accepted, same_refused, accepted, refused): (
            bool,
            bool,
            bool,
            i64,
            bool,
            i64,
        ) = read!(self, db => {
            sqlx::query_as(
                "select exists (select 1 from runs where id = $1 and status = 'failed'),
                        exists (select 1 from batches where run_id = $1 and priority >= $5),
                        exists (select 1 from batches
                                 where run_id = $1 and tag_set_id = $2 and state = 'delivered'),
                        (select count(*) from batches
                          where run_id = $1 and tag_set_id = $2 and state = 'rejected' and row_count = 1
                            and settled_at > $3
                            and coalesce(settled_at > (select max(settled_at) from batches
                                                        where run_id = $1 and tag_set_id = $2
                                                          and state = 'delivered'), true)),
                        exists (select 1 from batches where run_id = $1 and state = 'delivered'),
                        (select count(*) from batches
                          where run_id = $1 and state = 'rejected' and row_count = 1 and settled_at > $4
                            and coalesce(settled_at > (select max(settled_at) from batches
                                                        where run_id = $1 and state = 'delivered'), true))",
            )
            .bind(run_id)
            .bind(tag_set_id)
            .bind(since[0])
            .bind(since[1])
            .bind(DOUBTED_PRIORITY)
            .fetch_one(db)
            .await?
        });
        let tally = |accepted, refused: i64| Tally { accepted, refused_alone: refused.unsigned_abs() };
        Ok(Evidence {
            same_tags: tally(same_accepted, same_refused),
            in_run: tally(accepted, refused),
            is_insisted,
            is_halted,
            control: Answer::None,
        })
    }

    /// Somebody whom Luma accepted last in the run of this batch and who may still be sent, and the tags that
    /// went with them.
    pub async fn accepted_row(
        &self,
        batch: &ClaimedBatch,
        control: Control,
    ) -> Result<Option<(String, TagSet)>> {
        let tag_set = (control == Control::SameTags).then_some(batch.tag_set_id);
        let found: Vec<(String, String)> = read!(self, db => {
            sqlx::query_as(
                "select coalesce(q.address, q.email), t.tags
                   from batches b
                   join member_queue q on q.batch_id = b.id
                   join tag_sets t on t.id = b.tag_set_id
                  where b.run_id = $1 and ($2 is null or b.tag_set_id = $2)
                    and b.state = 'delivered' and (q.state = 'delivered' or q.state = 'verified')
                  order by b.id desc, q.id limit $3",
            )
            .bind(batch.run_id)
            .bind(tag_set)
            .bind(CANDIDATES)
            .fetch_all(db)
            .await?
        });
        let screen = self.screen(&batch.account).await?;
        let found = found.into_iter().find(|(email, _)| screen.reason(email).is_none());
        found.map(|(email, tags)| Ok((email, super::ledger::parse_tag_set(&tags)?))).transpose()
    }
}
