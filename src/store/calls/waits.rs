//! Which call waits for which: one leaves when none is open any more that holds rows of it earlier.
//!
//! Settles of one run that has calls come one after the other. Nobody waits here for a row that somebody else
//! writes: whoever claims holds the account, which a settle asks for last.

/// Nobody waits any longer for a call of which no batch is open.
macro_rules! close_call {
    ($tx:ident, $call:expr) => {
        sqlx::query(
            "delete from call_waits where on_call = $1 and not exists
                 (select 1 from batches where call_id = $1 and state in ('pending', 'in_flight'))",
        )
        .bind($call)
        .execute(&mut *$tx)
        .await?
    };
}

/// Calls of an account that wait for no other; then what a database adds.
macro_rules! ready_calls {
    ($more:literal) => {
        concat!(
            "update batches set waits = 0
              where id in (select b.id from batches b
                            where b.account = $1 and b.waits = 1
                              and not exists (select 1 from call_waits where call_id = b.id)",
            $more,
            ")"
        )
    };
}

/// Lets calls of an account be claimed that wait for no other any more; how many they are.
macro_rules! open_calls {
    ($tx:ident, $account:expr) => {
        sqlx::query(DIALECT.pick(
            $crate::store::calls::ready_calls!(""),
            $crate::store::calls::ready_calls!(" order by b.id for update skip locked"),
        ))
        .bind($account)
        .execute(&mut *$tx)
        .await?
        .rows_affected()
    };
}

/// Calls that are waited for and of which no batch is open; then what a database adds.
macro_rules! stale_waits {
    ($more:literal) => {
        concat!(
            "delete from call_waits where (call_id, on_call) in
                 (select w.call_id, w.on_call from batches b join call_waits w on w.call_id = b.id
                   where b.account = $1 and b.waits = 1
                     and not exists (select 1 from batches u
                                      where u.call_id = w.on_call and u.state in ('pending', 'in_flight'))",
            $more,
            ")"
        )
    };
}

/// The same after a look at all that is waited for: a call may have closed unseen, because its last batch had
/// nobody left, or was deleted.
macro_rules! open_stranded {
    ($tx:ident, $account:expr) => {{
        sqlx::query(DIALECT.pick(
            $crate::store::calls::stale_waits!(""),
            $crate::store::calls::stale_waits!(" order by 1, 2 for update of w skip locked"),
        ))
        .bind($account)
        .execute(&mut *$tx)
        .await?;
        $crate::store::calls::open_calls!($tx, $account)
    }};
}

pub(in crate::store) use {close_call, open_calls, open_stranded, ready_calls, stale_waits};
