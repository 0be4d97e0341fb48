//! Which database a command works on, and how another one is named in a command that can be copied.

use std::path::{Path, PathBuf};

use super::args::Global;
use super::words::quoted;
use crate::config::{Config, Database};
use crate::store::Store;

/// What the README's first command writes.
pub(super) const SANDBOX_DATABASE: &str = "lumasync-sandbox.db";
const DATABASE_KEY: &str = "database.url";

/// There is no database to look at, which is no reason to make one.
#[derive(Debug, thiserror::Error)]
#[error("there is no database at `{}` yet\nhint: the first `lumasync sync` or `lumasync run` makes it{rehearsal}", path.display())]
pub(super) struct NoDatabase {
    path: PathBuf,
    rehearsal: String,
}

/// Opens the database of the configuration for a command that only looks: none is made.
pub(super) async fn open_known(config: &Config) -> anyhow::Result<Store> {
    let Database::Sqlite(path) = &config.database else {
        return super::context::open_store(config).await;
    };
    if path.exists() {
        return super::context::open_store(config).await;
    }
    let other = path.with_file_name(SANDBOX_DATABASE);
    let rehearsal = if other.exists() {
        let command = this_command_on(&other, &[]);
        format!("\nhint: the record of a rehearsal lies in `{}`: `{command}` looks at that", other.display())
    } else {
        String::new()
    };
    Err(NoDatabase { path: path.clone(), rehearsal }.into())
}

/// The command that was typed, with another database and these settings.
pub(super) fn this_command_on(database: &Path, settings: &[String]) -> String {
    command_on(std::env::args().skip(1), database, settings)
}

fn command_on(typed: impl Iterator<Item = String>, database: &Path, settings: &[String]) -> String {
    let mut kept = Vec::new();
    let mut typed = typed.peekable();
    let is_database = |value: &str| value.trim_start().starts_with(DATABASE_KEY);
    while let Some(word) = typed.next() {
        let next_is = typed.peek().is_some_and(|value| is_database(value));
        if word == "--set" && next_is {
            typed.next();
        } else if !word.strip_prefix("--set=").is_some_and(is_database) {
            kept.push(word);
        }
    }
    let url = format!("{DATABASE_KEY}=sqlite://{}", database.display());
    let set = std::iter::once(url).chain(settings.iter().cloned()).flat_map(|set| ["--set".to_owned(), set]);
    let words = std::iter::once(own_name()).chain(set).chain(kept);
    words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

/// What the program was called as: by its path where it is not on everybody's.
fn own_name() -> String {
    std::env::args().next().filter(|own| own.contains('/')).unwrap_or_else(|| "lumasync".to_owned())
}

/// How lumasync is called so that it finds the same configuration and database again.
pub(super) fn program(global: &Global, config: &Config) -> String {
    let mut words = vec![own_name()];
    if let Some(file) = &global.config {
        words.extend(["--config".to_owned(), file.display().to_string()]);
    }
    let is_set = global.set.iter().any(|(key, _)| key == DATABASE_KEY);
    if is_set || config.origin == crate::config::Origin::Quickstart {
        let url = match &config.database {
            Database::Sqlite(path) => format!("sqlite://{}", path.display()),
            // The URL may hold a password.
            Database::Postgres { .. } => "postgres://...".to_owned(),
        };
        words.extend(["--set".to_owned(), format!("{DATABASE_KEY}={url}")]);
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_repeated_on_another_database() {
        let typed = [
            "--set",
            "database.url=sqlite://a.db",
            "sync",
            "--set=database.url=x",
            "my list.csv",
            "--set",
            "a.b=1",
        ];
        let on = |settings: &[String]| {
            command_on(typed.iter().map(ToString::to_string), Path::new("b.db"), settings)
        };
        assert_eq!(on(&[]), own_name() + " --set database.url=sqlite://b.db sync 'my list.csv' --set a.b=1");
        let with = on(&["folder.path=other".to_owned()]);
        assert!(with.contains(" --set database.url=sqlite://b.db --set folder.path=other sync "), "{with}");
    }
}
