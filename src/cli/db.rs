//! `lumasync db migrate`.

use serde_json::json;

use super::args::Global;
use super::context::{Need, load, open_store};
use super::exit::Exit;
use super::out;
use crate::store::Store;

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
