//! One person erased from every table, step by step. Each step can be repeated: what is done is not found again.
//!
//! Rows leave the queue and stay counted; texts that quote the person lose the address. The order of locks is
//! that of a settle: batches, rows, ledger, account.

use sqlx::AssertSqlSafe;

use super::dialect::lock_rows;
use super::gone::take_out;
use super::mentions::Names;
use super::person::{PersonRow, ids, patterns};
use super::{Result, Store, StoreError, int, read, write_tx};
use crate::clock::Time;
use crate::domain::code::Code;
use crate::domain::person::Person;

/// Rows that one transaction takes out at most.
const STEP: usize = 500;
/// Stands on the way out of the queue on rows that were not sent; no row bears it for long.
const FORGOTTEN: &str = "the person was forgotten before this row was sent";

/// What of one person was erased, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Rows of the queue.
    pub rows: u64,
    /// Rows among them that waited for a request, and are never sent.
    pub waiting: u64,
    /// What was confirmed by Luma, one for each account.
    pub confirmed: u64,
    /// Answers and reasons that quoted the address.
    pub texts: u64,
    /// Sources that are read from their beginning the next time, because the person was where they stood.
    pub positions: u64,
    /// Names of other people's rows that held the address.
    pub names: u64,
    /// The same of rows that wait to be sent: they are left as they are.
    pub names_waiting: u64,
    /// Names of files, as they are on record, that hold the address: they are left as they are.
    pub file_names: Vec<String>,
    /// Events whose own words name the address: they are left as they are.
    pub events: Vec<i64>,
}

/// Why a person cannot be forgotten now.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// A request that holds them is under way.
    #[error("the person is in a request just now\nhint: its answer comes within a moment; try again then")]
    InFlight,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where an address may be quoted: the table, its key and the column.
const TEXTS: [(&str, &str, &str); 13] = [
    ("member_queue", "id", "reason"),
    ("attempts", "id", "detail"),
    ("runs", "id", "reason"),
    ("runs", "id", "label"),
    ("batches", "id", "unproved"),
    ("input_files", "id", "shape"),
    ("source_passes", "run_id", "shape"),
    ("source_passes", "run_id", "reason"),
    ("schedule_fires", "id", "reason"),
    ("schedule_fire_sources", "fire_id", "reason"),
    ("event_queue", "id", "reason"),
    ("suppressions", "id", "reason"),
    ("suppressions", "id", "origin"),
];

/// Where a source or a look stands, which may be an address: which rows, and how that is given up.
const POSITIONS: [(&str, &str, &str); 3] = [
    ("source_positions", "position", "delete from source_positions"),
    ("source_passes", "position", "update source_passes set position = null"),
    ("proofs", "cursor", "update proofs set cursor = null"),
];

/// Whether a column holds one of three patterns.
pub(super) fn is_like(column: &str) -> String {
    let like = |number: u8| format!("lower({column}) like ${number} escape '!'");
    format!("({} or {} or {})", like(1), like(2), like(3))
}

impl Store {
    /// Erases a person from queue, ledger and texts, or only counts what would be.
    pub async fn forget(&self, person: &Person, now: Time, dry_run: bool) -> Result<Erased, ForgetError> {
        let rows = self.rows_of_person(person).await?;
        if rows.iter().any(|row| row.is_in_flight) {
            return Err(ForgetError::InFlight);
        }
        let is_waiting = |row: &&PersonRow| matches!(row.state.as_str(), "new" | "pending" | "held");
        let mut erased = Erased {
            rows: rows.len() as u64,
            waiting: rows.iter().filter(is_waiting).count() as u64,
            events: self.events_naming(person).await?,
            ..Erased::default()
        };
        if !dry_run {
            self.delete_securely().await?;
            for rows in rows.chunks(STEP) {
                if !self.take_out_rows(&ids(rows), now).await? {
                    return Err(ForgetError::InFlight);
                }
            }
        }
        erased.confirmed = self.forget_confirmed(person, dry_run).await?;
        for (table, key, column) in TEXTS {
            erased.texts += self.strike(person, (table, key, column), dry_run).await?;
        }
        erased.texts += self.strike_blocks(person, dry_run).await?;
        let own: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let Names { erased: names, waiting } = self.erase_names(person, &own, dry_run).await?;
        (erased.names, erased.names_waiting) = (names, waiting);
        erased.file_names = self.file_names_with(person).await?;
        for (table, column, give_up) in POSITIONS {
            erased.positions += self.give_up_positions(person, (table, column, give_up), dry_run).await?;
        }
        if !dry_run {
            self.note_removal().await?;
        }
        Ok(erased)
    }

