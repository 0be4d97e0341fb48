//! Fires: who enters the row of a due time has it, and nobody else.
//!
//! A claim is known by its number, and every write that ends one repeats it. What becomes of a due time is
//! decided by `domain::schedule`, on what stands here in the same transaction.

use super::{Result, Store, StoreError, error::ensure_rows, read, write_tx};
use crate::clock::Time;
use crate::domain::schedule::{FireState, Open, Policy, Ruling};
use crate::domain::state::{RunStatus, Trigger};

/// A due time that nobody has decided about.
#[derive(Clone, Copy, Debug)]
pub struct DueFire<'a> {
    /// Whose it is.
    pub schedule: &'a str,
    /// When it was due.
    pub due_at: Time,
    /// Due times before it that nobody was there for.
    pub earlier: u64,
    /// What it takes in.
    pub sources: &'a [String],
    /// What was decided beforehand.
    pub policy: Policy,
    /// Who asks for it.
    pub worker: i64,
}

/// A fire as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub schedule: String,
    /// When it was due.
    pub due_at: Time,
    /// Its time, or a hand.
    pub trigger: Trigger,
    /// Who set it off by hand.
    pub person: Option<String>,
    /// Where it stands.
    pub state: FireState,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// Due times before it that it stands for.
    pub earlier: u64,
    /// When it was begun.
    pub started_at: Option<Time>,
    /// When its sources were taken in.
    pub taken_at: Option<Time>,
    /// When it was over.
    pub ended_at: Option<Time>,
    /// Who takes its sources in.
    pub worker: Option<i64>,
    /// The number of the claim.
    pub claim: i64,
}

#[derive(sqlx::FromRow)]
struct FireRow {
    id: i64,
    schedule: String,
    due_at: Time,
    started_by: String,
    person: Option<String>,
    state: String,
    reason: Option<String>,
    earlier: i64,
    started_at: Option<Time>,
    taken_at: Option<Time>,
    ended_at: Option<Time>,
    worker_id: Option<i64>,
    claims: i64,
}

impl TryFrom<FireRow> for Fire {
    type Error = StoreError;

    fn try_from(row: FireRow) -> Result<Self> {
        let corrupt = |column, value: &str| StoreError::corrupt("schedule_fires", column, value);
        Ok(Self {
            id: row.id,
            schedule: row.schedule,
            due_at: row.due_at,
            trigger: Trigger::parse(&row.started_by).ok_or_else(|| corrupt("started_by", &row.started_by))?,
            person: row.person,
            state: FireState::parse(&row.state).ok_or_else(|| corrupt("state", &row.state))?,
            reason: row.reason,
            earlier: row.earlier.unsigned_abs(),
            started_at: row.started_at,
            taken_at: row.taken_at,
            ended_at: row.ended_at,
            worker: row.worker_id,
            claim: row.claims,
        })
    }
}

/// A source that a fire takes in.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct FireSource {
    /// Its place in the order.
    pub place: i64,
    /// Its name.
    pub source: String,
    /// When it was taken in, or given up.
    pub taken_at: Option<Time>,
    /// Why it could not be taken in, or not all of it.
    pub reason: Option<String>,
}

/// What `Fire` is read from.
macro_rules! fire_columns {
    () => {
        "select id, schedule, due_at, started_by, person, state, reason, earlier, started_at, taken_at, ended_at,
                worker_id, claims from schedule_fires "
    };
}

/// Which fires of the schedule are not over.
macro_rules! open_fires {
    ($tx:ident, $schedule:expr) => {{
        let states: Vec<String> = sqlx::query_scalar(
            "select state from schedule_fires where schedule = $1 and state in ('queued', 'running')",
        )
        .bind($schedule)
        .fetch_all(&mut *$tx)
        .await?;
        let has = |state: FireState| states.iter().any(|found| found == state.as_str());
        Open { running: has(FireState::Running), queued: has(FireState::Queued) }
    }};
}

