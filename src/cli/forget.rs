//! `lumasync forget EMAIL`: one person erased everywhere within reach, and what is out of it named.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdin};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Global;
use super::context::{Need, load, read_options};
use super::db::IN_USE;
use super::exit::Exit;
use super::explain::explain_std;
use super::out;
use super::person_args::ForgetArgs;
use super::place::open_known;
use super::words::count;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::person::Person;
use crate::engine::{ForgetFault, Forgotten, forget, printable};
use crate::store::{Erased, ForgetError, Store, Suppression};

/// An answer takes no longer than a request may.
const TRIES: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);

/// The command.
pub(super) async fn run(global: &Global, args: &ForgetArgs) -> anyhow::Result<Exit> {
    let Some(person) = Person::parse(&args.email) else {
        out::talk("error: there is no address\nhint: `lumasync forget ana@example.org`");
        return Ok(Exit::Usage);
    };
    if !person.has_two_sides() {
        out::talk(
            "error: this is no address, and may be a part of everybody's\nhint: `lumasync forget ana@example.org`",
        );
        return Ok(Exit::Usage);
    }
    if args.suppress && person.key().is_none() {
        out::talk(
            "error: this is no address, and nobody can be kept from being sent by it\nhint: leave out `--suppress`",
        );
        return Ok(Exit::Usage);
    }
    let config = load(global, Need::Database)?;
    let store = open_known(&config).await?;
    if !args.dry_run && !args.yes && !is_meant(args)? {
        store.close().await;
        return Ok(Exit::Usage);
    }
    if let Some(key) = person.key().filter(|_| args.suppress && !args.dry_run) {
        // First: a list that is just being taken in does not bring them back.
        let (reason, now) = (Some("asked to be forgotten"), Clock::system().now());
        store.suppress(&[key], &Suppression { account: None, reason, origin: "forget", now }).await?;
        store.end_suppressed(now).await?;
    }
    let mut forgotten = match erase(&store, &config, &person, args.dry_run).await {
        Ok(forgotten) => forgotten,
        Err(ForgetFault::Forget(error @ ForgetError::InFlight)) => {
            store.close().await;
            out::talk(&explain_std(error));
            return Ok(Exit::TryLater);
        }
        Err(ForgetFault::Forget(ForgetError::Store(error))) => return Err(error.into()),
        Err(ForgetFault::Engine(error)) => return Err(error.into()),
    };
    if args.vacuum {
        forgotten.is_log_empty = store.vacuum().await?;
    }
    let is_file = store.is_file();
    store.close().await;
    if !forgotten.is_log_empty {
        out::talk(IN_USE);
    }
    let beyond = beyond(&forgotten, is_file, args.vacuum, args.suppress);
    out::result(
        global.output,
        || text(&forgotten, &beyond, args.dry_run),
        || to_json(&forgotten, &beyond, args),
    )?;
    let Forgotten { unread, waiting, named, erased, .. } = &forgotten;
    let is_left = !unread.is_empty() || !waiting.is_empty() || !named.is_empty() || erased.names_waiting > 0;
    Ok(if is_left && !args.dry_run { Exit::Partial } else { Exit::Ok })
}

