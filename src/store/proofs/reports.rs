//! What people ask of the proof: what it will cost, what is left of it, what it could not find out.

use crate::domain::proof::Verify;
use crate::store::runs::parse_verify;
use crate::store::{Result, Store, read, write_tx};

/// What the proof of a run rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofCost {
    /// How it proves.
    pub verify: Verify,
    /// Requests with tags, sent or to be sent, that are to be proved.
    pub tagged: u64,
    /// People in all of them.
    pub people: u64,
}

/// What is still to be found out for an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProofLeft {
    /// People of delivered requests.
    pub people: u64,
    /// The requests.
    pub batches: u64,
}

/// What the proof of a run could not find out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unproved {
    /// Rows of which nothing was found out.
    pub rows: u64,
    /// One reason why.
    pub why: Option<String>,
    /// Requests of which Luma counts fewer people than were sent.
    pub short: u64,
    /// How many people it misses.
    pub absent: u64,
}

impl Unproved {
    /// Whether there is anything.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.rows > 0 || self.short > 0
    }
}

impl Store {
    /// What the proof of a run rests on, as far as it is still to come.
    pub async fn proof_cost(&self, run_id: i64) -> Result<ProofCost> {
        let (verify, tagged, people): (String, i64, i64) = read!(self, db => {
            sqlx::query_as(
                "select r.verify, count(case when b.tag_set_id <> 0 then 1 end),
                        cast(coalesce(sum(b.row_count - b.away_rows - b.verified_rows), 0) as bigint)
                   from runs r left join batches b on b.run_id = r.id
                                   and (b.state in ('pending', 'in_flight') or b.proof is not null)
                  where r.id = $1 group by r.verify",
            )
            .bind(run_id)
            .fetch_one(db)
            .await?
        });
        let verify = parse_verify(&verify)?;
        Ok(ProofCost { verify, tagged: tagged.unsigned_abs(), people: people.unsigned_abs() })
    }

    /// Pages of the whole audience, when it was listed last.
    pub async fn last_pages(&self, account: &str) -> Result<Option<u64>> {
        let pages: Option<Option<i64>> = read!(self, db => {
            sqlx::query_scalar("select last_pages from proofs where account = $1")
                .bind(account)
                .fetch_optional(db)
                .await?
        });
        Ok(pages.flatten().map(i64::unsigned_abs))
    }

    /// What is still to be found out for an account.
    pub async fn proof_left(&self, account: &str) -> Result<ProofLeft> {
        let (people, batches): (i64, i64) = read!(self, db => {
            sqlx::query_as(
                "select cast(coalesce(sum(b.row_count - b.away_rows - b.verified_rows), 0) as bigint), count(*)
                   from batches b join runs r on r.id = b.run_id
                  where b.account = $1 and b.proof is not null and r.status = 'running'",
            )
            .bind(account)
            .fetch_one(db)
            .await?
        });
        Ok(ProofLeft { people: people.unsigned_abs(), batches: batches.unsigned_abs() })
    }

    /// What the proof of a run could not find out.
    pub async fn unproved(&self, run_id: i64) -> Result<Unproved> {
        let (rows, why, short, absent): (i64, Option<String>, i64, i64) = read!(self, db => {
            sqlx::query_as(
                "select cast(coalesce(sum(case when unproved is not null then row_count - away_rows - verified_rows end), 0) as bigint),
                        min(unproved), count(absent_rows), cast(coalesce(sum(absent_rows), 0) as bigint)
                   from batches where run_id = $1 and state = 'delivered'",
            )
            .bind(run_id)
            .fetch_one(db)
            .await?
        });
        Ok(Unproved {
            rows: rows.unsigned_abs(),
            why,
            short: short.unsigned_abs(),
            absent: absent.unsigned_abs(),
        })
    }

    /// A run that goes on proves in this way from now on.
    pub async fn set_verify(&self, run_id: i64, verify: Verify) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query("update runs set verify = $2 where id = $1 and kind = 'members'")
                .bind(run_id)
                .bind(verify.as_str())
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }
}
