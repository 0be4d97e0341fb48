//! Schedules as all processes share them: what is decided already, and which are paused.
//!
//! Knows neither expressions nor zones.

use super::{Result, Store, read, write_tx};
use crate::clock::Time;

/// A schedule as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSchedule {
    /// Its name.
    pub name: String,
    /// What was due until then is decided.
    pub judged_until: Time,
    /// Whether it rests.
    pub is_paused: bool,
    /// When it was last paused or resumed, and by whom.
    pub changed: Option<(Time, String)>,
}

type ScheduleRow = (String, Time, i64, Option<Time>, Option<String>);

impl Store {
    /// Makes a schedule known. One that is new, or that has another rule than before, is judged from now on.
    pub async fn meet_schedule(&self, name: &str, rule: &str, now: Time) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "insert into schedules (name, rule, judged_until) values ($1, $2, $3)
                 on conflict (name) do update
                    set rule = excluded.rule, judged_until = excluded.judged_until
                  where schedules.rule <> excluded.rule",
            )
            .bind(name)
            .bind(rule)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Every schedule that was ever met.
    pub async fn schedules(&self) -> Result<Vec<KnownSchedule>> {
        let rows: Vec<ScheduleRow> = read!(self, db => {
            sqlx::query_as(
                "select name, judged_until, paused, changed_at, changed_by from schedules order by name",
            )
            .fetch_all(db)
            .await?
        });
        let known = |(name, judged_until, paused, at, by): ScheduleRow| KnownSchedule {
            name,
            judged_until,
            is_paused: paused != 0,
            changed: at.zip(by),
        };
        Ok(rows.into_iter().map(known).collect())
    }

    /// Judges from now on what was judged beyond it, by a clock that was ahead: what it fired has its rows, which
    /// are not entered again.
    pub async fn judge_from_now(&self, now: Time) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query("update schedules set judged_until = $1 where judged_until > $1")
                .bind(now)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// Pauses a schedule. Whether it was not paused before.
    pub async fn pause_schedule(&self, name: &str, person: &str, now: Time) -> Result<bool> {
        let paused = write_tx!(self, tx => {
            sqlx::query(
                "update schedules set paused = 1, changed_at = $2, changed_by = $3 where name = $1 and paused = 0",
            )
            .bind(name)
            .bind(now)
            .bind(person)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        Ok(paused == 1)
    }

    /// Lets a schedule go on from now: what was due meanwhile was not missed. Whether it was paused before.
    pub async fn resume_schedule(&self, name: &str, person: &str, now: Time) -> Result<bool> {
        let resumed = write_tx!(self, tx => {
            sqlx::query(
                "update schedules set paused = 0, changed_at = $2, changed_by = $3, judged_until = $2
                  where name = $1 and paused = 1",
            )
            .bind(name)
            .bind(now)
            .bind(person)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        Ok(resumed == 1)
    }
}
