//! The rows of one person, whatever account and run they belong to.
//!
//! No index leads from a person to their rows: it would cost every row of an intake, and is wanted by hand, now
//! and then. So the queue is read from end to end.

use super::lossy::Lossy;
use super::time::Written;
use super::{Result, Store, read};
use crate::clock::Time;
use crate::domain::person::Person;

/// A row of one person.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PersonRow {
    /// Its number.
    pub id: i64,
    /// Whose key it is sent with.
    #[sqlx(try_from = "Lossy")]
    pub account: String,
    /// The address as it was given.
    #[sqlx(try_from = "Lossy")]
    pub email: String,
    /// The name, if it has one.
    #[sqlx(try_from = "Lossy")]
    pub name: Option<String>,
    /// The tags as given or as resolved.
    #[sqlx(try_from = "Lossy")]
    pub tags: Option<String>,
    /// Where it stands.
    pub state: String,
    /// The stable code, if it has one.
    pub code: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// When it came, where that can be read.
    #[sqlx(try_from = "Written")]
    pub created_at: Option<Time>,
    /// When it got the state that it has, if that is one to end in.
    pub settled_at: Option<Time>,
    /// The run that read it.
    pub run_id: Option<i64>,
    /// What people call that.
    pub label: Option<String>,
    /// What kind of source that has.
    pub source: Option<String>,
    /// Its line, if it came from a file.
    pub line: Option<i64>,
    /// Its request now or last.
    pub batch_id: Option<i64>,
    /// Whether it is in a request now.
    pub is_in_flight: bool,
    /// Whether its person is looked for in the audience now.
    pub is_sought: bool,
    /// Whether its run waits for a person, and it with it.
    pub is_held: bool,
    /// When its next request is due, while it waits for one.
    pub due_at: Option<Time>,
}

/// What of a queue is this person's: rows that were read, by the key; others, by what stands in them.
macro_rules! is_theirs {
    () => {
        "(q.key_hash = $1 and lower(coalesce(q.address, q.email)) = $2
          or q.key_hash is null and (lower(q.email) like $3 escape '!' or lower(q.email) like $4 escape '!'
                                     or lower(q.email) like $5 escape '!'))"
    };
}

/// Patterns for text that may hold one of the spellings; what they find is looked at again.
pub(super) fn patterns(person: &Person) -> [Option<String>; 3] {
    let pattern = |spelling: &String| {
        let plain: String = spelling
            .chars()
            .flat_map(|c| matches!(c, '%' | '_' | '!').then_some('!').into_iter().chain([c]))
            .collect();
        format!("%{plain}%")
    };
    let mut spellings = person.spellings().iter().map(pattern);
    std::array::from_fn(|_| spellings.next())
}

impl Store {
    /// Every row of a person, the oldest first.
    pub async fn rows_of_person(&self, person: &Person) -> Result<Vec<PersonRow>> {
        let [first, second, third] = patterns(person);
        let rows: Vec<PersonRow> = read!(self, db => {
            sqlx::query_as(concat!(
                "select q.id, q.account, q.email, q.name, coalesce(q.tags, t.tags) as tags, q.state, q.code, q.reason,
                        q.created_at, q.settled_at, q.run_id, r.label, r.source, q.line, q.batch_id,
                        coalesce(b.state = 'in_flight' and q.state = 'pending', false) as is_in_flight,
                        exists (select 1 from sought s where s.row_id = q.id) as is_sought,
                        coalesce(r.status = 'held' and q.state = 'pending', false) as is_held,
                        case when q.state = 'pending' and b.state = 'pending' then b.due_at end as due_at
                   from member_queue q
                   left join runs r on r.id = q.run_id
                   left join batches b on b.id = q.batch_id
                   left join tag_sets t on t.id = q.tag_set_id
                  where ", is_theirs!(), " order by q.id"
            ))
            .bind(person.key_hash())
            .bind(person.key())
            .bind(first)
            .bind(second)
            .bind(third)
            .fetch_all(db)
            .await?
        });
        let is_theirs = |row: &PersonRow| row.batch_id.is_some() || person.is_named_in(row.email.as_bytes());
        Ok(rows.into_iter().filter(is_theirs).collect())
    }
}

/// The numbers of rows, as the list that statements take many by.
pub(super) fn ids(rows: &[PersonRow]) -> String {
    super::claims::list(rows.iter().map(|row| row.id))
}
