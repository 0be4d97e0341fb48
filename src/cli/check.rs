//! `lumasync check`: is everything set so that it can work?

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::args::{CheckArgs, Global, Output};
use super::context::{Need, client, folder_settings, load, open_store, sources as places};
use super::exit::Exit;
use super::explain::explain;
use super::notify;
use super::out;
use super::pages;
use super::sources;
use super::words::count;
use crate::clock::Clock;
use crate::config::{Account, Config, Database};
use crate::domain::verdict::{Cause, Verdict};
use crate::ingest::folder::Layout;

/// One thing that was looked at.
pub(super) struct Finding {
    what: &'static str,
    /// Whose, where it is not everybody's.
    account: Option<String>,
    exit: Exit,
    text: String,
}

impl Finding {
    pub(super) fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, account: None, exit: Exit::Ok, text: text.into() }
    }

    pub(super) const fn failed(what: &'static str, exit: Exit, text: String) -> Self {
        Self { what, account: None, exit, text }
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
        let mut users: Vec<(String, String)> = Vec::new();
        for account in config.accounts() {
            let name = Some(account.name.to_string());
            let found = folder_settings(&config, &account.name).map(|settings| folder(&settings.root));
            let key = key(&account, &mut users).await;
            let tags = if key.exit == Exit::Ok { tags(&account).await } else { None };
            let found = found.into_iter().chain([key]).chain(tags);
            findings.extend(found.map(|finding| Finding { account: name.clone(), ..finding }));
        }
    }
    findings.extend(Box::pin(sources::check(&config, args.connect)).await);
    findings.extend(notify::check(&config));
    findings.push(pages::check(&config, args.connect).await);
    let exit = findings.iter().map(|finding| finding.exit).max().unwrap_or(Exit::Ok);
    let text = || {
        findings.iter().fold(String::new(), |mut text, finding| {
            let mark = if finding.exit == Exit::Ok { "ok" } else { "FAILED" };
            let whose = finding.account.as_ref().filter(|_| !config.further.is_empty());
            let whose = whose.map(|account| format!("{account}: ")).unwrap_or_default();
            let _ = writeln!(text, "{:<9} {mark:<7} {whose}{}", finding.what, finding.text);
            text
        })
    };
    let programs = || {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| {
                let Finding { what, account, exit, text } = finding;
                json!({ "what": what, "account": account, "ok": *exit == Exit::Ok, "text": text })
            })
            .collect();
        json!({ "ok": exit == Exit::Ok, "findings": findings })
    };
    out::result(global.output, text, programs)?;
    Ok(exit)
}

fn problems(global: &Global, error: &anyhow::Error) -> anyhow::Result<Exit> {
    let problems = match Config::load(&places(global, Need::Luma)) {
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
        Err(error) => Finding { exit: Exit::of(&error), ..Finding::ok("database", explain(&error)) },
    }
}

fn folder(root: &Path) -> Finding {
    let layout = Layout::new(root);
    let probe = layout.processing().join(".probe");
    let tried = layout
        .create()
        .and_then(|()| std::fs::write(&probe, b""))
        .and_then(|()| std::fs::remove_file(&probe));
    match tried {
        Ok(()) => Finding::ok("folder", format!("`{}` can be written to", layout.inbox().display())),
        Err(error) => {
            let text = format!("`{}` cannot be written to: {error}", root.display());
            Finding { exit: Exit::Failed, ..Finding::ok("folder", text) }
        }
    }
}

/// Holds the tags of the configuration against those that Luma lists, where it does.
async fn tags(account: &Account) -> Option<Finding> {
    let client = client(&account.luma, &Clock::system()).ok()?;
    client.routes().tags?;
    let finding = |exit, text| Finding { exit, ..Finding::ok("tags", text) };
    let list = match client.tags().await {
        Ok((list, _)) => list,
        Err(reply) => {
            let said = reply.verdict.detail().unwrap_or("too many requests").to_owned();
            return Some(finding(Exit::TryLater, format!("Luma does not list them: {said}")));
        }
    };
    let known = count(list.tags.len() as u64, "tag");
    let listed = list.tags.into_iter().map(|tag| (tag.name, tag.id));
    let book = account.tags.with_listed(listed, list.is_complete);
    let missing: Vec<String> = book
        .iter()
        .filter(|(_, id)| !book.may_exist(id))
        .map(|(name, id)| format!("`{name}` is `{id}`, which Luma does not have"))
        .collect();
    Some(match missing.as_slice() {
        [] => Finding::ok("tags", format!("Luma has {known}, and all that `[tags]` names are among them")),
        missing => finding(
            Exit::Config,
            format!(
                "{}\nhint: mend their ids in `[tags]`, or leave them out: names are looked up",
                missing.join("; ")
            ),
        ),
    })
}

/// Asks Luma whom an account's key belongs to; `users` are those of the accounts before it.
async fn key(account: &Account, users: &mut Vec<(String, String)>) -> Finding {
    let finding = |exit, text| Finding { exit, ..Finding::ok("key", text) };
    let client = match client(&account.luma, &Clock::system()) {
        Ok(client) => client,
        Err(error) => return finding(Exit::of(&error), explain(&error)),
    };
    match client.whoami().await {
        Ok((identity, _)) => {
            let (id, name) = (identity.owner().unwrap_or_default(), identity.name.unwrap_or_default());
            let twin = users.iter().find(|(user, _)| *user == id && !id.is_empty());
            let twin = twin.map(|(_, other)| {
                format!("\nwarning: account `{other}` belongs to the same user, whose quota would be used up twice")
            });
            let own = &account.name;
            let text = format!("Luma knows it: {name} ({id}); account `{own}`{}", twin.unwrap_or_default());
            users.push((id, own.to_string()));
            Finding::ok("key", text)
        }
        Err(reply) => {
            let said = reply.verdict.detail().unwrap_or("too many requests").to_owned();
            match reply.verdict {
                Verdict::Halted { cause: cause @ (Cause::Key | Cause::Plan | Cause::Calendar), .. } => {
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
