//! When each source was last taken in to its end, and whether what is expected of it held when somebody
//! last looked.
//!
//! What is expected is the configuration's affair; whether it holds is decided by `domain::expect`.

use super::{Result, Store, StoreError, int, read, write_tx};
use crate::clock::Time;
use crate::domain::expect::{Pass, Standing};

/// A source that something is expected of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its name.
    pub source: String,
    /// Since when it is waited for.
    pub since: Time,
    /// When it was last taken in, and how many rows it had.
    pub last: Option<Pass>,
    /// How it stood when somebody last looked.
    pub standing: Standing,
    /// Since when it stands so.
    pub changed_at: Time,
}

type ExpectedRow = (String, Time, Option<Time>, Option<i64>, String, Time);

impl Store {
    /// Notes that a source was taken in to its end.
    pub async fn note_pass(&self, source: &str, pass: Pass) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "insert into expectations (source, since, passed_at, read_rows, changed_at)
                 values ($1, $2, $2, $3, $2)
                 on conflict (source) do update
                    set passed_at = excluded.passed_at, read_rows = excluded.read_rows",
            )
            .bind(source)
            .bind(pass.at)
            .bind(int(pass.rows))
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Begins to wait for a source, unless that was begun before.
    pub async fn expect_source(&self, source: &str, now: Time) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "insert into expectations (source, since, changed_at) values ($1, $2, $2)
                 on conflict (source) do nothing",
            )
            .bind(source)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// Every source that was ever waited for or taken in.
    pub async fn expected_sources(&self) -> Result<Vec<Expected>> {
        let rows: Vec<ExpectedRow> = read!(self, db => {
            sqlx::query_as(
                "select source, since, passed_at, read_rows, standing, changed_at from expectations order by source",
            )
            .fetch_all(db)
            .await?
        });
        let expected = |(source, since, at, rows, standing, changed_at): ExpectedRow| {
            let known = Standing::parse(&standing);
            Ok(Expected {
                source,
                since,
                last: at.zip(rows).map(|(at, rows)| Pass { at, rows: rows.unsigned_abs() }),
                standing: known.ok_or_else(|| StoreError::corrupt("expectations", "standing", &standing))?,
                changed_at,
            })
        };
        rows.into_iter().map(expected).collect()
    }

    /// Notes how a source stands now. Whether that is news, which it is to one process alone.
    pub async fn note_standing(&self, source: &str, standing: Standing, now: Time) -> Result<bool> {
        let changed = write_tx!(self, tx => {
            sqlx::query(
                "update expectations set standing = $2, changed_at = $3 where source = $1 and standing <> $2",
            )
            .bind(source)
            .bind(standing.as_str())
            .bind(now)
            .execute(&mut *tx)
            .await?
            .rows_affected()
        });
        Ok(changed == 1)
    }
}
