//! Sources on the command line: which ones are meant, taking them in, and a look at each.

use super::args::{Global, Selection};
use super::check::Finding;
use super::context::{Need, sources as places};
use super::exit::Exit;
use super::explain::explain_std;
use super::intake::Pass;
use super::out;
use super::workshop::Desk;
use crate::clock::Clock;
use crate::config::{self, Config, Database};
use crate::domain::state::Trigger;
use crate::engine::{EngineError, Source, SourceCursor, Stop, look_at};
use crate::store::SourceDatabase;

/// Whether every source that was named is there, before anything is made; what is not is told.
pub(super) fn are_known(global: &Global, args: &Selection) -> anyhow::Result<bool> {
    if args.sources.is_empty() {
        return Ok(true);
    }
    let need = if args.sandbox.sandbox { Need::Sandbox } else { Need::Luma };
    // Its warnings are told when the work begins.
    let config = Config::load(&places(global, need))?;
    let known: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    let unknown = args.sources.iter().find(|name| !known.contains(&name.as_str()));
    if let Some(name) = unknown {
        let hint = if known.is_empty() {
            "the configuration has no `[[source]]`".to_owned()
        } else {
            format!("the sources are {}", named(known.into_iter()))
        };
        out::talk(&format!("error: there is no source `{name}`\nhint: {hint}"));
    }
    let elsewhere = config.sources.iter().find(|source| {
        args.sources.contains(&source.name)
            && args.account.as_ref().is_some_and(|account| *account != source.account)
    });
    if let Some(source) = elsewhere {
        let (name, account) = (&source.name, &source.account);
        out::talk(&format!(
            "error: the source `{name}` is of the account `{account}`\nhint: leave out `--account`"
        ));
    }
    Ok(unknown.is_none() && elsewhere.is_none())
}

fn named<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Takes in the account's sources of these names, or every one. What is wrong with one holds up no other.
pub(super) async fn take(
    names: Option<&[String]>,
    desk: &Desk<'_>,
    stop: &Stop,
    pass: &mut Pass,
) -> Result<(), EngineError> {
    let is_meant = |source: &&config::Source| {
        source.account == desk.engine.account() && names.is_none_or(|names| names.contains(&source.name))
    };
    for source in desk.workshop.config.sources.iter().filter(is_meant) {
        let taken = match source_of(source) {
            Ok(source) => Box::pin(desk.engine.take_source(&source, Trigger::Manual, stop)).await,
            Err(problem) => {
                out::talk(&format!("error: {problem}"));
                pass.exit = pass.exit.max(Some(Exit::Config));
                continue;
            }
        };
        // Also what earlier passes, or this one before it broke off, have put into the queue.
        pass.runs.extend(desk.workshop.store.open_passes(&source.name).await?);
        match taken {
            Ok(run) => pass.runs.push(run),
            Err(EngineError::Stopped) => return Err(EngineError::Stopped),
            Err(error) => {
                pass.exit = pass.exit.max(Some(Exit::of_engine(&error)));
                out::talk(&explain_std(error));
            }
        }
    }
    pass.runs.sort_unstable();
    pass.runs.dedup();
    Ok(())
}

/// The account's sources; one whose database is not to be had is told of when it is asked for.
pub(super) fn sources_of(config: &Config, account: &str) -> Vec<Source> {
    let own = config.sources.iter().filter(|source| source.account == account);
    own.filter_map(|source| source_of(source).ok()).collect()
}

/// What the engine is told of a source.
pub(super) fn source_of(source: &config::Source) -> Result<Source, &config::Problem> {
    let (database, place) = match source.database.as_ref()? {
        Database::Sqlite(path) => (SourceDatabase::Sqlite(path.clone()), path.display().to_string()),
        Database::Postgres { url, place } => (SourceDatabase::Postgres(url.clone()), place.clone()),
    };
    Ok(Source {
        name: source.name.clone(),
        database,
        place,
        query: source.query.clone(),
        columns: source.columns.clone(),
        tags: source.tags.clone(),
        cursor: source.cursor.clone().map(|cursor| SourceCursor {
            value: cursor.value,
            key: cursor.key,
            overlap: cursor.overlap,
        }),
        timeout: source.timeout,
    })
}

/// What a check finds of every source; with `connect` its database is asked.
pub(super) async fn check(config: &Config, connect: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &config.sources {
        findings.push(if connect { look(source).await } else { unasked(source) });
    }
    findings
}

fn unasked(source: &config::Source) -> Finding {
    let text = format!("`{}`: its database and query are looked at with `check --connect`", source.name);
    Finding::ok("source", text)
}

async fn look(source: &config::Source) -> Finding {
    let failed = |exit, text| Finding::failed("source", exit, text);
    let asked = match source_of(source) {
        Ok(asked) => asked,
        Err(problem) => return failed(Exit::Config, problem.to_string()),
    };
    match look_at(&asked, &Clock::system()).await {
        Ok(found) => {
            let cursor = source.cursor.as_ref();
            let goes_on =
                cursor.map(|cursor| format!("goes on by `{}`, then `{}`", cursor.value, cursor.key));
            let unread = named(found.unread.iter().map(String::as_str));
            let unread = (!unread.is_empty()).then(|| format!("not read: {unread}"));
            let reads = format!("`{}` reads {}", source.name, found.meaning);
            let said: Vec<String> = [Some(reads), goes_on, unread].into_iter().flatten().collect();
            let warnings = found.warnings.iter().map(|warning| format!("warning: {warning}"));
            let lines: Vec<String> = std::iter::once(said.join("; ")).chain(warnings).collect();
            Finding::ok("source", lines.join("\n"))
        }
        Err(error) => {
            let exit = Exit::of_engine(&error);
            failed(exit, explain_std(error).trim_start_matches("error: ").to_owned())
        }
    }
}