/// Asks whoever sits before the screen; where nobody does, it has to be said.
fn is_meant(args: &ForgetArgs) -> anyhow::Result<bool> {
    if !stdin().is_terminal() {
        out::talk("error: this erases for good\nhint: say `--yes`, or look first with `--dry-run`");
        return Ok(false);
    }
    out::talk(&format!("erase `{}` for good? [y/N]", printable(args.email.trim())));
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Waits for an answer that is under way: what it says is written first.
async fn erase(
    store: &Store,
    config: &Config,
    person: &Person,
    dry_run: bool,
) -> Result<Forgotten, ForgetFault> {
    let (clock, options, root) = (Clock::system(), read_options(config), config.folder.path.as_deref());
    for _ in 1..TRIES {
        match forget(store, root, &options, person, clock.now(), dry_run).await {
            Err(ForgetFault::Forget(ForgetError::InFlight)) => clock.sleep(PAUSE).await,
            done => return done,
        }
    }
    forget(store, root, &options, person, clock.now(), dry_run).await
}

/// What is out of reach, and what to do about it.
fn beyond(forgotten: &Forgotten, is_file: bool, is_vacuumed: bool, is_suppressed: bool) -> Vec<String> {
    let mut beyond = vec![
        "Luma: open the person in the calendar and remove them there".to_owned(),
        if is_suppressed {
            "the databases and lists that rows come from: they are read, and the person is left out; a row of such a \
             list is recorded as `suppressed` with the address, until `[retention]` removes it"
                .to_owned()
        } else {
            "the databases and lists that rows come from: a list that names the person brings them back, \
             unless `--suppress` keeps them from it"
                .to_owned()
        },
        "backups, copies of this database, result files that were copied elsewhere, and logs at the levels `debug` \
         and `trace`"
            .to_owned(),
    ];
    let events: Vec<String> = forgotten.erased.events.iter().map(ToString::to_string).collect();
    if !events.is_empty() {
        beyond.push(format!("the text of events that names the address: {}", events.join(", ")));
    }
    match (is_file, is_vacuumed) {
        (true, false) => beyond.push(
            "what earlier writes left in free space of the database file: `--vacuum` writes it anew".to_owned(),
        ),
        (false, false) => beyond.push(
            "space that Postgres has not used again: its autovacuum does, or `--vacuum` now; and its own log and \
             replicas"
                .to_owned(),
        ),
        (false, true) => beyond.push(
            "what the files of Postgres and its write-ahead log hold until it is written over: this vacuum frees that \
             space and wipes nothing, `vacuum full` writes the tables anew; and its own log and replicas"
                .to_owned(),
        ),
        (true, true) => {}
    }
    beyond
}

fn text(forgotten: &Forgotten, beyond: &[String], dry_run: bool) -> String {
    let Erased { rows, waiting, confirmed, texts, positions, names, names_waiting, .. } = forgotten.erased;
    let verb = if dry_run { "would be erased" } else { "erased" };
    let mut text = format!("{verb}: {}", count(rows, "row"));
    if waiting > 0 {
        let _ = write!(text, " ({waiting} not sent yet, and never will be)");
    }
    let _ = write!(
        text,
        ", {} of a delivery, {} that quoted the address, {}",
        count(confirmed, "record"),
        count(texts, "text"),
        count(forgotten.rewritten.len() as u64, "file"),
    );
    if positions > 0 {
        let _ = write!(text, "\n{} read from the beginning the next time", count(positions, "source"));
    }
    if names > 0 {
        let _ = write!(text, "\n{} of other people's rows that held the address", count(names, "name"));
    }
    if names_waiting > 0 {
        let waiting = count(names_waiting, "row");
        let _ = write!(
            text,
            "\n{waiting} of other people hold it as a name and wait: forget again once they are sent"
        );
    }
    text.push_str("\nthe numbers of runs stay as they were");
    let list = |text: &mut String, heading: &str, paths: &[PathBuf]| {
        for path in paths {
            let _ = write!(text, "\n{heading}: `{}`", printable(&path.display().to_string()));
        }
    };
    list(&mut text, "not put away yet, forget again once it is, or they come back", &forgotten.waiting);
    list(&mut text, "taken in by hand, mend it yourself", &forgotten.elsewhere);
    list(&mut text, "named after the person, rename it yourself; the record of it stays", &forgotten.named);
    for (path, why) in &forgotten.unread {
        let _ = write!(text, "\nnot searched: `{}`: {why}", printable(&path.display().to_string()));
    }
    text.push_str("\nout of reach:");
    for what in beyond {
        let _ = write!(text, "\n  {what}");
    }
    text
}

fn to_json(forgotten: &Forgotten, beyond: &[String], args: &ForgetArgs) -> Value {
    let Erased { rows, waiting, confirmed, texts, positions, names, names_waiting, events, .. } =
        &forgotten.erased;
    let unread = forgotten.unread.iter().map(|(path, why)| json!({ "path": path, "reason": why }));
    json!({
        "rows": rows, "waiting": waiting, "confirmed": confirmed, "texts": texts, "positions": positions,
        "files": forgotten.rewritten, "files_waiting": forgotten.waiting, "files_elsewhere": forgotten.elsewhere,
        "names": names, "names_waiting": names_waiting, "files_named": forgotten.named,
        "files_not_searched": unread.collect::<Vec<_>>(), "events_naming": events, "out_of_reach": beyond,
        "dry_run": args.dry_run, "vacuumed": args.vacuum,
    })
}
