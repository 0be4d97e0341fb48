//! `lumasync run`: the service.

use super::args::{Global, RunArgs};
use super::exit::Exit;
use super::out;
use super::pages;
use super::signals::Signals;
use super::workshop::{Task, Workshop};

/// The command.
pub(super) async fn run(global: &Global, args: &RunArgs) -> anyhow::Result<Exit> {
    let opened = Box::pin(Workshop::open(global, &args.sandbox, Task::Service, None)).await?;
    let Some(workshop) = opened else { return Ok(Exit::Usage) };
    let (signals, stop) = Signals::listen(workshop.config.shutdown.grace, workshop.clock.clone())?;
    let pages = match pages::open(&workshop, &stop).await {
        Ok(pages) => pages,
        Err(error) => {
            workshop.close().await?;
            return Err(error);
        }
    };
    let folder = workshop.config.folder.path.as_ref();
    let folder = folder.map_or_else(
        || "no drop folder is configured: `lumasync init`".to_owned(),
        |folder| format!("drop folder `{}`", folder.display()),
    );
    if !workshop.config.further.is_empty() {
        let names: Vec<String> = workshop.config.accounts().map(|account| account.name.to_string()).collect();
        out::talk(&format!("accounts: {}", names.join(", ")));
    }
    let database = &workshop.config.database;
    out::talk(&format!("running on `{database}`, {folder}; Ctrl-C or SIGTERM stops it"));
    if let Some(sandbox) = &workshop.sandbox {
        out::talk(&format!("the built-in Luma listens on {}", sandbox.url()));
    }
    if let Some((server, _)) = &pages {
        out::talk(&format!("pages on http://{}/", server.address()));
    }
    let served = pages::serve(&workshop, pages, &stop).await;
    let closed = workshop.close().await;
    served?;
    closed?;
    Ok(signals.exit().unwrap_or(Exit::Ok))
}
