//! Where others' rows, files and runs name a person: in the names that go with addresses, and in those of files.
//!
//! Names of rows that wait are left: what is sent is what was taken in. Names of files are only told, because
//! renaming them is for whoever knows what else goes by them.

use sqlx::AssertSqlSafe;

use super::claims::list;
use super::forget::is_like;
use super::lossy::Lossy;
use super::person::patterns;
use super::{Result, Store, read, write_tx};
use crate::domain::person::Person;

/// Rows that one transaction writes at most.
const STEP: usize = 500;
/// What is named after a file.
const FILE_NAMES: [(&str, &str); 4] =
    [("input_files", "path"), ("input_files", "name"), ("runs", "label"), ("suppressions", "origin")];

/// Names of others' rows that hold an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// That were erased, or would be.
    pub(super) erased: u64,
    /// Of rows that wait.
    pub(super) waiting: u64,
}

#[derive(sqlx::FromRow)]
struct Named {
    id: i64,
    #[sqlx(try_from = "Lossy")]
    name: String,
    is_waiting: bool,
}

impl Store {
    /// Erases the names of rows that hold the address, but for these, which are the person's own.
    pub(super) async fn erase_names(&self, person: &Person, own: &[i64], dry_run: bool) -> Result<Names> {
        let find = format!(
            "select id, name, state in ('new', 'pending', 'held') as is_waiting from member_queue where {}",
            is_like("name")
        );
        let [first, second, third] = patterns(person);
        let found: Vec<Named> = read!(self, db => {
            sqlx::query_as(AssertSqlSafe(find)).bind(first).bind(second).bind(third).fetch_all(db).await?
        });
        let is_meant = |row: &Named| person.is_named_in(row.name.as_bytes()) && !own.contains(&row.id);
        let (waiting, ended): (Vec<Named>, Vec<Named>) =
            found.into_iter().filter(is_meant).partition(|row| row.is_waiting);
        for step in ended.chunks(STEP).filter(|_| !dry_run) {
            let rows = list(step.iter().map(|row| row.id));
            write_tx!(self, tx => {
                sqlx::query(
                    "update member_queue set name = null
                      where id in (select cast(value as bigint) from json_each($1))
                        and state not in ('new', 'pending', 'held')",
                )
                .bind(&rows)
                .execute(&mut *tx)
                .await?;
            });
        }
        Ok(Names { erased: ended.len() as u64, waiting: waiting.len() as u64 })
    }

    /// Names of files that hold the address, as they are on record.
    pub(super) async fn file_names_with(&self, person: &Person) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for (table, column) in FILE_NAMES {
            let find = format!("select {column} from {table} where {}", is_like(column));
            let [first, second, third] = patterns(person);
            let found: Vec<String> = read!(self, db => {
                sqlx::query_scalar(AssertSqlSafe(find)).bind(first).bind(second).bind(third).fetch_all(db).await?
            });
            names.extend(found.into_iter().filter(|name| person.is_named_in_path(name)));
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}
