//! Input files: which bytes were taken in, how far, and where the file is now.

use super::runs::enter_run;
use super::{NewRun, Result, Store, StoreError, error::ensure_rows, read, write_tx};
use crate::domain::state::RunStatus;

/// A file about to be taken in.
#[derive(Clone, Debug)]
pub struct NewFile<'a> {
    /// The bytes and what was asked of them; the same again is not taken twice.
    pub identity: &'a str,
    /// SHA-256 of the bytes as they lie on disk, in hex.
    pub sha256: &'a str,
    /// Bytes on disk.
    pub size: u64,
    /// The name people know it by.
    pub name: &'a str,
    /// Where it is.
    pub path: &'a str,
    /// Tags that every row gets, as stored.
    pub extra_tags: &'a str,
    /// Parts into which its rows are divided.
    pub parts: u32,
    /// What the reader found, in words.
    pub shape: &'a str,
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Its rows are going into the queue.
    Taking,
    /// All its rows are in the queue.
    Taken,
    /// It lies in the archive, with its result files beside it.
    Archived,
}

impl FileState {
    /// The stored text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taking => "taking",
            Self::Taken => "taken",
            Self::Archived => "archived",
        }
    }
}

/// A file that is being or was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Its number.
    pub id: i64,
    /// The run that takes it in.
    pub run_id: i64,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// The name people know it by.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Tags that every row got, as stored.
    pub extra_tags: String,
    /// What the reader found, in words.
    pub shape: Option<String>,
    /// Parts into which its rows are divided.
    pub parts: u32,
    /// Parts whose rows are in the queue.
    pub parts_done: u32,
    /// How far it is.
    pub state: FileState,
}

#[derive(sqlx::FromRow)]
struct FileRow {
    id: i64,
    run_id: i64,
    sha256: String,
    name: String,
    path: String,
    extra_tags: String,
    shape: Option<String>,
    parts: i64,
    parts_done: i64,
    state: String,
}

impl TryFrom<FileRow> for InputFile {
    type Error = StoreError;

    fn try_from(row: FileRow) -> Result<Self> {
        let part = |value: i64| {
            u32::try_from(value).map_err(|_| StoreError::corrupt("input_files", "parts", &value))
        };
        Ok(Self {
            id: row.id,
            run_id: row.run_id,
            sha256: row.sha256,
            name: row.name,
            path: row.path,
            extra_tags: row.extra_tags,
            shape: row.shape,
            parts: part(row.parts)?,
            parts_done: part(row.parts_done)?,
            state: match row.state.as_str() {
                "taking" => FileState::Taking,
                "taken" => FileState::Taken,
                "archived" => FileState::Archived,
                other => return Err(StoreError::corrupt("input_files", "state", other)),
            },
        })
    }
}

/// What `InputFile` is read from.
macro_rules! file_columns {
    () => {
        "select id, run_id, sha256, name, path, extra_tags, shape, parts, parts_done, state
           from input_files "
    };
}

impl Store {
    /// The identity of the last intake "once more" of this one that is not done.
    pub async fn unfinished_again(&self, identity: &str) -> Result<Option<String>> {
        let found = read!(self, db => {
            sqlx::query_scalar(
                "select f.identity from input_files f join runs r on r.id = f.run_id
                  where substr(f.identity, 1, length($1) + 1) = $1 || ':' and r.status <> 'canceled'
                    and (f.state = 'taking'
                        or exists (select 1 from batches
                                    where run_id = r.id and state in ('pending', 'in_flight'))
                        or exists (select 1 from event_queue
                                    where run_id = r.id and state in ('pending', 'in_flight')))
                  order by f.id desc limit 1",
            )
            .bind(identity)
            .fetch_optional(db)
            .await?
        });
        Ok(found)
    }