/// Enters a fire that this ruling stands for, with its sources; its number, unless its time is taken.
macro_rules! enter_fire {
    ($tx:ident, $due:expr, $ruling:expr, $person:expr, $now:expr) => {{
        let (state, reason) = match $ruling {
            Ruling::Run => (FireState::Running, None),
            Ruling::Wait => (FireState::Queued, None),
            Ruling::Skip(why) => (FireState::Skipped, Some(why)),
        };
        let is_run = state == FireState::Running;
        let id: Option<i64> = sqlx::query_scalar(
            "insert into schedule_fires (schedule, due_at, started_by, person, state, reason, earlier, created_at,
                                         started_at, ended_at, worker_id, claims)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             on conflict (schedule, due_at) do nothing returning id",
        )
        .bind($due.schedule)
        .bind($due.due_at)
        .bind(if $person.is_some() { Trigger::Manual.as_str() } else { Trigger::Schedule.as_str() })
        .bind($person)
        .bind(state.as_str())
        .bind(reason)
        .bind($due.earlier.cast_signed())
        .bind($now)
        .bind(is_run.then_some($now))
        .bind((state == FireState::Skipped).then_some($now))
        .bind(is_run.then_some($due.worker))
        .bind(i64::from(is_run))
        .fetch_optional(&mut *$tx)
        .await?;
        if let Some(id) = id {
            for (place, source) in (0_i64..).zip($due.sources) {
                sqlx::query("insert into schedule_fire_sources (fire_id, place, source) values ($1, $2, $3)")
                    .bind(id)
                    .bind(place)
                    .bind(source)
                    .execute(&mut *$tx)
                    .await?;
            }
        }
        id
    }};
}

impl Store {
    /// Decides about a due time, unless somebody was first or the schedule is paused; the fire that came of it.
    pub async fn judge_fire(&self, due: DueFire<'_>, now: Time) -> Result<Option<Fire>> {
        let id: Option<i64> = write_tx!(self, tx => {
            // Also the lock under which all else is read.
            let is_ours = sqlx::query(
                "update schedules set judged_until = $2 where name = $1 and paused = 0 and judged_until < $2",
            )
            .bind(due.schedule)
            .bind(due.due_at)
            .execute(&mut *tx)
            .await?
            .rows_affected() == 1;
            if is_ours {
                let open = open_fires!(tx, due.schedule);
                let ruling = due.policy.rule(now.since(due.due_at), open);
                enter_fire!(tx, due, ruling, None::<&str>, now)
            } else {
                None
            }
        });
        match id {
            Some(id) => self.fire(id).await,
            None => Ok(None),
        }
    }

    /// Enters a fire by hand; `None` while another of the schedule is not over.
    pub async fn fire_by_hand(&self, due: DueFire<'_>, person: &str, now: Time) -> Result<Option<Fire>> {
        let id: Option<i64> = write_tx!(self, tx => {
            // The lock, as above.
            sqlx::query("update schedules set judged_until = judged_until where name = $1")
                .bind(due.schedule)
                .execute(&mut *tx)
                .await?;
            if open_fires!(tx, due.schedule) == Open::default() {
                enter_fire!(tx, due, Ruling::Run, Some(person), now)
            } else {
                None
            }
        });
        match id {
            Some(id) => self.fire(id).await,
            None => Ok(None),
        }
    }

