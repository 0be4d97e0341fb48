//! Workers: the processes that claim, and what happens to the claims of those that died.
//!
//! A lease belongs to the worker, not to the row: one small write keeps all its claims alive.

use super::events::abandon_events;
use super::{Result, Store, StoreError, claims::list, dialect::lock_rows, read, write_tx};
use crate::clock::Time;
use crate::domain::state::Kind;

/// What tells one process from every other, also after its pid is used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerIdentity {
    /// The machine and process namespace in which `pid` means something.
    pub host: String,
    /// The process id.
    pub pid: u32,
    /// When the process began, as the system tells it.
    pub birth: String,
}

/// A worker as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its number.
    pub id: i64,
    /// Its process.
    pub identity: WorkerIdentity,
    /// When it began.
    pub started_at: Time,
    /// Until when its claims are its own.
    pub lease_until: Time,
}

type WorkerRow = (i64, String, i64, String, Time, Time);

impl Store {
    /// Enters a worker; its number.
    pub async fn add_worker(&self, identity: &WorkerIdentity, now: Time, lease_until: Time) -> Result<i64> {
        let id = write_tx!(self, tx => {
            sqlx::query_scalar(
                "insert into workers (host, pid, birth, started_at, lease_until)
                 values ($1, $2, $3, $4, $5) returning id",
            )
            .bind(&identity.host)
            .bind(i64::from(identity.pid))
            .bind(&identity.birth)
            .bind(now)
            .bind(lease_until)
            .fetch_one(&mut *tx)
            .await?
        });
        Ok(id)
    }