    /// Enters a file and the run that takes it in, or finds the file that has this identity.
    /// The file, and whether it was entered just now.
    pub async fn begin_file(&self, run: NewRun<'_>, file: &NewFile<'_>) -> Result<(InputFile, bool)> {
        let is_new = write_tx!(self, tx => {
            let known: Option<i64> = sqlx::query_scalar("select id from input_files where identity = $1")
                .bind(file.identity)
                .fetch_optional(&mut *tx)
                .await?;
            if known.is_some() {
                false
            } else {
                let run_id = enter_run!(tx, run, RunStatus::Queued);
                let entered = sqlx::query(
                    "insert into input_files
                         (run_id, identity, sha256, size, name, path, extra_tags, shape, parts, state)
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'taking')
                     on conflict (identity) do nothing",
                )
                .bind(run_id)
                .bind(file.identity)
                .bind(file.sha256)
                .bind(i64::try_from(file.size).unwrap_or(i64::MAX))
                .bind(file.name)
                .bind(file.path)
                .bind(file.extra_tags)
                .bind(file.shape)
                .bind(i64::from(file.parts))
                .execute(&mut *tx)
                .await?
                .rows_affected();
                if entered == 0 {
                    // Another process was first, and has a run of its own for it.
                    sqlx::query("delete from runs where id = $1").bind(run_id).execute(&mut *tx).await?;
                }
                entered == 1
            }
        });
        let found = self.file_by_identity(file.identity).await?;
        let lost = || StoreError::Lost { what: format!("file `{}`", file.name) };
        Ok((found.ok_or_else(lost)?, is_new))
    }

    /// The file with this identity, if it was taken in.
    pub async fn file_by_identity(&self, identity: &str) -> Result<Option<InputFile>> {
        let row: Option<FileRow> = read!(self, db => {
            sqlx::query_as(concat!(file_columns!(), "where identity = $1"))
                .bind(identity)
                .fetch_optional(db)
                .await?
        });
        row.map(InputFile::try_from).transpose()
    }

    /// The file a run takes in, if it takes in one.
    pub async fn file_of_run(&self, run_id: i64) -> Result<Option<InputFile>> {
        let row: Option<FileRow> = read!(self, db => {
            sqlx::query_as(concat!(file_columns!(), "where run_id = $1"))
                .bind(run_id)
                .fetch_optional(db)
                .await?
        });
        row.map(InputFile::try_from).transpose()
    }

    /// Files of the account's folder that are not archived yet, oldest first.
    pub async fn folder_files(&self, account: &str) -> Result<Vec<InputFile>> {
        let rows: Vec<FileRow> = read!(self, db => {
            sqlx::query_as(concat!(
                file_columns!(),
                "where state <> 'archived'
                   and run_id in (select id from runs where source = 'folder' and account = $1)
                 order by id"
            ))
            .bind(account)
            .fetch_all(db)
            .await?
        });
        rows.into_iter().map(InputFile::try_from).collect()
    }

    /// Every file that was taken in, oldest first.
    pub async fn input_files(&self) -> Result<Vec<InputFile>> {
        let rows: Vec<FileRow> = read!(self, db => {
            sqlx::query_as(concat!(file_columns!(), "order by id")).fetch_all(db).await?
        });
        rows.into_iter().map(InputFile::try_from).collect()
    }

    /// Notes by which bytes an archived file is known from now on. What it was taken in as stays.
    pub async fn note_bytes(&self, id: i64, sha256: &str, size: u64) -> Result<()> {
        let found = write_tx!(self, tx => {
            sqlx::query("update input_files set sha256 = $2, size = $3 where id = $1 and state = 'archived'")
                .bind(id)
                .bind(sha256)
                .bind(i64::try_from(size).unwrap_or(i64::MAX))
                .execute(&mut *tx)
                .await?
                .rows_affected()
        });
        ensure_rows(found, 1, || format!("file `{id}`"))
    }

    /// Notes where a file is now.
    pub async fn move_file(&self, id: i64, path: &str, state: FileState) -> Result<()> {
        let found = write_tx!(self, tx => {
            sqlx::query("update input_files set path = $2, state = $3 where id = $1")
                .bind(id)
                .bind(path)
                .bind(state.as_str())
                .execute(&mut *tx)
                .await?
                .rows_affected()
        });
        ensure_rows(found, 1, || format!("file `{id}`"))
    }
}
