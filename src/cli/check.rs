//! `lumasync check`: is everything set so that it can work?

use std::fmt::Write as _;

use serde_json::json;

use super::args::{CheckArgs, Global, Output};
use super::context::{Need, client, load, open_store, sources};
use super::exit::Exit;
use super::explain::explain;
use super::out;
use crate::clock::Clock;
use crate::config::{Config, Database};
use crate::domain::verdict::{Cause, Verdict};
use crate::engine::MAIN_ACCOUNT;
use crate::ingest::folder::Layout;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    exit: Exit,
    text: String,
}

impl Finding {
    fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, exit: Exit::Ok, text: text.into() }
    }
}

/// The command.
pub(super) async fn run(global: &Global, args: &CheckArgs) -> anyhow::Result<Exit> {
    let config = match load(global, Need::Luma) {
        Ok(config) => config,
        Err(error) if global.output == Output::Json => {
            return problems(global, &error);
        }
        Err(error) => return Err(error),
    };
    let mut findings = vec![Finding::ok("config", format!("read from {}", config.origin))];
    if args.connect {
        findings.push(database(&config).await);
        findings.extend(folders(&config));
        findings.push(key(&config).await);
    }
    let exit = findings.iter().map(|finding| finding.exit).max().unwrap_or(Exit::Ok);
    let text = || {
        findings.iter().fold(String::new(), |mut text, finding| {
            let mark = if finding.exit == Exit::Ok { "ok" } else { "FAILED" };
            let _ = writeln!(text, "{:<9} {mark:<7} {}", finding.what, finding.text);
            text
        })
    };
    let programs = || {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| json!({ "what": finding.what, "ok": finding.exit == Exit::Ok, "text": finding.text }))
            .collect();
        json!({ "ok": exit == Exit::Ok, "findings": findings })
    };
    out::result(global.output, text, programs)?;
    Ok(exit)
}

fn problems(global: &Global, error: &anyhow::Error) -> anyhow::Result<Exit> {
    let problems = match Config::load(&sources(global, Need::Luma)) {
        Ok(_) => Vec::new(),
        Err(error) => error
            .problems
            .iter()
            .map(|problem| {
                json!({ "key": problem.key, "message": problem.message, "hint": problem.hint, "place": problem.place })
            })
            .collect(),
    };
    out::text(&json!({ "ok": false, "problems": problems }).to_string())?;
    Ok(Exit::of(error))
}

async fn database(config: &Config) -> Finding {
    let place = &config.database;
    if matches!(place, Database::Sqlite(path) if !path.exists()) {
        return Finding::ok(
            "database",
            format!("`{place}` is not there yet; the first `sync` or `run` makes it"),
        );
    }
    match open_store(config).await {
        Ok(store) => {
            store.close().await;
            Finding::ok("database", format!("`{place}` is open and its tables are up to date"))
        }
        Err(error) => Finding { what: "database", exit: Exit::of(&error), text: explain(&error) },
    }
}

fn folders(config: &Config) -> Option<Finding> {
    let root = config.folder.path.as_ref()?;
    let layout = Layout::new(root);
    let probe = layout.processing().join(".probe");
    let tried = layout
        .create()
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe));
    Some(match tried {
        Ok(()) => Finding::ok("folder", format!("`{}` can be written to", layout.inbox().display())),
        Err(error) => Finding {
            what: "folder",
            exit: Exit::Failed,
            text: format!("`{}` cannot be written to: {error}", root.display()),
        },
    })
}

async fn key(config: &Config) -> Finding {
    let finding = |exit, text| Finding { what: "key", exit, text };
    let client = match client(config, &Clock::system()) {
        Ok(client) => client,
        Err(error) => return finding(Exit::of(&error), explain(&error)),
    };
    match client.whoami().await {
        Ok((identity, _)) => {
            let (id, name) = (identity.id.unwrap_or_default(), identity.name.unwrap_or_default());
            let text = format!("Luma knows it: {name} ({id}); account `{MAIN_ACCOUNT}`");
            Finding::ok("key", text)
        }
        Err(reply) => {
            let said = reply.verdict.detail().unwrap_or("too many requests").to_owned();
            match reply.verdict {
                Verdict::Halted { cause: cause @ (Cause::Key | Cause::Plan), .. } => {
                    finding(Exit::Config, format!("key refused: {said}\nhint: {}", cause.hint()))
                }
                Verdict::Halted { cause, .. } => {
                    finding(Exit::Config, format!("{said}\nhint: {}", cause.hint()))
                }
                Verdict::Throttled { .. } | Verdict::Transient { .. } => finding(Exit::TryLater, said),
                Verdict::Accepted
                | Verdict::Refused { .. }
                | Verdict::TooLarge { .. }
                | Verdict::Interrupted => finding(Exit::Failed, said),
            }
        }
    }
}
