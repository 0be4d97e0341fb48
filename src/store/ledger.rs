//! The ledger: what Luma has confirmed for each person, read in the order of the key.
//!
//! Entries come back packed in one text: a row each would cost more than the look-up itself. The
//! hash is not among them: it is sooner made again than written out and read.

use std::collections::HashMap;

use super::{Result, Store, StoreError, error::ensure_rows, read, write_tx};
use crate::domain::email::key_hash;
use crate::domain::tag::TagSet;

/// What the ledger holds of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerEntry<'a> {
    /// Hash of the key, by which entries are ordered.
    pub key_hash: i64,
    /// The normalised address.
    pub email_key: &'a str,
    /// The tags delivered.
    pub tag_set: i64,
    /// They are not delivered yet, and will be by another run.
    pub awaited: bool,
}

/// Marks who waits in another run.
const AWAITED: &str = "+";

/// Entries as they came from the database.
#[derive(Debug, Default)]
pub struct LedgerSlice(String);

impl LedgerSlice {
    /// Adds somebody to whom another run will deliver.
    pub fn add_awaited(&mut self, email_key: &str, tag_set: i64) {
        let lead = if self.0.is_empty() { "" } else { "\n" };
        self.0.extend([lead, email_key, " ", &tag_set.to_string(), AWAITED]);
    }

    /// The entries in order of hash and key.
    pub fn entries(&self) -> Result<Vec<LedgerEntry<'_>>> {
        let mut entries = Vec::with_capacity(self.0.len() / 32);
        for line in self.0.lines() {
            // Keys may hold spaces, so the number comes last.
            let (email_key, tag_set) = line.rsplit_once(' ').unwrap_or_default();
            let delivered = tag_set.strip_suffix(AWAITED);
            let parsed = delivered.unwrap_or(tag_set).parse();
            let parsed = parsed.map_err(|_| StoreError::corrupt("ledger", "tag_set_id", "…"))?;
            let awaited = delivered.is_some();
            entries.push(LedgerEntry { key_hash: key_hash(email_key), email_key, tag_set: parsed, awaited });
        }
        // The database reads in key order already; an aggregate promises no order.
        if !entries.is_sorted() {
            entries.sort_unstable();
        }
        Ok(entries)
    }
}

/// Hashes looked up in one statement.
const LOOKUP_CHUNK: usize = 10_000;

impl Store {
    /// Every entry whose hash lies in `from..=to`.
    pub async fn ledger_range(&self, account: &str, from: i64, to: i64) -> Result<LedgerSlice> {
        let packed: Option<String> = read!(self, db => {
            sqlx::query_scalar(
                "select string_agg(l.email_key || ' ' || l.tag_set_id, $4)
                   from (select tag_set_id, email_key from ledger
                          where account = $1 and key_hash between $2 and $3
                          order by key_hash, email_key) l",
            )
            .bind(account)
            .bind(from)
            .bind(to)
            .bind("\n")
            .fetch_one(db)
            .await?
        });
        Ok(LedgerSlice(packed.unwrap_or_default()))
    }

    /// Every entry with one of these hashes, which are sorted.
    pub async fn ledger_lookup(&self, account: &str, hashes: &[i64]) -> Result<LedgerSlice> {
        let mut all = String::new();
        for chunk in hashes.chunks(LOOKUP_CHUNK) {
            let list = serde_json::to_string(chunk).unwrap_or_default();
            let packed: Option<String> = read!(self, db => {
                sqlx::query_scalar(
                    "select string_agg(l.email_key || ' ' || l.tag_set_id, $3)
                       from (select distinct cast(value as bigint) as key_hash from json_each($2)) wanted
                       cross join ledger l where l.account = $1 and l.key_hash = wanted.key_hash",
                )
                .bind(account)
                .bind(list)
                .bind("\n")
                .fetch_one(db)
                .await?
            });
            if let Some(packed) = packed {
                if !all.is_empty() {
                    all.push('\n');
                }
                all.push_str(&packed);
            }
        }
        Ok(LedgerSlice(all))
    }

    /// The ids of these distinct tag sets, in their order; sets not yet known are entered.
    pub async fn intern_tag_sets(&self, sets: &[TagSet]) -> Result<Vec<i64>> {
        let texts: Vec<String> = sets.iter().map(ToString::to_string).collect();
        let list = serde_json::to_string(&texts).unwrap_or_default();
        let ids: Vec<i64> = write_tx!(self, tx => {
            sqlx::query(
                // In one order: two that enter the same sets wait for each other, and never in a circle.
                "insert into tag_sets (tags) select value from json_each($1) where true order by value
                 on conflict (tags) do nothing",
            )
            .bind(&list)
            .execute(&mut *tx)
            .await?;
            sqlx::query_scalar(
                "select t.id from json_each($1) wanted join tag_sets t on t.tags = wanted.value
                  order by wanted.key",
            )
            .bind(&list)
            .fetch_all(&mut *tx)
            .await?
        });
        ensure_rows(ids.len() as u64, sets.len() as u64, || "a tag set".to_owned())?;
        Ok(ids)
    }

    /// Every tag set by its id.
    pub async fn tag_sets(&self) -> Result<HashMap<i64, TagSet>> {
        let rows: Vec<(i64, String)> = read!(self, db => {
            sqlx::query_as("select id, tags from tag_sets").fetch_all(db).await?
        });
        rows.into_iter().map(|(id, tags)| Ok((id, parse_tag_set(&tags)?))).collect()
    }
}

/// Reads a stored tag set.
pub(super) fn parse_tag_set(text: &str) -> Result<TagSet> {
    TagSet::parse(text).ok_or_else(|| StoreError::corrupt("tag_sets", "tags", text))
}
