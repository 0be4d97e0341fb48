//! Accounts: whose key it is, until when nobody may send, what sizes were learnt.

use super::{Result, Store, read, write_tx};
use crate::clock::Time;
use crate::domain::outcome::{Block, BlockCause};

/// Keeps everybody from sending; a later moment already set stands.
macro_rules! block {
    ($tx:ident, $account:expr, $block:expr) => {
        sqlx::query(
            "update accounts set blocked_until = $2, block_reason = $3, block_cause = $4
              where name = $1 and (blocked_until is null or blocked_until < $2)",
        )
        .bind($account)
        .bind($block.until)
        .bind($crate::store::dialect::storable(&$block.reason))
        .bind($block.cause.as_str())
        .execute(&mut *$tx)
        .await?
    };
}

/// Counts people who are new in the ledger.
macro_rules! add_members {
    ($tx:ident, $account:expr, $people:expr) => {
        if $people > 0 {
            sqlx::query("update accounts set members = members + $2 where name = $1")
                .bind($account)
                .bind($people)
                .execute(&mut *$tx)
                .await?;
        }
    };
}

/// The accounts that new rows of a queue name and nobody knows. From name to name by the index: a million
/// rows of those that are known cost one step.
macro_rules! stray_accounts {
    ($queue:literal) => {
        concat!(
            "with recursive names (name) as (
                 select min(account) from ", $queue, " where state = 'new' and run_id is null
                 union all
                 select (select min(account) from ", $queue, " where state = 'new' and run_id is null and account > names.name)
                   from names where names.name is not null),
             strays (name) as (
                 select name from names where name is not null and name not in (select name from accounts)) "
        )
    };
}

pub(super) use {add_members, block, stray_accounts};

/// What is known of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What it is called.
    pub name: String,
    /// Luma's id of the user the key belongs to, once it was asked.
    pub identity: Option<String>,
    /// Where that was asked: a host, `loopback`, or `rehearsal`.
    pub origin: Option<String>,
    /// Nobody sends before this moment, and why.
    pub block: Option<(Time, String)>,
    /// Luma refuses the key, its plan or its calendar: only a person ends that.
    pub is_refused: bool,
    /// Bytes of the largest body worth trying, and until when that is believed.
    pub max_body: Option<(usize, Time)>,
    /// Members in the ledger.
    pub members: u64,
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    name: String,
    identity: Option<String>,
    origin: Option<String>,
    blocked_until: Option<Time>,
    block_reason: Option<String>,
    block_cause: Option<String>,
    max_body: Option<i64>,
    max_body_until: Option<Time>,
    members: i64,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        let max_body = row.max_body.and_then(|bytes| usize::try_from(bytes).ok());
        Self {
            name: row.name,
            identity: row.identity,
            origin: row.origin,
            block: row.blocked_until.zip(row.block_reason),
            is_refused: row.block_cause.as_deref() == Some(BlockCause::Refused.as_str()),
            max_body: max_body.zip(row.max_body_until),
            members: row.members.unsigned_abs(),
        }
    }
}

/// What `Account` is read from.
macro_rules! account_columns {
    () => {
        "select name, identity, origin, blocked_until, block_reason, block_cause, max_body, max_body_until, members
           from accounts "
    };
}

impl Store {
    /// What is known of the account `name`; `None` where there is no such account.
    pub async fn account(&self, name: &str) -> Result<Option<Account>> {
        let row: Option<AccountRow> = read!(self, db => {
            sqlx::query_as(concat!(account_columns!(), "where name = $1")).bind(name).fetch_optional(db).await?
        });
        Ok(row.map(Account::from))
    }

    /// Every account that was ever used, `main` first, then by name.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let rows: Vec<AccountRow> = read!(self, db => {
            sqlx::query_as(concat!(account_columns!(), "order by name <> 'main', name")).fetch_all(db).await?
        });
        Ok(rows.into_iter().map(Account::from).collect())
    }

    /// Enters an account that rows may name from now on.
    pub async fn enter_account(&self, name: &str) -> Result<()> {
        if self.account(name).await?.is_none() {
            write_tx!(self, tx => {
                sqlx::query("insert into accounts (name) values ($1) on conflict (name) do nothing")
                    .bind(name)
                    .execute(&mut *tx)
                    .await?;
            });
        }
        Ok(())
    }

    /// Remembers whom the account's key belongs to. Returns whom it belonged to before, if anybody.
    pub async fn set_identity(&self, account: &str, user: &str, identity: &str) -> Result<Option<String>> {
        let known: Option<String> = write_tx!(self, tx => {
            // Writing comes first: whoever looks first may see nobody, and somebody enters meanwhile.
            let entered = sqlx::query(
                "update accounts set identity = $2 where name = $1 and (identity is null or identity = $3)",
            )
            .bind(account)
            .bind(identity)
            .bind(user)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if entered == 1 {
                None
            } else {
                sqlx::query_scalar("select identity from accounts where name = $1")
                    .bind(account)
                    .fetch_one(&mut *tx)
                    .await?
            }
        });
        Ok(known)
    }

    /// Remembers where the account's key is used.
    pub async fn set_origin(&self, account: &str, origin: &str) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query("update accounts set origin = $2 where name = $1")
                .bind(account)
                .bind(origin)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// Whether nothing was ever read into the database or put into its queue.
    pub async fn is_unused(&self) -> Result<bool> {
        let unused: bool = read!(self, db => {
            sqlx::query_scalar("select not exists (select 1 from runs) and not exists (select 1 from member_queue)
                    and not exists (select 1 from event_queue)")
                .fetch_one(db)
                .await?
        });
        Ok(unused)
    }

    /// Keeps everybody from sending; a later moment already set stands.
    pub async fn block(&self, account: &str, block: &Block) -> Result<()> {
        write_tx!(self, tx => {
            block!(tx, account, block);
        });
        Ok(())
    }

    /// Ends a block that was ours, and what kept runs standing still: Luma answers, and knows the key. The
    /// faults in a row stay on record: only the next request of their kind shows that they are over.
    pub async fn end_own_block(&self, account: &str) -> Result<()> {
        write_tx!(self, tx => {
            sqlx::query(
                "update accounts set blocked_until = null, block_reason = null, block_cause = null
                  where name = $1 and block_cause <> 'throttled'",
            )
            .bind(account)
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "update runs set reason = null
                  where account = $1 and status in ('queued', 'running') and reason is not null",
            )
            .bind(account)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }
}