    /// Prolongs a worker's lease. One that others have declared dead is entered again under its
    /// number: what it claimed before was taken from it, and each claim knows that by its own.
    pub async fn renew_worker(
        &self,
        id: i64,
        identity: &WorkerIdentity,
        now: Time,
        lease_until: Time,
    ) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "insert into workers (id, host, pid, birth, started_at, lease_until)
                 values ($1, $2, $3, $4, $5, $6)
                 on conflict (id) do update set lease_until = excluded.lease_until",
            )
            .bind(id)
            .bind(&identity.host)
            .bind(i64::from(identity.pid))
            .bind(&identity.birth)
            .bind(now)
            .bind(lease_until)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Frees batches in flight whose worker is not known, and closes its requests. How many there were.
    /// Events that were asked for are in doubt.
    pub async fn free_orphans(&self, now: Time) -> Result<u64> {
        // By the number of the claim: a batch that somebody takes over meanwhile has another one.
        let orphans: Vec<i64> = read!(self, db => {
            sqlx::query_scalar(
                "select id from attempts where verdict is null and worker_id not in (select id from workers)",
            )
            .fetch_all(db)
            .await?
        });
        self.free_claims(&orphans, now).await
    }

    /// Frees what a worker of an account may hold without knowing: claims later than the last it knows, whose
    /// answer was lost with the connection. No request of theirs has left. How many there were.
    pub async fn free_unknown(&self, account: &str, worker_id: i64, known: i64, now: Time) -> Result<u64> {
        let unknown: Vec<i64> = read!(self, db => {
            sqlx::query_scalar(
                "select id from attempts
                  where verdict is null and worker_id = $1 and account = $2 and id > $3 and batch_id is not null",
            )
            .bind(worker_id)
            .bind(account)
            .bind(known)
            .fetch_all(db)
            .await?
        });
        self.free_claims(&unknown, now).await
    }

    async fn free_claims(&self, claims: &[i64], now: Time) -> Result<u64> {
        if claims.is_empty() {
            return Ok(0);
        }
        let claims = list(claims.iter().copied());
        let freed = write_tx!(self, tx => {
            // In the order of a settle, which may be under way.
            abandon_events!(
                tx,
                "is not null and claim_id in (select cast(value as bigint) from json_each($1))",
                &claims
            );
            let freed = sqlx::query(
                "update batches set state = 'pending', claim_id = null, worker_id = null
                  where state = 'in_flight' and id in
                        (select batch_id from attempts
                          where id in (select cast(value as bigint) from json_each($1)))
                    and claim_id in (select cast(value as bigint) from json_each($1))",
            )
            .bind(&claims)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            sqlx::query(
                "update attempts set finished_at = $2, verdict = 'abandoned'
                  where id in (select cast(value as bigint) from json_each($1)) and verdict is null",
            )
            .bind(&claims)
            .bind(now)
            .execute(&mut *tx)
            .await?;
            freed
        });
        Ok(freed)
    }

    /// Gives up what a living worker holds of an account and nobody will settle any more, as its end would:
    /// batches are pending again, events in doubt. How many there were.
    pub async fn give_up_claims(&self, worker: i64, account: &str, kind: Kind, now: Time) -> Result<u64> {
        let given_up = write_tx!(self, tx => {
            // In the order of a settle, which may be under way.
            let given_up = match kind {
                Kind::Events => abandon_events!(tx, "= $1 and account = $2", worker, account),
                Kind::Members => {
                    sqlx::query(
                        "update batches set state = 'pending', claim_id = null, worker_id = null
                          where state = 'in_flight' and worker_id = $1 and account = $2",
                    )
                    .bind(worker)
                    .bind(account)
                    .execute(&mut *tx)
                    .await?
                }
            };
            sqlx::query(
                "update attempts set finished_at = $2, verdict = 'abandoned'
                  where verdict is null and worker_id = $1 and account = $4
                    and case when $3 then event_id is not null else batch_id is not null end",
            )
            .bind(worker)
            .bind(now)
            .bind(kind == Kind::Events)
            .bind(account)
            .execute(&mut *tx)
            .await?;
            given_up.rows_affected()
        });
        Ok(given_up)
    }

    /// Every worker that has not ended.
    pub async fn workers(&self) -> Result<Vec<Worker>> {
        let rows: Vec<WorkerRow> = read!(self, db => {
            sqlx::query_as(
                "select id, host, pid, birth, started_at, lease_until from workers order by id",
            )
            .fetch_all(db)
            .await?
        });
        rows.into_iter()
            .map(|(id, host, pid, birth, started_at, lease_until)| {
                let pid = u32::try_from(pid).map_err(|_| StoreError::corrupt("workers", "pid", &pid))?;
                let identity = WorkerIdentity { host, pid, birth };
                Ok(Worker { id, identity, started_at, lease_until })
            })
            .collect()
    }

    /// Ends a worker, its own choice or because it died: its batches are pending again, at no cost
    /// in attempts, and events that it asked for are in doubt. How many batches that were.
    /// `only_if_expired_at` spares one that has renewed its lease meanwhile.
    pub async fn end_worker(&self, id: i64, now: Time, only_if_expired_at: Option<Time>) -> Result<u64> {
        let released = write_tx!(self, tx => {
            lock_rows!(tx, "select 1 from workers where id = $1 for update", id);
            let gone = sqlx::query_scalar::<_, i64>(
                "select id from workers where id = $1 and ($2 is null or lease_until <= $2)",
            )
            .bind(id)
            .bind(only_if_expired_at)
            .fetch_optional(&mut *tx)
            .await?;
            if gone.is_none() {
                0
            } else {
                abandon_events!(tx, "= $1", id);
                // In the order of a settle, which may be under way.
                let released = sqlx::query(
                    "update batches set state = 'pending', claim_id = null, worker_id = null
                      where state = 'in_flight' and worker_id = $1",
                )
                .bind(id)
                .execute(&mut *tx)
                .await?
                .rows_affected();
                sqlx::query(
                    "update attempts set finished_at = $2, verdict = 'abandoned'
                      where verdict is null and worker_id = $1",
                )
                .bind(id)
                .bind(now)
                .execute(&mut *tx)
                .await?;
                sqlx::query("delete from workers where id = $1").bind(id).execute(&mut *tx).await?;
                released
            }
        });
        Ok(released)
    }
}
