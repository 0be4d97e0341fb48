//! The style sheet and the script, compiled in. Their address holds a digest of what they are, so that a
//! browser keeps them until they change.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use xxhash_rust::xxh3::xxh3_64;

use super::fault::Fault;

/// A file that browsers load.
pub(super) struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

pub(super) const STYLE: Asset =
    Asset { name: "style.css", kind: "text/css; charset=utf-8", text: include_str!("assets/style.css") };
pub(super) const SCRIPT: Asset =
    Asset { name: "live.js", kind: "text/javascript; charset=utf-8", text: include_str!("assets/live.js") };

impl Asset {
    /// Where it is.
    pub(super) fn path(&self) -> String {
        format!("/static/{}?{:016x}", self.name, xxh3_64(self.text.as_bytes()))
    }
}

/// One of them.
pub(super) async fn asset(axum::extract::Path(name): axum::extract::Path<String>) -> Result<Response, Fault> {
    let asset = [STYLE, SCRIPT].into_iter().find(|asset| asset.name == name).ok_or(Fault::NotFound)?;
    let headers =
        [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "private, max-age=31536000, immutable")];
    Ok((headers, asset.text).into_response())
}
