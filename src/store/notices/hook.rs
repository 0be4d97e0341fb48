//! The one receiver of notices: who posts to it now, and what each post came to.
//!
//! A claim is good for as long as its lease. Every write repeats its number and prolongs it; whoever lost it
//! writes nothing. What a clock that was ahead has dated later than anybody may wait counts as past.

use std::time::Duration;

use crate::clock::Time;
use crate::domain::notice::{GIVEN_UP_AFTER, Topic, Trouble};
use crate::store::dialect::storable;
use crate::store::{Result, Store, error::ensure_rows, int, read, write_tx};

/// How long a post may take, with all that belongs to it, before another process does it.
const LEASE: Duration = Duration::from_secs(30);
/// Nobody holds the right or leaves the receiver alone for so long, however clocks differ: a moment that far ahead
/// was written by one that was wrong.
const AHEAD: Duration = Duration::from_hours(3);
/// How long it is known what was told.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// The right to post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookClaim {
    /// The number of the claim.
    pub id: i64,
    /// Posts in a row that came to nothing.
    pub faults: u32,
}

/// What a post came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The receiver has it.
    Delivered,
    /// It is posted again, and nothing is before; why.
    Later(Time, String),
    /// It is not posted again; why.
    GivenUp(String),
}

/// What nobody needs any longer: told before `$1`, or noted before `$2` and nobody wanted to be told.
macro_rules! is_old {
    () => {
        "(ended_at < $1 or (body is null and noted_at < $2))"
    };
}

/// Repeats the number of the claim, under the lock of its row, and prolongs it.
macro_rules! ensure_held {
    ($tx:ident, $claim:expr, $now:expr) => {
        let held = sqlx::query("update hook set held_until = $2 where id = 1 and claims = $1")
            .bind($claim.id)
            .bind($now.plus(LEASE))
            .execute(&mut *$tx)
            .await?
            .rows_affected();
        ensure_rows(held, 1, || "the right to post notices".to_owned())?;
    };
}

impl Store {
    /// Makes the receiver known. What was noted before anybody wanted to be told is forgotten.
    pub async fn meet_hook(&self) -> Result<()> {
        write_tx!(self, tx => {
            let is_new = sqlx::query("insert into hook (id) values (1) on conflict (id) do nothing")
                .execute(&mut *tx)
                .await?
                .rows_affected() == 1;
            if is_new {
                sqlx::query("delete from notices where body is null").execute(&mut *tx).await?;
            }
        });
        Ok(())
    }

    /// Takes the right to post, unless another process has it or the receiver is left alone for a while.
    pub async fn claim_hook(&self, now: Time) -> Result<Option<HookClaim>> {
        let claim: Option<(i64, i64)> = write_tx!(self, tx => {
            sqlx::query_as(
                "update hook set claims = claims + 1, held_until = $2
                  where id = 1 and (held_until is null or held_until <= $1 or held_until > $3)
                    and (due_at is null or due_at <= $1 or due_at > $3)
                 returning claims, faults",
            )
            .bind(now)
            .bind(now.plus(LEASE))
            .bind(now.plus(AHEAD))
            .fetch_optional(&mut *tx)
            .await?
        });
        Ok(claim.map(|(id, faults)| HookClaim { id, faults: u32::try_from(faults).unwrap_or(u32::MAX) }))
    }

    /// Whether the receiver is not left alone for a while: whoever has the right to post may.
    pub async fn is_hook_due(&self, now: Time) -> Result<bool> {
        Ok(read!(self, db => {
            sqlx::query_scalar(
                "select exists (select 1 from hook where due_at is null or due_at <= $1 or due_at > $2)",
            )
            .bind(now)
            .bind(now.plus(AHEAD))
            .fetch_one(db)
            .await?
        }))
    }

    /// Gives the right to post back.
    pub async fn let_go_of_hook(&self, claim: HookClaim) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query("update hook set held_until = null where id = 1 and claims = $1")
                .bind(claim.id)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// Writes down what is posted of a change, before it is; or, with nothing to post, forgets it. What it says
    /// of the trouble of its subject goes with it.
    pub async fn word_notice(
        &self,
        claim: HookClaim,
        id: i64,
        worded: Option<(Topic, &str)>,
        trouble: Option<(&str, i64, Trouble)>,
        now: Time,
    ) -> Result<()> {
        write_tx!(self, tx => {
            ensure_held!(tx, claim, now);
            let found = match worded {
                Some((topic, body)) => {
                    sqlx::query("update notices set topic = $2, body = $3 where id = $1 and body is null")
                        .bind(id)
                        .bind(topic.as_str())
                        .bind(storable(body))
                        .execute(&mut *tx)
                        .await?
                }
                None => {
                    sqlx::query("delete from notices where id = $1 and body is null")
                        .bind(id)
                        .execute(&mut *tx)
                        .await?
                }
            };
            ensure_rows(found.rows_affected(), 1, || format!("notice `{id}`"))?;
            match trouble {
                Some((subject, run, Trouble::Begins)) => {
                    sqlx::query(
                        "insert into troubles (subject, run_id) values ($1, $2)
                         on conflict (subject) do update set run_id = excluded.run_id",
                    )
                    .bind(subject)
                    .bind(run)
                    .execute(&mut *tx)
                    .await?;
                }
                Some((subject, _, Trouble::Ends)) => {
                    sqlx::query("delete from troubles where subject = $1").bind(subject).execute(&mut *tx).await?;
                }
                Some((_, _, Trouble::Same)) | None => {}
            }
        });
        Ok(())
    }

    /// Writes what a post came to.
    pub async fn settle_notice(&self, claim: HookClaim, id: i64, posted: &Posted, now: Time) -> Result<()> {
        let (outcome, answer, due_at) = match posted {
            Posted::Delivered => (Some("delivered"), None, None),
            Posted::Later(due_at, why) => (None, Some(why), Some(*due_at)),
            Posted::GivenUp(why) => (Some("given_up"), Some(why), None),
        };
        let faults = if due_at.is_some() { claim.faults.saturating_add(1) } else { 0 };
        write_tx!(self, tx => {
            ensure_held!(tx, claim, now);
            let found = sqlx::query(
                "update notices set outcome = $2, answer = $3, ended_at = $4, attempts = attempts + 1
                  where id = $1 and outcome is null",
            )
            .bind(id)
            .bind(outcome)
            .bind(answer.map(|why| storable(why)))
            .bind(outcome.map(|_| now))
            .execute(&mut *tx)
            .await?
            .rows_affected();
            ensure_rows(found, 1, || format!("notice `{id}`"))?;
            sqlx::query("update hook set faults = $1, due_at = $2 where id = 1")
                .bind(int(faults))
                .bind(due_at)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// Forgets what was told long ago, and what nobody wanted to be told for so long that nobody will.
    pub async fn prune_notices(&self, now: Time) -> Result<()> {
        let (told, untold) = (now.minus(KEPT), now.minus(GIVEN_UP_AFTER));
        let are_there: bool = read!(self, db => {
            sqlx::query_scalar(concat!("select exists (select 1 from notices where ", is_old!(), ")"))
                .bind(told)
                .bind(untold)
                .fetch_one(db)
                .await?
        });
        if are_there {
            write_tx!(self, tx => {
                sqlx::query(concat!("delete from notices where ", is_old!()))
                    .bind(told)
                    .bind(untold)
                    .execute(&mut *tx)
                    .await?;
            });
        }
        Ok(())
    }
}
