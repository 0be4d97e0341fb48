//! One test's world: a folder with a configuration, a Luma, and the binary between them.

use std::time::Duration;

use lumasync::sandbox::Options;
use serde_json::Value;

use super::binary::Ended;
use super::{Binary, Db, Luma, Running, Scratch, config_text, wait_until};

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
}

impl Bench {
    /// A Luma without a limit that has these faults, and a configuration with these lines.
    pub(crate) fn new(faults: &str, extra: &str) -> Self {
        Self::with(Options { limit: None, ..faulty(faults) }, extra)
    }

    pub(crate) fn with(options: Options, extra: &str) -> Self {
        let bench = Self { scratch: Scratch::new(), luma: Luma::start(options) };
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
        let text = config_text("t.db", &luma.url(), &format!("{}\n", lines.join("\n")));
        self.scratch.write("lumasync.toml", text);
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
        Db::open(&self.scratch.path("t.db"))
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
        self.scratch.path("t.db").exists()
            && self.db().count("select count(*) from sqlite_master where name = 'attempts'") == 1
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
