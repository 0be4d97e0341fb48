//! Events page by page.

use super::reports::{EventRow, row_columns};
use crate::domain::event::EventState;
use crate::store::{Result, Store, read};

impl Store {
    /// A page of events, newest first: those in this state, before this number, at most `limit`.
    pub async fn events_page(
        &self,
        state: Option<EventState>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<EventRow>> {
        let rows = read!(self, db => {
            let sql = match state {
                Some(_) => concat!(row_columns!(), "where state = $2 and id < $1 order by id desc limit $3"),
                None => concat!(row_columns!(), "where id < $1 and $2 is null order by id desc limit $3"),
            };
            sqlx::query_as(sql)
                .bind(before.unwrap_or(i64::MAX))
                .bind(state.map(EventState::as_str))
                .bind(i64::from(limit))
                .fetch_all(db)
                .await?
        });
        Ok(rows)
    }
}
