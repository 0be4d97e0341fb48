//! Accounts: whose key it is, until when nobody may send, what sizes were learnt.

use super::{Result, Store, read, write_tx};
use crate::clock::Time;
use crate::domain::outcome::Block;

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

pub(super) use {add_members, block};

/// What is known of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Luma's id of the user the key belongs to, once it was asked.
    pub identity: Option<String>,
    /// Where that was asked: a host, `loopback`, or `rehearsal`.
    pub origin: Option<String>,
    /// Nobody sends before this moment, and why.
    pub block: Option<(Time, String)>,
    /// Bytes of the largest body worth trying, and until when that is believed.
    pub max_body: Option<(usize, Time)>,
    /// Members in the ledger.
    pub members: u64,
}

type AccountRow =
    (Option<String>, Option<String>, Option<Time>, Option<String>, Option<i64>, Option<Time>, i64);

impl Store {
    /// What is known of the account `name`; `None` where there is no such account.
    pub async fn account(&self, name: &str) -> Result<Option<Account>> {
        let row: Option<AccountRow> = read!(self, db => {
            sqlx::query_as(
                "select identity, origin, blocked_until, block_reason, max_body, max_body_until, members
                   from accounts where name = $1",
            )
            .bind(name)
            .fetch_optional(db)
            .await?
        });
        Ok(row.map(|(identity, origin, until, reason, max_body, max_body_until, members)| Account {
            identity,
            origin,
            block: until.zip(reason),
            max_body: max_body.and_then(|bytes| usize::try_from(bytes).ok()).zip(max_body_until),
            members: members.unsigned_abs(),
        }))
    }

    /// Remembers whom the account's key belongs to. Returns whom it belonged to before, if anybody.
    pub async fn set_identity(&self, account: &str, identity: &str) -> Result<Option<String>> {
        let known: Option<String> = write_tx!(self, tx => {
            // Writing comes first: whoever looks first may see nobody, and somebody enters meanwhile.
            let entered = sqlx::query("update accounts set identity = $2 where name = $1 and identity is null")
                .bind(account)
                .bind(identity)
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
