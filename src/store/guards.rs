//! Runs that wait for a person: what is asked before a run is let go, what it is held for, who let it go.
//!
//! A run is held by its status alone: claims take batches of running runs only. What is too much is decided
//! by `domain::guard`.

use super::lossy::Lossy;
use super::runs::enter_run;
use super::{NewRun, Result, Run, Store, StoreError, dialect::lock_rows, int, read, write_tx};
use crate::clock::Time;
use crate::domain::guard::{Concern, ConcernCode, Findings};
use crate::domain::state::RunStatus;

/// A run that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct HeldRun {
    /// Its number.
    pub id: i64,
    /// Whose key it uses.
    pub account: String,
    /// What people call it.
    pub label: String,
    /// Why it is held.
    pub reason: String,
}

/// A row as an example.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Sample {
    /// The line of its file, or its number where there is none.
    pub place: i64,
    /// The address.
    #[sqlx(try_from = "Lossy")]
    pub email: String,
}

/// Rows that are to be sent, `q`, of people of whom nothing was delivered.
macro_rules! is_new_member {
    () => {
        "q.state = 'pending' and not exists
            (select 1 from ledger l
              where l.account = q.account and l.key_hash = q.key_hash
                and l.email_key = lower(coalesce(q.address, q.email)))"
    };
}

