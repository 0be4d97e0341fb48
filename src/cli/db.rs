//! `lumasync db migrate|prune`: the tables, and what is kept in them.

use serde_json::json;

use super::args::Global;
use super::context::{Need, load, open_store};
use super::exit::Exit;
use super::out;
use super::person_args::PruneArgs;
use super::place::open_known;
use super::signals::Signals;
use super::words::count;
use crate::clock::Clock;
use crate::engine::{Pruned, prunable, prune as remove_old};
use crate::store::{PruneCounts, Store};

/// Brings the tables up to date, as every other command does on its way.
pub(super) async fn migrate(global: &Global) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    let store = open_store(&config).await?;
    store.close().await;
    let (place, version) = (&config.database, Store::schema_version());
    out::result(
        global.output,
        || format!("the tables of `{place}` are up to date (migration {version})"),
        || json!({ "database": place.to_string(), "migration": version }),
    )?;
    Ok(Exit::Ok)
}

/// Removes what has become old, now.
pub(super) async fn prune(global: &Global, args: &PruneArgs) -> anyhow::Result<Exit> {
    let config = load(global, Need::Database)?;
    let store = open_known(&config).await?;
    let clock = Clock::system();
    let (signals, stop) = Signals::listen(config.shutdown.grace, clock.clone())?;
    let window = config.accounts().map(|account| account.luma.rate_limit.window).max().unwrap_or_default();
    let before = config.retention.before(clock.now(), window);
    let root = config.folder.path.as_deref();
    let pruned = if args.dry_run {
        prunable(&store, before, root).await?
    } else {
        remove_old(&store, &clock, before, root, &stop).await?
    };
    let is_log_empty = !args.vacuum || stop.is_requested() || store.vacuum().await?;
    store.close().await;
    if !is_log_empty {
        out::talk(IN_USE);
    }
    let Pruned { counts: PruneCounts { runs, rows, attempts, fires }, files } = pruned;
    let text = || {
        let verb = if args.dry_run { "would be removed" } else { "removed" };
        format!(
            "{verb}: {} of {}, {}, {} of schedules, {}\nthe numbers of runs and the record of who was delivered stay",
            count(rows, "row"),
            count(runs, "run"),
            count(attempts, "request"),
            count(fires, "fire"),
            count(files, "archived file"),
        )
    };
    let json = || {
        json!({
            "rows": rows, "runs": runs, "requests": attempts, "fires": fires, "files": files,
            "dry_run": args.dry_run, "vacuumed": args.vacuum,
        })
    };
    out::result(global.output, text, json)?;
    Ok(signals.exit().unwrap_or(Exit::Ok))
}

/// Said where another process keeps the log of the database from being emptied.
pub(super) const IN_USE: &str =
    "the log beside the database could not be emptied while another process reads it; it is once that ends";