    /// Begins a fire that waits, unless one before it is still not over or another process was first.
    pub async fn begin_queued(&self, fire: &Fire, worker: i64, now: Time) -> Result<Option<Fire>> {
        let begun = write_tx!(self, tx => {
            sqlx::query(
                "update schedule_fires set state = 'running', started_at = $3, worker_id = $2, claims = claims + 1
                  where id = $1 and state = 'queued' and not exists
                        (select 1 from schedule_fires o where o.schedule = $4 and o.state = 'running')",
            )
            .bind(fire.id)
            .bind(worker)
            .bind(now)
            .bind(&fire.schedule)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        if begun == 1 { self.fire(fire.id).await } else { Ok(None) }
    }

    /// Takes over a fire whose worker is gone, or is this very one; `None` where it is not, or somebody was first.
    pub async fn take_over_fire(&self, fire: &Fire, worker: i64) -> Result<Option<Fire>> {
        let taken = write_tx!(self, tx => {
            sqlx::query(
                "update schedule_fires set worker_id = $3, claims = claims + 1
                  where id = $1 and claims = $2 and state = 'running' and taken_at is null
                    and (worker_id = $3 or worker_id not in (select id from workers))",
            )
            .bind(fire.id)
            .bind(fire.claim)
            .bind(worker)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        if taken == 1 { self.fire(fire.id).await } else { Ok(None) }
    }

    /// Notes that one source of a fire is done with; `reason` where it could not be taken in.
    pub async fn end_fire_source(
        &self,
        fire: &Fire,
        place: i64,
        reason: Option<&str>,
        now: Time,
    ) -> Result<()> {
        let ended = write_tx!(self, tx => {
            sqlx::query(
                "update schedule_fire_sources set taken_at = $3, reason = $4
                  where fire_id = $1 and place = $2 and taken_at is null and exists
                        (select 1 from schedule_fires where id = $1 and claims = $5 and worker_id is not null)",
            )
            .bind(fire.id)
            .bind(place)
            .bind(now)
            .bind(reason)
            .bind(fire.claim)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        ensure_rows(ended, 1, || format!("fire `{}`", fire.id))
    }

    /// Every source of the fire is done with: nobody holds it any longer.
    pub async fn end_taking(&self, fire: &Fire, now: Time) -> Result<()> {
        let ended = write_tx!(self, tx => {
            sqlx::query(
                "update schedule_fires set taken_at = $3, worker_id = null
                  where id = $1 and claims = $2 and state = 'running' and worker_id is not null and not exists
                        (select 1 from schedule_fire_sources where fire_id = $1 and taken_at is null)",
            )
            .bind(fire.id)
            .bind(fire.claim)
            .bind(now)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        ensure_rows(ended, 1, || format!("fire `{}`", fire.id))
    }

    /// Ends a fire whose sources are taken in and whose runs are over. Whether this call ended it.
    pub async fn end_fire(&self, id: i64, state: FireState, now: Time) -> Result<bool> {
        let ended = write_tx!(self, tx => {
            sqlx::query(
                "update schedule_fires set state = $2, ended_at = $3
                  where id = $1 and state = 'running' and taken_at is not null and not exists
                        (select 1 from runs where fire_id = $1 and status in ('queued', 'running'))",
            )
            .bind(id)
            .bind(state.as_str())
            .bind(now)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        Ok(ended == 1)
    }

    /// The fire with this number.
    pub async fn fire(&self, id: i64) -> Result<Option<Fire>> {
        let row: Option<FireRow> = read!(self, db => {
            sqlx::query_as(concat!(fire_columns!(), "where id = $1")).bind(id).fetch_optional(db).await?
        });
        row.map(Fire::try_from).transpose()
    }

    /// Fires that are not over, oldest first.
    pub async fn open_fires(&self) -> Result<Vec<Fire>> {
        let rows: Vec<FireRow> = read!(self, db => {
            sqlx::query_as(concat!(fire_columns!(), "where state in ('queued', 'running') order by id"))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(Fire::try_from).collect()
    }

    /// The last `limit` fires of a schedule, newest first.
    pub async fn last_fires(&self, schedule: &str, limit: u32) -> Result<Vec<Fire>> {
        let rows: Vec<FireRow> = read!(self, db => {
            sqlx::query_as(concat!(fire_columns!(), "where schedule = $1 order by id desc limit $2"))
                .bind(schedule)
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(Fire::try_from).collect()
    }

    /// What a fire takes in, in order.
    pub async fn fire_sources(&self, fire: i64) -> Result<Vec<FireSource>> {
        let sources = read!(self, db => {
            sqlx::query_as(
                "select place, source, taken_at, reason from schedule_fire_sources where fire_id = $1 order by place",
            )
            .bind(fire)
            .fetch_all(db)
            .await?
        });
        Ok(sources)
    }

    /// The runs of a fire, oldest first, and where they stand; without passes that broke off: where another has not
    /// read the rest, the source says why.
    pub async fn fire_runs(&self, fire: i64) -> Result<Vec<(i64, RunStatus)>> {
        let rows: Vec<(i64, String)> = read!(self, db => {
            sqlx::query_as(
                "select id, status from runs
                  where fire_id = $1 and not (status = 'failed' and exists
                        (select 1 from source_passes p
                          where p.run_id = runs.id and p.state = 'broken'))
                  order by id",
            )
            .bind(fire)
            .fetch_all(db)
            .await?
        });
        let run = |(id, status): (i64, String)| {
            let known = RunStatus::parse(&status);
            known.map(|known| (id, known)).ok_or_else(|| StoreError::corrupt("runs", "status", &status))
        };
        rows.into_iter().map(run).collect()
    }
}
