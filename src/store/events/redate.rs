//! Events that wait for a moment which a wrong clock has set.

/// Takes what is dated later than now as of now, on the open transaction.
macro_rules! redate_events {
    ($tx:ident, $now:expr) => {{
        let waiting: Vec<$crate::store::redate::Waiting<i64>> = sqlx::query_as(
            "select e.id, e.due_at,
                    (select t.finished_at from attempts t where t.event_id = e.id order by t.id desc limit 1)
               from event_queue e where e.state = 'pending' and e.due_at > $1",
        )
        .bind($now)
        .fetch_all(&mut *$tx)
        .await?;
        for (event, found, due_at) in $crate::store::redate::begun_now(waiting, $now) {
            sqlx::query("update event_queue set due_at = $3 where id = $1 and due_at = $2")
                .bind(event)
                .bind(found)
                .bind(due_at)
                .execute(&mut *$tx)
                .await?;
        }
        // One that nobody has asked for yet was due when it was taken in.
        sqlx::query(
            "update event_queue set due_at = $1
              where state = 'pending' and due_at > $2
                and not exists (select 1 from attempts where event_id = event_queue.id)",
        )
        .bind($now)
        .bind($now.plus($crate::store::redate::SKEW))
        .execute(&mut *$tx)
        .await?;
    }};
}

pub(in crate::store) use redate_events;