impl Store {
    /// What a run whose input is taken in came to.
    pub async fn findings(&self, run: &Run) -> Result<Findings> {
        // What a cursor reads is what has come since, and half a list is none.
        let is_a_list: bool = read!(self, db => {
            sqlx::query_scalar(
                "select not exists (select 1 from source_passes
                                     where run_id = $1 and (state <> 'taken' or position is not null))",
            )
            .bind(run.id)
            .fetch_one(db)
            .await?
        });
        let before = if is_a_list {
            self.rows_of_last(&run.account, run.source.as_str(), &run.label, run.id).await?
        } else {
            None
        };
        Ok(Findings { before, ..self.own_findings(run).await? })
    }

    /// The same without a look at earlier runs: nobody compares rows of the queue with those before.
    pub async fn own_findings(&self, run: &Run) -> Result<Findings> {
        let invalid: i64 = read!(self, db => {
            sqlx::query_scalar(
                "select count(*) from member_queue where run_id = $1 and code is not null and state = 'invalid'",
            )
            .bind(run.id)
            .fetch_one(db)
            .await?
        });
        Ok(Findings {
            new_members: run.new_members,
            read: run.read_rows,
            invalid: invalid.unsigned_abs(),
            before: None,
        })
    }

    /// Rows of a list in the last run with a number below `before` that took it in whole and that nobody holds or
    /// has given up.
    pub async fn rows_of_last(
        &self,
        account: &str,
        source: &str,
        label: &str,
        before: i64,
    ) -> Result<Option<u64>> {
        let rows: Option<i64> = read!(self, db => {
            sqlx::query_scalar(
                "select r.read_rows from runs r
                  where r.label = $3 and r.id < $4 and r.account = $1 and r.source = $2
                    and r.status not in ('queued', 'held', 'canceled')
                    and (exists (select 1 from input_files where run_id = r.id and state <> 'taking')
                        or exists (select 1 from source_passes
                                    where run_id = r.id and state = 'taken' and position is null))
                  order by r.id desc limit 1",
            )
            .bind(account)
            .bind(source)
            .bind(label)
            .bind(before)
            .fetch_optional(db)
            .await?
        });
        Ok(rows.map(i64::unsigned_abs))
    }

    /// Holds a queued run that has taken in no more than this, for these reasons. Whether it was this call that did.
    pub async fn hold_run(&self, id: i64, read_rows: u64, concerns: &[Concern]) -> Result<bool> {
        let reasons: Vec<&str> = concerns.iter().map(|concern| concern.reason.as_str()).collect();
        let is_held = write_tx!(self, tx => {
            let held = sqlx::query(
                "update runs set status = 'held', reason = $2
                  where id = $1 and status = 'queued' and approved_at is null and read_rows = $3",
            )
            .bind(id)
            .bind(reasons.join("; "))
            .bind(int(read_rows))
            .execute(&mut *tx)
            .await?
            .rows_affected() == 1;
            if held {
                for Concern { code, reason } in concerns {
                    sqlx::query("insert into run_concerns (run_id, code, reason) values ($1, $2, $3)")
                        .bind(id)
                        .bind(code.as_str())
                        .bind(reason)
                        .execute(&mut *tx)
                        .await?;
                }
            }
            held
        });
        Ok(is_held)
    }

    /// Lets held runs go, all of them or none; they are released as any run is. Whether all of them were held.
    pub async fn approve_runs(&self, ids: &[i64], person: &str, now: Time) -> Result<bool> {
        let list = super::claims::list(ids.iter().copied());
        let approved = write_tx!(self, tx => {
            lock_rows!(
                tx,
                "select 1 from runs where id in (select cast(value as bigint) from json_each($1))
                  order by id for no key update",
                &list
            );
            sqlx::query(
                "update runs set status = 'queued', reason = null, approved_by = $2, approved_at = $3
                  where id in (select cast(value as bigint) from json_each($1)) and status = 'held'
                    and $4 = (select count(*) from runs
                               where id in (select cast(value as bigint) from json_each($1)) and status = 'held')",
            )
            .bind(&list)
            .bind(person)
            .bind(now)
            .bind(int(ids.len()))
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        Ok(approved == ids.len() as u64)
    }

    /// What a run is held for, or was.
    pub async fn concerns(&self, run_id: i64) -> Result<Vec<Concern>> {
        let rows: Vec<(String, String)> = read!(self, db => {
            sqlx::query_as("select code, reason from run_concerns where run_id = $1 order by code")
                .bind(run_id)
                .fetch_all(db)
                .await?
        });
        let concern = |(code, reason): (String, String)| {
            let known = ConcernCode::parse(&code);
            let code = known.ok_or_else(|| StoreError::corrupt("run_concerns", "code", &code))?;
            Ok(Concern { code, reason })
        };
        rows.into_iter().map(concern).collect()
    }

    /// Requests that a run would take as its batches lie now; those of people who want different tags may become
    /// fewer when it is let go.
    pub async fn requests_to_send(&self, run_id: i64) -> Result<u64> {
        let batches: i64 = read!(self, db => {
            sqlx::query_scalar("select count(*) from batches where run_id = $1 and state = 'pending'")
                .bind(run_id)
                .fetch_one(db)
                .await?
        });
        Ok(batches.unsigned_abs())
    }

    /// The runs that wait for a person, oldest first.
    pub async fn held_runs(&self) -> Result<Vec<HeldRun>> {
        let runs = read!(self, db => {
            sqlx::query_as(
                "select id, account, label, coalesce(reason, '') as reason from runs where status = 'held' order by id",
            )
            .fetch_all(db)
            .await?
        });
        Ok(runs)
    }

    /// Some rows of a run whose people are new.
    pub async fn new_people(&self, run_id: i64, limit: u32) -> Result<Vec<Sample>> {
        let samples = read!(self, db => {
            sqlx::query_as(concat!(
                "select coalesce(q.line, q.id) as place, q.email from batches b
                   join member_queue q on q.batch_id = b.id
                  where b.run_id = $1 and ", is_new_member!(), " limit $2",
            ))
            .bind(run_id)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?
        });
        Ok(samples)
    }

    /// New people of an account whose rows of the queue wait at once, counted no further than `enough`: rows that
    /// nobody has read count as one person each.
    pub async fn queue_waiting(&self, account: &str, enough: u64) -> Result<u64> {
        let waiting: i64 = read!(self, db => {
            sqlx::query_scalar(concat!(
                "select count(*) from (
                     select * from (select 1 as one from member_queue
                                     where state = 'new' and run_id is null and account = $1 limit $2) unread
                     union all
                     select * from (select 1 as one from runs r
                                      join batches b on b.run_id = r.id and b.state = 'pending'
                                      join member_queue q on q.batch_id = b.id
                                     where r.status = 'running' and r.source = 'queue' and r.account = $1
                                       and r.approved_at is null and ", is_new_member!(), " limit $2) unsent) waiting",
            ))
            .bind(account)
            .bind(int(enough))
            .fetch_one(db)
            .await?
        });
        Ok(waiting.unsigned_abs())
    }

    /// The run of the queue that is being filled, if there is one.
    pub async fn filling_run(&self, account: &str) -> Result<Option<i64>> {
        let run = read!(self, db => {
            sqlx::query_scalar(
                "select id from runs
                  where status = 'queued' and source = 'queue' and account = $1 and approved_at is null order by id limit 1",
            )
            .bind(account)
            .fetch_optional(db)
            .await?
        });
        Ok(run)
    }

    /// Lets a run of the queue go that was filled with so many rows; nothing where others have come since.
    pub async fn release_filled(&self, id: i64, read_rows: u64) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "update runs set status = 'running'
                  where id = $1 and status = 'queued' and source = 'queue' and read_rows = $2",
            )
            .bind(id)
            .bind(int(read_rows))
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// The run of the queue that is being filled: the one that there is, or this one.
    pub async fn begin_filling(&self, run: NewRun<'_>) -> Result<i64> {
        let id = write_tx!(self, tx => {
            lock_rows!(tx, "select 1 from accounts where name = $1 for no key update", run.account);
            let known: Option<i64> = sqlx::query_scalar(
                "select id from runs
                  where status = 'queued' and source = 'queue' and account = $1 and approved_at is null order by id limit 1",
            )
            .bind(run.account)
            .fetch_optional(&mut *tx)
            .await?;
            match known {
                Some(id) => id,
                None => enter_run!(tx, run, RunStatus::Queued),
            }
        });
        Ok(id)
    }
}
