//! Events in doubt that a person has to look at: found where they stand, and noted once for each doubt.

use crate::store::{Result, Store, read, write_tx};

/// Which events in doubt nobody but a person will find out about.
macro_rules! needs_a_person {
    () => {
        "account = $1 and state = 'unknown' and told_attempt is distinct from claim_id
         and case when $2 then exists (select 1 from event_looks l
                                        where l.attempt_id = claim_id and l.look_at is null)
                  else cast($3 as bigint) is null or attempts >= $3
                       or exists (select 1 from runs r where r.id = run_id and r.status = 'canceled')
                       or not exists (select 1 from attempts a
                                       where a.id = claim_id and a.verdict in ('ambiguous', 'abandoned')) end"
    };
}

impl Store {
    /// Notes the events of an account that have come to need a person since that was last done; how many. Where
    /// Luma can be asked, looks for them must have ended; otherwise they are asked for again until they have
    /// had `asked_again_until` attempts, or not at all.
    pub async fn note_doubts(
        &self,
        account: &str,
        can_look_up: bool,
        asked_again_until: Option<u32>,
    ) -> Result<u64> {
        let until = asked_again_until.map(i64::from);
        let found: Option<i64> = read!(self, db => {
            sqlx::query_scalar(concat!("select id from event_queue where ", needs_a_person!(), " limit 1"))
                .bind(account)
                .bind(can_look_up)
                .bind(until)
                .fetch_optional(db)
                .await?
        });
        if found.is_none() {
            return Ok(0);
        }
        let noted = write_tx!(self, tx => {
            let mut events: Vec<i64> = sqlx::query_scalar(concat!(
                "update event_queue set told_attempt = claim_id where ",
                needs_a_person!(),
                " returning id"
            ))
            .bind(account)
            .bind(can_look_up)
            .bind(until)
            .fetch_all(&mut *tx)
            .await?;
            events.sort_unstable();
            if !events.is_empty() {
                sqlx::query("insert into notices (account, events, standing) values ($1, $2, 'unknown')")
                    .bind(account)
                    .bind(serde_json::json!(events).to_string())
                    .execute(&mut *tx)
                    .await?;
            }
            events.len()
        });
        Ok(noted as u64)
    }
}
