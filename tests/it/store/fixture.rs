//! A database of a test's own with its tables made, a clock that stands still, and the few things
//! that most tests do with them. The only file here that knows which database is open.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lumasync::clock::{Clock, Time};
use lumasync::domain::batch::{BatchLimits, BatchPlanner, item_bytes};
use lumasync::domain::email::Address;
use lumasync::domain::outcome::Outcome;
use lumasync::domain::proof::Verify;
use lumasync::domain::state::{Kind, Trigger};
use lumasync::domain::tag::TagSet;
use lumasync::store::{
    Allowance, Claim, ClaimedBatch, Claims, Input, InputFile, Intake, NewFile, NewRun, PendingRow, RunSource,
    Scope, Settlement, Store, StoreError, UnkeptLines, WorkerIdentity,
};

use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::support::{Outside, Scratch, TestDatabase};

pub(super) const ACCOUNT: &str = "main";
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// A quota that nobody meets.
pub(super) const FREE: Allowance =
    Allowance { requests: 1_000_000, window: Duration::from_secs(1), reserve: 0 };
/// Where every clock starts: 2026-11-22T18:00:00Z and some microseconds.
const START: Time = Time::from_micros(1_795_370_400_123_456);
/// Everything that is ever written, for tests that say that nothing was.
const TABLES: [&str; 10] = [
    "accounts",
    "workers",
    "runs",
    "run_concerns",
    "input_files",
    "tag_sets",
    "batches",
    "member_queue",
    "ledger",
    "attempts",
];

pub(super) struct Fixture {
    pub(super) store: Store,
    pub(super) clock: Clock,
    outside: Outside,
    place: Place,
    scratch: Scratch,
}

/// Where a database is, or will be once it is opened.
#[derive(Clone)]
pub(super) enum Place {
    Sqlite(PathBuf),
    Postgres(Arc<TestDatabase>),
}

impl Place {
    pub(super) async fn open(&self) -> Result<Store, StoreError> {
        let opening: Pin<Box<dyn Future<Output = _> + Send>> = match self {
            Self::Sqlite(path) => Box::pin(Store::open_sqlite(path)),
            Self::Postgres(database) => Box::pin(Store::open_postgres(&database.url, "a test")),
        };
        opening.await
    }

    /// Makes the tables of an earlier release, up to the migration of this number.
    pub(super) async fn make_as_of(&self, last: &str) {
        let (name, migrations) = match self {
            Self::Sqlite(_) => ("sqlite", tempfile::tempdir().expect("a folder")),
            Self::Postgres(_) => ("postgres", tempfile::tempdir().expect("a folder")),
        };
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(name);
        for file in std::fs::read_dir(all).expect("migrations").map(|entry| entry.expect("a file")) {
            if *file.file_name() <= *OsString::from(format!("{last}~")) {
                std::fs::copy(file.path(), migrations.path().join(file.file_name())).expect("copied");
            }
        }
        let migrator = Migrator::new(migrations.path()).await.expect("migrations");
        let made = match self {
            Self::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
                let pool = SqlitePool::connect_with(options).await.expect("a database");
                let made = migrator.run(&pool).await;
                pool.close().await;
                made
            }
            Self::Postgres(database) => {
                let pool = PgPool::connect(&database.url).await.expect("a database");
                let made = migrator.run(&pool).await;
                pool.close().await;
                made
            }
        };
        made.expect("tables");
    }

    /// A query for the indexes and triggers of `member_queue`.
    pub(super) const fn made_for_rows(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => {
                "select type, name from sqlite_master where tbl_name = 'member_queue' and type <> 'table' order by 1, 2"
            }
            Self::Postgres(_) => {
                "select 'index', indexname from pg_indexes where tablename = 'member_queue'
                 union all
                 select 'trigger', tgname from pg_trigger
                  where tgrelid = 'member_queue'::regclass and not tgisinternal order by 1, 2"
            }
        }
    }

    pub(super) async fn outside(&self) -> Outside {
        match self {
            Self::Sqlite(path) => Outside::sqlite_to_write(path).await,
            Self::Postgres(database) => Outside::postgres(&database.url).await,
        }
    }
}

