//! `lumasync run`: the service.

use super::args::{Global, RunArgs};
use super::context::{Task, Workshop};
use super::exit::Exit;
use super::out;
use super::signals::Signals;

/// The command.
pub(super) async fn run(global: &Global, args: &RunArgs) -> anyhow::Result<Exit> {
    let workshop = Workshop::open(global, &args.sandbox, Task::Service).await?;
    let (signals, stop) = Signals::listen(workshop.config.shutdown.grace, workshop.clock.clone())?;
    let folder = workshop.engine.folder_settings();
    let folder = folder.map_or_else(
        || "no drop folder is configured: `lumasync init`".to_owned(),
        |folder| format!("drop folder `{}`", folder.root.display()),
    );
    let database = &workshop.config.database;
    out::talk(&format!("running on `{database}`, {folder}; Ctrl-C or SIGTERM stops it"));
    if let Some(sandbox) = &workshop.sandbox {
        out::talk(&format!("the built-in Luma listens on {}", sandbox.url()));
    }
    let served = Box::pin(workshop.engine.serve(&stop)).await;
    let closed = workshop.close().await;
    served?;
    closed?;
    Ok(signals.exit().unwrap_or(Exit::Ok))
}
