//! One test's world: a folder with a configuration, a Luma, and the binary between them.

use std::time::Duration;

use lumasync::sandbox::Options;
use serde_json::Value;

use super::binary::Ended;
use super::{Binary, Db, Luma, Running, Scratch, TestDatabase, config_text, wait_until};

/// How long anything may take that is not about time.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Settings that hold nobody back, where a test does not say otherwise.
const UNLIMITED: [(&str, &str); 3] = [
    ("luma.rate_limit.requests", "100000"),
    ("luma.rate_limit.window", "\"1s\""),
    ("luma.rate_limit.per_second", "10000"),
];

pub(crate) struct Bench {
    pub(crate) scratch: Scratch,
    pub(crate) luma: Luma,
    database: Database,
}

/// Where the binary keeps its data: in the folder, or on Postgres where `LUMASYNC_TEST_DATABASE` says so.
enum Database {
    Sqlite,
    Postgres(TestDatabase),
    Other(String),
}

impl Database {
    fn new() -> Self {
        TestDatabase::asked_for().map_or(Self::Sqlite, Self::Postgres)
    }
}

impl Bench {
    /// A Luma without a limit that has these faults, and a configuration with these lines.
    pub(crate) fn new(faults: &str, extra: &str) -> Self {
        Self::with(Options { limit: None, ..faulty(faults) }, extra)
    }

    pub(crate) fn with(options: Options, extra: &str) -> Self {
        let bench = Self { scratch: Scratch::new(), luma: Luma::start(options), database: Database::new() };
        bench.configure(extra);
        bench
    }

    /// The same on a database of the test's choice.
    pub(crate) fn on(url: &str, faults: &str, extra: &str) -> Self {
        Self::with_options_on(url, Options { limit: None, ..faulty(faults) }, extra)
    }

    /// The same with a Luma of the test's choice.
    pub(crate) fn with_options_on(url: &str, options: Options, extra: &str) -> Self {
        let luma = Luma::start(options);
        let bench = Self { scratch: Scratch::new(), luma, database: Database::Other(url.to_owned()) };
        bench.configure(extra);
        bench
    }

    /// Writes the configuration, in place of the one before.
    pub(crate) fn configure(&self, extra: &str) {
        self.point_to(&self.luma, extra);
    }

    /// The same with another Luma.
    pub(crate) fn point_to(&self, luma: &Luma, extra: &str) {
        let is_set = |key: &str| extra.lines().any(|line| line.trim_start().starts_with(key));
        let free =
            UNLIMITED.iter().filter(|(key, _)| !is_set(key)).map(|(key, value)| format!("{key} = {value}"));
        let lines: Vec<String> = free.chain(extra.lines().map(|line| line.trim().to_owned())).collect();
        self.write_config(&luma.url(), &format!("{}\n", lines.join("\n")));
    }

    /// The same with an address for Luma and these lines alone.
    pub(crate) fn write_config(&self, url: &str, extra: &str) {
        let database = match &self.database {
            Database::Sqlite => "sqlite://t.db",
            Database::Postgres(database) => &database.url,
            Database::Other(url) => url,
        };
        self.scratch.write("lumasync.toml", config_text(database, url, extra));
    }

    /// A command in the folder.
    pub(crate) fn lumasync<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Binary {
        Binary::new(&self.scratch, args)
    }

    /// `sync` with a report that can be read.
    pub(crate) fn sync<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Binary {
        self.lumasync(["--output", "json", "sync"].into_iter().chain(args))
    }

    /// A look into the database, once there is one.
    pub(crate) fn db(&self) -> Db {
        match &self.database {
            Database::Sqlite => Db::open(&self.scratch.path("t.db")),
            Database::Postgres(database) => Db::postgres(&database.url),
            Database::Other(url) => Db::postgres(url),
        }
    }

    /// The same for a program that inserts rows.
    pub(crate) fn db_to_write(&self) -> Db {
        match &self.database {
            Database::Sqlite => Db::open_to_write(&self.scratch.path("t.db")),
            Database::Postgres(database) => Db::postgres(&database.url),
            Database::Other(url) => Db::postgres(url),
        }
    }

    /// All that is stored, as it lies there.
    pub(crate) fn stored(&self) -> Vec<u8> {
        if self.is_sqlite() {
            return std::fs::read(self.scratch.path("t.db")).expect("a database");
        }
        self.db().rows("select cast(database_to_xml(true, false, '') as text)").concat().concat().into_bytes()
    }

    /// The database is gone with all that was in it.
    pub(crate) fn lose_data(&self) {
        match &self.database {
            Database::Sqlite => {
                for file in ["t.db", "t.db-wal", "t.db-shm"] {
                    let _ = std::fs::remove_file(self.scratch.path(file));
                }
            }
            Database::Postgres(database) => database.empty(),
            Database::Other(url) => panic!("`{url}` is somebody else's"),
        }
    }

    /// Whether the data is in a file of the folder.
    pub(crate) const fn is_sqlite(&self) -> bool {
        matches!(self.database, Database::Sqlite)
    }

    /// The service, once it runs.
    #[track_caller]
    pub(crate) fn serve(&self) -> Running {
        let running = self.lumasync(["run"]).spawn();
        wait_until(PATIENCE, "the service", || running.stderr().contains("running on"));
        running
    }

    /// Whether there is a database with its tables.
    pub(crate) fn has_db(&self) -> bool {
        let tables = match &self.database {
            Database::Sqlite if !self.scratch.path("t.db").exists() => return false,
            Database::Sqlite => "select count(*) from sqlite_master where name = 'attempts'",
            Database::Postgres(_) | Database::Other(_) => "select count(to_regclass('attempts'))",
        };
        self.db().count(tables) == 1
    }
}

/// Options with these faults.
pub(crate) fn faulty(faults: &str) -> Options {
    Options { faults: faults.parse().expect("faults"), ..Options::default() }
}

impl Ended {
    /// The one run that a `sync` reports in JSON. Its numbers must add up.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        let reports = self.reports();
        assert_eq!(reports.len(), 1, "runs\n{self}");
        reports.into_iter().next().expect("one")
    }

    /// All of them.
    #[track_caller]
    pub(crate) fn reports(&self) -> Vec<Report> {
        let said: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"));
        let reports: Vec<Report> =
            said["runs"].as_array().expect("a list of runs").iter().cloned().map(Report).collect();
        for report in &reports {
            let rows = report.0["rows"].as_object().expect("rows");
            let sum: u64 = rows
                .iter()
                .filter(|(state, _)| *state != "read")
                .map(|(_, n)| n.as_u64().expect("count"))
                .sum();
            assert_eq!(report.rows("read"), sum, "the accounting law\n{self}");
        }
        reports
    }
}

/// What `sync` says of a run.
#[derive(Debug)]
pub(crate) struct Report(pub(crate) Value);

impl Report {
    #[track_caller]
    pub(crate) fn rows(&self, state: &str) -> u64 {
        self.0["rows"][state].as_u64().unwrap_or_else(|| panic!("no rows `{state}` in {}", self.0))
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    pub(crate) fn number(&self, field: &str) -> u64 {
        self.0[field].as_u64().expect("a number")
    }

    /// `(code, rows)` of everything that was not sent.
    pub(crate) fn causes(&self) -> Vec<(String, u64)> {
        let causes = self.0["causes"].as_array().expect("causes");
        let cause = |cause: &Value| {
            (cause["code"].as_str().expect("a code").to_owned(), cause["rows"].as_u64().expect("rows"))
        };
        let mut causes: Vec<_> = causes.iter().map(cause).collect();
        causes.sort();
        causes
    }
}
