//! `lumasync trace EMAIL`: all that is on record about one person.

use super::args::Global;
use super::context::{Need, load, read_options};
use super::exit::Exit;
use super::out;
use super::person_args::TraceArgs;
use super::place::open_known;
use super::trace_text::text;
use crate::domain::person::Person;
use crate::engine::{TracedFiles, trace_json};

/// The command.
pub(super) async fn run(global: &Global, args: &TraceArgs) -> anyhow::Result<Exit> {
    let Some(person) = Person::parse(&args.email) else {
        out::talk("error: there is no address\nhint: `lumasync trace ana@example.org`");
        return Ok(Exit::Usage);
    };
    let config = load(global, Need::Database)?;
    let store = open_known(&config).await?;
    let told = store.trace(&person).await?;
    let root = config.folder.path.clone();
    let files = TracedFiles::search(&store, root, read_options(&config), person).await?;
    store.close().await;
    let email = args.email.trim();
    out::result(global.output, || text(email, &told, &files), || trace_json(email, &told, &files))?;
    Ok(Exit::Ok)
}
