//! All that is on record about one person, in the order of time, over all accounts.
//!
//! Reads, and changes nothing. What files say of them is read elsewhere.

use super::person::{PersonRow, ids};
use super::{Result, Store, SuppressionEntry, read};
use crate::clock::Time;
use crate::domain::person::Person;

/// What became of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// What happened, in the order of time.
    pub moments: Vec<Moment>,
    /// How their rows stand.
    pub rows: Vec<PersonRow>,
    /// What Luma has confirmed, by account.
    pub confirmed: Vec<Confirmed>,
    /// Why nothing is sent to them.
    pub suppressed: Vec<SuppressionEntry>,
}

impl Story {
    /// A row of theirs.
    #[must_use]
    pub fn row(&self, id: i64) -> Option<&PersonRow> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// The run in which something happened.
    #[must_use]
    pub fn run_of(&self, what: &Happening) -> Option<i64> {
        let row = match what {
            Happening::Came { row } | Happening::Asked { row, .. } | Happening::Ended { row } => *row,
            Happening::Answered { request: answered, .. } => {
                self.moments.iter().find_map(|moment| match &moment.what {
                    Happening::Asked { request, row, .. } if request == answered => Some(*row),
                    _ => None,
                })?
            }
        };
        self.row(row)?.run_id
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When; nothing where that cannot be read.
    pub at: Option<Time>,
    /// What.
    pub what: Happening,
}

/// What can happen to a person's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A row came: into the queue, or with the run that read it.
    Came {
        /// The row.
        row: i64,
    },
    /// A request left that held a row.
    Asked {
        /// The request's number.
        request: i64,
        /// The row.
        row: i64,
        /// What was asked.
        route: String,
        /// How many rows it held.
        rows: u64,
    },
    /// That request came to its end.
    Answered {
        /// The request's number.
        request: i64,
        /// The status of the answer, if there was one.
        status: Option<i64>,
        /// What it means.
        verdict: String,
        /// What was said or seen.
        detail: Option<String>,
    },
    /// A row came to the state that it has.
    Ended {
        /// The row.
        row: i64,
    },
}

impl Happening {
    /// The order of what is dated alike.
    const fn rank(&self) -> u8 {
        match self {
            Self::Came { .. } => 0,
            Self::Asked { .. } => 1,
            Self::Answered { .. } => 2,
            Self::Ended { .. } => 3,
        }
    }
}

/// What Luma has confirmed for a person.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Confirmed {
    /// In whose audience.
    pub account: String,
    /// The tags, joined by `;`.
    pub tags: String,
    /// The run that delivered last.
    pub run_id: i64,
}

#[derive(sqlx::FromRow)]
struct Request {
    row_id: i64,
    id: i64,
    route: String,
    row_count: i64,
    started_at: Time,
    finished_at: Option<Time>,
    status: Option<i64>,
    verdict: Option<String>,
    detail: Option<String>,
}

/// The batches whose requests held these rows: each row's own, those it has passed through, and those they were cut
/// from.
macro_rules! batches_of_rows {
    () => {
        "held (row_id, batch_id) as (
             select id, batch_id from member_queue
              where id in (select cast(value as bigint) from json_each($1)) and batch_id is not null
             union
             select row_id, batch_id from row_passes
              where row_id in (select cast(value as bigint) from json_each($1))
             union
             select h.row_id, b.parent_id from held h join batches b on b.id = h.batch_id
              where b.parent_id is not null) "
    };
}

impl Store {
    /// The story of a person.
    pub async fn trace(&self, person: &Person) -> Result<Story> {
        let rows = self.rows_of_person(person).await?;
        let requests: Vec<Request> = read!(self, db => {
            sqlx::query_as(concat!(
                "with recursive ", batches_of_rows!(),
                "select h.row_id, a.id, a.route, a.row_count, a.started_at, a.finished_at, a.status, a.verdict, a.detail
                   from held h join attempts a on a.batch_id = h.batch_id order by a.id, h.row_id"
            ))
            .bind(ids(&rows))
            .fetch_all(db)
            .await?
        });
        let mut moments: Vec<Moment> = rows.iter().flat_map(of_row).collect();
        moments.extend(requests.into_iter().flat_map(of_request));
        // What cannot be dated comes first.
        moments.sort_by_key(|moment| (moment.at, moment.what.rank()));
        moments.dedup();
        let (confirmed, suppressed) = (self.confirmed(person).await?, self.suppressed(person).await?);
        Ok(Story { moments, rows, confirmed, suppressed })
    }

    /// What Luma has confirmed for a person, by account.
    async fn confirmed(&self, person: &Person) -> Result<Vec<Confirmed>> {
        // By the accounts, so that the ledger's own key leads there.
        let confirmed = read!(self, db => {
            sqlx::query_as(
                "select l.account, t.tags, l.run_id
                   from accounts a
                   join ledger l on l.account = a.name and l.key_hash = $1 and l.email_key = $2
                   join tag_sets t on t.id = l.tag_set_id order by l.account",
            )
            .bind(person.key_hash())
            .bind(person.key())
            .fetch_all(db)
            .await?
        });
        Ok(confirmed)
    }
}

fn of_row(row: &PersonRow) -> impl Iterator<Item = Moment> + use<> {
    let came = Moment { at: row.created_at, what: Happening::Came { row: row.id } };
    let ended = row.settled_at.map(|at| Moment { at: Some(at), what: Happening::Ended { row: row.id } });
    std::iter::once(came).chain(ended)
}

fn of_request(request: Request) -> impl Iterator<Item = Moment> {
    let Request { id, row_id, route, row_count, started_at, finished_at, status, verdict, detail } = request;
    let rows = row_count.unsigned_abs();
    let asked =
        Moment { at: Some(started_at), what: Happening::Asked { request: id, row: row_id, route, rows } };
    let answered = finished_at.map(|at| {
        let verdict = verdict.unwrap_or_default();
        Moment { at: Some(at), what: Happening::Answered { request: id, status, verdict, detail } }
    });
    std::iter::once(asked).chain(answered)
}
