//! Who is never sent: the list, and the rows of those on it.
//!
//! The claim is the gate: whoever is on the list when rows are claimed is taken out in that transaction, and
//! nothing leaves that was not claimed. Intakes and sweeps only say the same earlier.

mod known;
mod rows;

use std::sync::Arc;

use super::dialect::{lock_rows, storable};
use super::{Result, Store, read, write_tx};
use crate::clock::Time;
use crate::domain::person::Person;
use crate::domain::suppression::{EVERY_ACCOUNT, Screen, SuppressionList};

pub(super) use known::{Known, Mark, Together, listed};
use known::{key, mark};
pub use rows::SuppressedRows;
pub(super) use rows::{divide, leave_out};

/// Why people are suppressed.
#[derive(Clone, Copy, Debug)]
pub struct Suppression<'a> {
    /// Of one account, or of all.
    pub account: Option<&'a str>,
    /// Why, in words.
    pub reason: Option<&'a str>,
    /// Where that was said, in words.
    pub origin: &'a str,
    /// When.
    pub now: Time,
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SuppressionEntry {
    /// Of which account; `*` is every one.
    pub account: String,
    /// The whole digest.
    pub digest: String,
    /// Since when.
    pub since: Time,
    /// Why, in words.
    pub reason: Option<String>,
    /// Where that was said, in words.
    pub origin: String,
}

/// Entries a statement.
const CHUNK: usize = 10_000;

/// Digests as the list that statements take many by.
fn digests(secret: &str, email_keys: &[&str]) -> Result<String> {
    let key = key(secret)?;
    let texts: Vec<String> = email_keys.iter().map(|email| key.digest(email).to_string()).collect();
    Ok(serde_json::to_string(&texts).unwrap_or_default())
}

impl Store {
    /// Enters people by their normalised addresses; how many were not on the list yet. Nobody of them is claimed
    /// from then on. Who is entered already stays as they were.
    pub async fn suppress(&self, email_keys: &[&str], why: &Suppression<'_>) -> Result<u64> {
        let added = write_tx!(self, tx => {
            lock_rows!(tx, "select 1 from suppression_list where one = $1 for update", 1_i64);
            let secret: String =
                sqlx::query_scalar("select secret from suppression_list").fetch_one(&mut *tx).await?;
            let mut added = 0;
            for email_keys in email_keys.chunks(CHUNK) {
                added += sqlx::query(
                    "insert into suppressions (account, digest, since, reason, origin)
                     select $2, value, $3, $4, $5 from json_each($1) where true
                     on conflict (digest, account) do nothing",
                )
                .bind(digests(&secret, email_keys)?)
                .bind(why.account.unwrap_or(EVERY_ACCOUNT))
                .bind(why.now)
                .bind(why.reason.map(storable))
                .bind(storable(why.origin))
                .execute(&mut *tx)
                .await?
                .rows_affected();
            }
            sqlx::query("update suppression_list set last_entry = (select coalesce(max(id), 0) from suppressions)")
                .execute(&mut *tx)
                .await?;
            // A claim that has not seen them yet is waited for: what it took is in a request when this ends.
            lock_rows!(tx, "select 1 from accounts where name <> $1 order by name for no key update", "");
            added
        });
        Ok(added)
    }

    /// Takes people off the list by their normalised addresses: what stands there for one account, or all that
    /// stands there; how many of them were on it.
    pub async fn unsuppress(&self, email_keys: &[&str], account: Option<&str>) -> Result<u64> {
        let found = write_tx!(self, tx => {
            lock_rows!(tx, "select 1 from suppression_list where one = $1 for update", 1_i64);
            let secret: String =
                sqlx::query_scalar("select secret from suppression_list").fetch_one(&mut *tx).await?;
            let mut found = 0_u64;
            for email_key in email_keys {
                let removed = sqlx::query(
                    "delete from suppressions where digest = $1 and ($2 is null or account = $2)",
                )
                .bind(key(&secret)?.digest(email_key).to_string())
                .bind(account)
                .execute(&mut *tx)
                .await?;
                found += u64::from(removed.rows_affected() > 0);
            }
            sqlx::query(
                "update suppression_list
                    set removals = removals + $1, last_entry = (select coalesce(max(id), 0) from suppressions)",
            )
            .bind(i64::from(found > 0))
            .execute(&mut *tx)
            .await?;
            found
        });
        Ok(found)
    }

    /// How often somebody was taken off the list, or was forgotten: whoever has kept what they read before, be it the
    /// list with its reasons or what was found of a person, reads it anew.
    pub async fn removals(&self) -> Result<i64> {
        Ok(read!(self, db => { mark!(db) }).removals)
    }

    /// Counts one more, once it is done.
    pub async fn note_removal(&self) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query("update suppression_list set removals = removals + 1").execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// The last entries, newest first, and how many there are; of one account and of all, where it is named.
    pub async fn suppressions(
        &self,
        account: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<SuppressionEntry>, u64)> {
        let (entries, count): (Vec<SuppressionEntry>, i64) = read!(self, db => {
            let entries = sqlx::query_as(
                "select account, digest, since, reason, origin from suppressions
                  where $1 is null or account = $1 or account = $3 order by id desc limit $2",
            )
            .bind(account)
            .bind(i64::from(limit))
            .bind(EVERY_ACCOUNT)
            .fetch_all(db)
            .await?;
            let count = sqlx::query_scalar(
                "select count(*) from suppressions where $1 is null or account = $1 or account = $2",
            )
            .bind(account)
            .bind(EVERY_ACCOUNT)
            .fetch_one(db)
            .await?;
            (entries, count)
        });
        Ok((entries, count.unsigned_abs()))
    }

    /// What the list says of one person, the oldest first.
    pub async fn suppressed(&self, person: &Person) -> Result<Vec<SuppressionEntry>> {
        let Some(email_key) = person.key() else { return Ok(Vec::new()) };
        let entries = read!(self, db => {
            let secret: String =
                sqlx::query_scalar("select secret from suppression_list").fetch_one(db).await?;
            sqlx::query_as(
                "select account, digest, since, reason, origin from suppressions where digest = $1 order by id",
            )
            .bind(key(&secret)?.digest(email_key).to_string())
            .fetch_all(db)
            .await?
        });
        Ok(entries)
    }

    /// The list as an account sees it now.
    pub async fn screen(&self, account: &str) -> Result<Screen> {
        // Boxed: it is asked for in the midst of large work, and seldom has anything to read.
        Ok(Screen::new(Box::pin(self.listed()).await?, account))
    }

    async fn listed(&self) -> Result<Arc<SuppressionList>> {
        Ok(read!(self, db => { listed!(db, self.known, mark!(db)) }))
    }
}