/// Runs a test on a fresh database.
pub(super) fn on_sqlite(test: impl AsyncFnOnce(Fixture)) {
    let scratch = Scratch::new();
    run(Place::Sqlite(scratch.path("t.db")), scratch, test);
}

/// The same on Postgres, where there is one.
pub(super) fn on_postgres(test: impl AsyncFnOnce(Fixture)) {
    if let Some(database) = TestDatabase::new() {
        run(Place::Postgres(Arc::new(database)), Scratch::new(), test);
    }
}

fn run(place: Place, scratch: Scratch, test: impl AsyncFnOnce(Fixture)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let store = place.open().await.expect("a database");
        let outside = place.outside().await;
        test(Fixture { store, clock: Clock::manual(START), outside, place, scratch }).await;
    });
}

impl Fixture {
    /// The same database as another process has it.
    pub(super) async fn open(&self) -> Result<Store, StoreError> {
        self.place.open().await
    }

    /// Another person or program at work on it.
    pub(super) async fn outside(&self) -> Outside {
        self.place.outside().await
    }

    /// A place for another database, which is not there yet.
    pub(super) fn another(&self) -> Place {
        match &self.place {
            Place::Sqlite(_) => Place::Sqlite(self.scratch.path("another.db")),
            Place::Postgres(_) => Place::Postgres(Arc::new(TestDatabase::new().expect("Postgres"))),
        }
    }

