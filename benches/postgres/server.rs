//! The server: settings as a real one has them, databases made and looked into by `psql`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;

use crate::cluster::Cluster;
use crate::support::child::peak_of_status;

/// The defaults, `fsync` among them, but for more memory than a server had in 1996, and room in the log, so
/// that nothing which is measured pays for a checkpoint of something else.
const SETTINGS: [&str; 4] = ["fsync=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=8GB"];

/// A cluster on the disk that cargo builds on.
pub(crate) struct Server(Cluster);

impl Server {
    /// Starts it, or says why there is none.
    pub(crate) fn start() -> Result<Self, String> {
        let has_psql = Command::new("psql").arg("--version").stdout(Stdio::null()).status();
        if !has_psql.is_ok_and(|status| status.success()) {
            return Err("no `psql` is installed".to_owned());
        }
        Cluster::make(Path::new(env!("CARGO_TARGET_TMPDIR")), &SETTINGS).map(Self)
    }

    /// What it is and how it is set.
    pub(crate) fn about(&self) -> anyhow::Result<String> {
        let version = self.ask("postgres", "show server_version")?;
        Ok(format!("Postgres {version}, {}", SETTINGS.join(", ")))
    }

    /// Where `database` is.
    pub(crate) fn url(&self, database: &str) -> String {
        self.0.url(database)
    }

    /// A fresh database, empty or like another, on a server that has written everything out.
    pub(crate) fn fresh(&mut self, database: &str, like: &str) -> anyhow::Result<String> {
        self.drop_database(database)?;
        self.psql("postgres", &[&format!("create database {database} template {like}")])?;
        self.0.stop()?;
        self.0.start()?;
        Ok(self.url(database))
    }

    /// Removes a database, if there is one.
    pub(crate) fn drop_database(&self, database: &str) -> anyhow::Result<()> {
        self.psql("postgres", &[&format!("drop database if exists {database}")]).map(drop)
    }

    /// The one value that a query gives.
    pub(crate) fn ask(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        Ok(self.psql(database, &[sql])?.trim().to_owned())
    }

    /// The one number that a query gives.
    pub(crate) fn number(&self, database: &str, sql: &str) -> anyhow::Result<f64> {
        let found = self.ask(database, sql)?;
        found.parse().with_context(|| format!("`{found}` is no number"))
    }

    /// The floor of an intake, `\copy` into a table with a unique index: seconds and peak MiB of `psql`.
    pub(crate) fn copy(&self, database: &str, file: &Path) -> anyhow::Result<(f64, f64)> {
        let table = "create table members (email text, name text, tags text);
                     create unique index members_email on members (email)";
        let copy = format!(r"\copy members from '{}' with (format csv, header)", file.display());
        let started = Instant::now();
        let status = self.psql(database, &[table, &copy, r"\! cat /proc/$PPID/status"])?;
        let seconds = started.elapsed().as_secs_f64();
        let peak = peak_of_status(&status).map_or(Ok(f64::NAN), str::parse)? / 1024.0;
        Ok((seconds, peak))
    }

    /// Stops it; nothing of it is left.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        Ok(self.0.stop()?)
    }

    fn psql(&self, database: &str, commands: &[&str]) -> anyhow::Result<String> {
        let mut psql = Command::new("psql");
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]);
        psql.env("PGOPTIONS", "-c client_min_messages=warning");
        psql.args(commands.iter().flat_map(|command| ["-c", command])).stderr(Stdio::inherit());
        let output = psql.output()?;
        anyhow::ensure!(output.status.success(), "psql ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }
}