    /// Takes rows that were refused by us out of a run, by their lines: nothing else says whose they are.
    pub async fn forget_lines(&self, run_id: i64, lines: &[u64], now: Time) -> Result<u64> {
        let rows: Vec<i64> = read!(self, db => {
            sqlx::query_scalar(
                "select id from member_queue
                  where run_id = $1 and code is not null and state = 'invalid'
                    and line in (select cast(value as bigint) from json_each($2))",
            )
            .bind(run_id)
            .bind(super::claims::list(lines.iter().copied().map(int)))
            .fetch_all(db)
            .await?
        });
        if !rows.is_empty() {
            self.take_out_rows(&super::claims::list(rows.iter().copied()), now).await?;
        }
        Ok(rows.len() as u64)
    }

    /// Whether none of the rows was in a request; else nothing is done.
    async fn take_out_rows(&self, rows: &str, now: Time) -> Result<bool> {
        let is_free = write_tx!(self, tx => { 'out: {
            // A batch that is claimed meanwhile is its claim's, with its rows.
            lock_rows!(
                tx,
                "select 1 from batches
                  where id in (select batch_id from member_queue
                                where id in (select cast(value as bigint) from json_each($1)))
                  order by id for update",
                rows
            );
            let is_in_flight: bool = sqlx::query_scalar(
                "select exists (select 1 from member_queue q join batches b on b.id = q.batch_id
                                 where q.id in (select cast(value as bigint) from json_each($1))
                                   and q.state = 'pending' and b.state = 'in_flight')",
            )
            .bind(rows)
            .fetch_one(&mut *tx)
            .await?;
            if is_in_flight {
                break 'out false;
            }
            sqlx::query(
                "update member_queue set state = 'canceled', code = $2, reason = $3, settled_at = $4
                  where id in (select cast(value as bigint) from json_each($1))
                    and (state = 'pending' or state = 'held')",
            )
            .bind(rows)
            .bind(Code::Canceled.as_str())
            .bind(FORGOTTEN)
            .bind(now)
            .execute(&mut *tx)
            .await?;
            let batches: Vec<(i64, i64, i64)> = sqlx::query_as(
                "select batch_id, count(*), count(case when state = 'verified' then 1 end) from member_queue
                  where id in (select cast(value as bigint) from json_each($1)) and batch_id is not null
                  group by batch_id order by batch_id",
            )
            .bind(rows)
            .fetch_all(&mut *tx)
            .await?;
            sqlx::query("delete from sought where row_id in (select cast(value as bigint) from json_each($1))")
                .bind(rows)
                .execute(&mut *tx)
                .await?;
            take_out!(tx, rows);
            for (batch, rows, verified) in batches {
                // One that is left without rows counts none any more.
                sqlx::query(
                    "update batches
                        set verified_rows = case when verified_rows > $3 then verified_rows - $3 else 0 end,
                            row_count = case when row_count > $2 then row_count - $2 else 1 end,
                            proof = case when row_count > $2 then proof end,
                            settled_at = case when row_count > $2 then settled_at else coalesce(settled_at, $4) end,
                            state = case when row_count <= $2 and state in ('pending', 'delivered')
                                         then 'canceled' else state end
                      where id = $1",
                )
                .bind(batch)
                .bind(rows)
                .bind(verified)
                .bind(now)
                .execute(&mut *tx)
                .await?;
            }
            true
        }});
        Ok(is_free)
    }

    async fn forget_confirmed(&self, person: &Person, dry_run: bool) -> Result<u64> {
        let accounts: Vec<String> = read!(self, db => {
            sqlx::query_scalar(
                "select a.name from accounts a join ledger l
                    on l.account = a.name and l.key_hash = $1 and l.email_key = $2 order by a.name",
            )
            .bind(person.key_hash())
            .bind(person.key())
            .fetch_all(db)
            .await?
        });
        for account in accounts.iter().filter(|_| !dry_run) {
            write_tx!(self, tx => {
                let forgotten = sqlx::query(
                    "delete from ledger where account = $1 and key_hash = $2 and email_key = $3",
                )
                .bind(account)
                .bind(person.key_hash())
                .bind(person.key())
                .execute(&mut *tx)
                .await?
                .rows_affected();
                sqlx::query("update accounts set members = members - $2 where name = $1")
                    .bind(account)
                    .bind(int(forgotten))
                    .execute(&mut *tx)
                    .await?;
            });
        }
        Ok(accounts.len() as u64)
    }

    /// Takes the address out of a column of texts; how many held it.
    async fn strike(
        &self,
        person: &Person,
        (table, key, column): (&'static str, &'static str, &'static str),
        dry_run: bool,
    ) -> Result<u64> {
        let find = format!("select {key}, {column} from {table} where {}", is_like(column));
        // By the old text too: two that share a key are told apart, and what has changed meanwhile stands.
        let strike = format!("update {table} set {column} = $3 where {key} = $1 and {column} = $2");
        let [first, second, third] = patterns(person);
        let found: Vec<(i64, String)> = read!(self, db => {
            sqlx::query_as(AssertSqlSafe(find)).bind(first).bind(second).bind(third).fetch_all(db).await?
        });
        let struck =
            |(id, text): (i64, String)| person.struck_from_text(&text).map(|struck| (id, text, struck));
        let found: Vec<(i64, String, String)> = found.into_iter().filter_map(struck).collect();
        for step in found.chunks(STEP).filter(|_| !dry_run) {
            write_tx!(self, tx => {
                for (id, text, struck) in step {
                    sqlx::query(AssertSqlSafe(strike.clone()))
                        .bind(id)
                        .bind(text)
                        .bind(struck)
                        .execute(&mut *tx)
                        .await?;
                }
            });
        }
        Ok(found.len() as u64)
    }

    /// The same for the reasons why nobody sends, which stand on accounts.
    async fn strike_blocks(&self, person: &Person, dry_run: bool) -> Result<u64> {
        let accounts = self.accounts().await?;
        let mut struck = 0;
        for account in accounts {
            let reason = account.block.and_then(|(_, reason)| person.struck_from_text(&reason));
            let Some(reason) = reason else { continue };
            struck += 1;
            if !dry_run {
                write_tx!(self, tx => {
                    sqlx::query("update accounts set block_reason = $2 where name = $1 and block_reason is not null")
                        .bind(&account.name)
                        .bind(&reason)
                        .execute(&mut *tx)
                        .await?;
                });
            }
        }
        Ok(struck)
    }

    async fn give_up_positions(
        &self,
        person: &Person,
        (table, column, give_up): (&'static str, &'static str, &'static str),
        dry_run: bool,
    ) -> Result<u64> {
        let is_like = is_like(column);
        let find = format!("select {column} from {table} where {is_like}");
        let give_up = format!("{give_up} where {column} = $1");
        let [first, second, third] = patterns(person);
        let found: Vec<String> = read!(self, db => {
            sqlx::query_scalar(AssertSqlSafe(find)).bind(first).bind(second).bind(third).fetch_all(db).await?
        });
        let found: Vec<String> =
            found.into_iter().filter(|text| person.is_named_in(text.as_bytes())).collect();
        for text in found.iter().filter(|_| !dry_run) {
            write_tx!(self, tx => {
                sqlx::query(AssertSqlSafe(give_up.clone())).bind(text).execute(&mut *tx).await?;
            });
        }
        Ok(found.len() as u64)
    }

    /// Events whose own words name the person.
    async fn events_naming(&self, person: &Person) -> Result<Vec<i64>> {
        let columns =
            ["name", "description_md", "geo_address", "meeting_url", "body"].map(is_like).join(" or ");
        let [first, second, third] = patterns(person);
        let events = read!(self, db => {
            sqlx::query_scalar(AssertSqlSafe(format!("select id from event_queue where {columns} order by id")))
                .bind(first)
                .bind(second)
                .bind(third)
                .fetch_all(db)
                .await?
        });
        Ok(events)
    }
}