    /// This process begins anew.
    pub(super) async fn restart(&mut self) {
        self.store.close().await;
        self.store = self.open().await.expect("opened again");
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Carries a statement out, as a person or another program does.
    pub(super) async fn try_execute(&self, sql: &str) -> Result<u64, sqlx::Error> {
        self.outside.try_execute(sql).await
    }

    pub(super) async fn execute(&self, sql: &str) -> u64 {
        self.try_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(super) async fn count(&self, sql: &str) -> i64 {
        self.outside.count(sql).await
    }

    /// Every row in text; `NULL` where there is no value.
    pub(super) async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.outside.rows(sql).await
    }

    /// All that is written anywhere.
    pub(super) async fn everything(&self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        for table in TABLES {
            let mut rows = self.rows(&format!("select * from {table}")).await;
            rows.sort();
            all.push(vec![table.to_owned()]);
            all.extend(rows);
        }
        all
    }

    /// A new worker, alive for a lease.
    pub(super) async fn worker(&self) -> i64 {
        let until = self.now().plus(LEASE);
        self.store.add_worker(&identity(), self.now(), until).await.expect("a worker")
    }

    pub(super) async fn tag_set(&self, tags: &str) -> i64 {
        let set = TagSet::parse(tags).expect("ids of tags");
        self.store.intern_tag_sets(&[set]).await.expect("an id")[0]
    }

    /// Enters a file of so many parts.
    pub(super) async fn file(&self, identity: &str, parts: u32) -> (InputFile, bool) {
        let run = new_run(self.now());
        let file = NewFile {
            identity,
            sha256: identity,
            size: 1,
            name: "list.csv",
            path: "list.csv",
            extra_tags: "",
            parts,
            shape: "",
        };
        self.store.begin_file(run, &file).await.expect("a file")
    }

    /// Takes one part of a file in, in batches of `per_batch`.
    pub(super) async fn part(
        &self,
        file: &InputFile,
        part: u32,
        people: &[&str],
        tag_set: i64,
        per_batch: usize,
    ) -> Result<Vec<i64>, StoreError> {
        let limits = BatchLimits { max_rows: per_batch, max_bytes: 1 << 20 };
        let mut planner = BatchPlanner::new(limits, []);
        let pending = pending_rows(people, tag_set, &mut planner);
        let is_last = part + 1 == file.parts;
        let ids = self
            .store
            .add_part(&Intake {
                account: ACCOUNT,
                run_id: file.run_id,
                input: Input::File(file.id),
                part,
                is_last,
                pending: &pending,
                new_members: 0,
                invalid: &[],
                unkept: &UnkeptLines::default(),
                batches: planner.touched(),
                now: self.now(),
            })
            .await?;
        if is_last {
            self.store.release_run(file.run_id).await?;
        }
        Ok(ids)
    }

    /// Takes a whole list in; its run.
    pub(super) async fn list(&self, people: &[&str], tags: &str, per_batch: usize) -> i64 {
        let known = self.count("select count(*) from input_files").await;
        let (file, _) = self.file(&format!("list {known}"), 1).await;
        let tag_set = self.tag_set(tags).await;
        self.part(&file, 0, people, tag_set, per_batch).await.expect("taken in");
        file.run_id
    }

    /// Asks for work under a quota.
    pub(super) async fn ask(&self, worker_id: i64, limit: usize, allowance: Allowance) -> Claim {
        ask(&self.store, &self.clock, worker_id, limit, allowance).await
    }

    /// Batches that are due and nobody's.
    pub(super) async fn claim(&self, worker_id: i64, limit: usize) -> Vec<ClaimedBatch> {
        match self.ask(worker_id, limit, FREE).await {
            Claim::Batches(batches) => batches,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Result<(), StoreError> {
        self.store.turn(&[settlement], None, &self.clock).await.map(|_| ())
    }

    /// Luma took all of it.
    pub(super) async fn deliver(&self, batch: &ClaimedBatch) {
        self.settle(delivered(batch)).await.expect("settled");
    }
}

/// Who asks for how much.
pub(super) const fn claims(worker_id: i64, limit: usize, allowance: Allowance) -> Claims<'static> {
    Claims {
        account: ACCOUNT,
        worker_id,
        scope: Scope::All,
        limit,
        allowance,
        route: "POST /import",
        tag_route: None,
        with_names: true,
    }
}

/// Asks for work, on any handle of the database.
pub(super) async fn ask(
    store: &Store,
    clock: &Clock,
    worker_id: i64,
    limit: usize,
    allowance: Allowance,
) -> Claim {
    store
        .turn(&[], Some(&claims(worker_id, limit, allowance)), clock)
        .await
        .expect("asked")
        .expect("an answer")
}

/// What an answer came to, with nothing besides.
pub(super) fn settlement(
    batch: &ClaimedBatch,
    outcome: Outcome,
    verdict: Option<&'static str>,
) -> Settlement {
    let (batch, status) = (batch.clone(), verdict.map(|_| 200));
    let (detail, block, max_body, as_import, halt) = (None, None, None, false, None);
    Settlement { batch, outcome, status, verdict, detail, block, max_body, as_import, halt }
}

pub(super) fn delivered(batch: &ClaimedBatch) -> Settlement {
    settlement(batch, Outcome::Delivered, Some("accepted"))
}

/// A passing fault, to be tried again after `wait`.
pub(super) fn faulted(batch: &ClaimedBatch, due_at: Time) -> Settlement {
    settlement(batch, Outcome::Again { due_at, costs_attempt: true }, Some("transient"))
}

pub(super) fn identity() -> WorkerIdentity {
    WorkerIdentity { host: "here".to_owned(), pid: 1, birth: "1".to_owned() }
}

pub(super) fn key_hash(email: &str) -> i64 {
    Address::parse(email).expect("an address").key_hash()
}

/// So many distinct people.
pub(super) fn people(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("p{number:04}@example.org")).collect()
}

pub(super) fn refs(people: &[String]) -> Vec<&str> {
    people.iter().map(String::as_str).collect()
}

/// A run of a list by hand.
pub(super) fn new_run(now: Time) -> NewRun<'static> {
    NewRun {
        account: ACCOUNT,
        kind: Kind::Members,
        source: RunSource::File,
        trigger: Trigger::Manual,
        fire: None,
        verify: Verify::None,
        planned: false,
        label: "list.csv",
        now,
    }
}

/// Rows of these people, each on a line of its own, with their places in batches.
pub(super) fn pending_rows<'a>(
    people: &[&'a str],
    tag_set: i64,
    planner: &mut BatchPlanner,
) -> Vec<PendingRow<'a>> {
    let row = |(email, line): (&&'a str, i64)| PendingRow {
        email,
        name: None,
        line,
        key_hash: key_hash(email),
        tag_set,
        batch: planner.place(tag_set, item_bytes(email)),
    };
    people.iter().zip(1..).map(row).collect()
}
