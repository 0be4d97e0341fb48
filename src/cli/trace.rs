//! `lumasync trace EMAIL`: all that is on record about one person.

use super::args::Global;
use super::context::{Need, load, read_options};
use super::exit::Exit;
use super::out;
use super::person_args::TraceArgs;
use super::place::open_known;
use super::trace_text::{Traced, TracedFile};
use crate::domain::person::Person;
use crate::engine::{FolderFinds, unkept_among};

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
    let finds = FolderFinds::look_everywhere(&store, root, read_options(&config), person).await?;
    let mut files = Vec::new();
    for found in finds.found {
        let unkept = unkept_among(&store, &found.path, &found.hits).await?;
        files.push(TracedFile { found, unkept });
    }
    store.close().await;
    let traced = Traced {
        email: args.email.trim().to_owned(),
        story: told,
        files,
        searched: finds.searched,
        unread: finds.unread,
    };
    out::result(global.output, || traced.text(), || traced.json())?;
    Ok(Exit::Ok)
}
