//! The list as it was last read: whoever needs it reads only what has come since.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Time;
use crate::domain::suppression::{Digest, SuppressionKey, SuppressionList};
use crate::store::{Result, StoreError};

/// How far the list was read. Entries are numbered in the order in which they were committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub(in crate::store) struct Mark {
    pub(in crate::store) last_entry: i64,
    pub(in crate::store) removals: i64,
}

/// The list as it was last read, for all handles of this process.
#[derive(Debug, Default)]
pub(in crate::store) struct Known(Mutex<(Mark, Arc<SuppressionList>)>);

/// What has to be read, and what that is added to.
pub(in crate::store) struct Unread {
    pub(in crate::store) after: i64,
    list: Arc<SuppressionList>,
}

/// Digests that were suppressed together, one after the other.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct Together {
    account: String,
    since: Time,
    reason: Option<String>,
    digests: String,
}

impl Known {
    /// The list up to a mark, if that was read; a later one will do.
    pub(in crate::store) fn up_to(&self, mark: Mark) -> std::result::Result<Arc<SuppressionList>, Unread> {
        if mark.last_entry == 0 {
            return Ok(Arc::default());
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read, list) = &*known;
        let is_whole = read.removals == mark.removals && !list.is_empty();
        if is_whole && read.last_entry >= mark.last_entry {
            Ok(Arc::clone(list))
        } else if is_whole {
            Err(Unread { after: read.last_entry, list: Arc::clone(list) })
        } else {
            Err(Unread { after: 0, list: Arc::default() })
        }
    }

    /// Adds what was read up to a mark.
    pub(in crate::store) fn add(
        &self,
        mark: Mark,
        Unread { after, list }: Unread,
        secret: &str,
        read: &[Together],
    ) -> Result<Arc<SuppressionList>> {
        let mut list =
            if after == 0 { SuppressionList::new(key(secret)?) } else { Arc::unwrap_or_clone(list) };
        for Together { account, since, reason, digests } in read {
            let texts = (0..digests.len()).step_by(Digest::TEXT).map(|at| digests.get(at..at + Digest::TEXT));
            let digests: Option<Vec<Digest>> = texts.map(|text| Digest::parse(text?)).collect();
            let broken = || StoreError::corrupt("suppressions", "digest", "…");
            list.add(account, digests.ok_or_else(broken)?, *since, reason.as_deref());
        }
        let list = Arc::new(list);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (mark, Arc::clone(&list));
        Ok(list)
    }
}

/// The list up to a mark that was read on the same connection.
macro_rules! listed {
    ($db:expr, $known:expr, $mark:expr) => {{
        let mark = $mark;
        match $known.up_to(mark) {
            Ok(list) => list,
            Err(unread) => {
                let secret: String =
                    sqlx::query_scalar("select secret from suppression_list").fetch_one($db).await?;
                // Those of one import in one text: a row each would take longer than all else.
                let read: Vec<$crate::store::suppress::Together> = sqlx::query_as(
                    "select account, since, reason, string_agg(digest, '') as digests from suppressions
                      where id > $1 and id <= $2 group by account, since, reason order by min(id)",
                )
                .bind(unread.after)
                .bind(mark.last_entry)
                .fetch_all($db)
                .await?;
                $known.add(mark, unread, &secret, &read)?
            }
        }
    }};
}

/// How far the list goes.
macro_rules! mark {
    ($db:expr) => {
        sqlx::query_as::<_, $crate::store::suppress::Mark>(
            "select last_entry, removals from suppression_list",
        )
        .fetch_one($db)
        .await?
    };
}

pub(in crate::store) use {listed, mark};

/// The key of the hashes, as it is stored.
pub(super) fn key(secret: &str) -> Result<SuppressionKey> {
    SuppressionKey::parse(secret).ok_or_else(|| StoreError::corrupt("suppression_list", "secret", "…"))
}
