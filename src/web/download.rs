//! Result files, in pieces as they are read. They hold people's addresses, so whoever asks must be known.

use std::path::Path;

use axum::body::{Body, Bytes};
use axum::extract::{self, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::fault::Fault;
use super::site::Site;
use super::visitor::Visitor;

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// One file of one run: only names that there are lead anywhere.
pub(super) async fn result_file(
    State(site): State<Site>,
    visitor: Visitor,
    extract::Path((id, kind)): extract::Path<(String, String)>,
) -> Result<Response, Fault> {
    visitor.trusted()?;
    let id: i64 = id.parse().map_err(|_| Fault::NotFound)?;
    let results = site.results(id).await?;
    let path = results.of_kind(&kind).ok_or(Fault::NotFound)?;
    let file = File::open(path).await.map_err(|error| {
        tracing::warn!(run = id, %error, "a result file cannot be read");
        Fault::NotFound
    })?;
    let ending = ending(path);
    let kind_of_text = match ending {
        "json" => "application/json",
        "jsonl" => "application/x-ndjson",
        _ => "text/csv; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, kind_of_text.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"run-{id}-{kind}.{ending}\"")),
    ];
    let pieces = futures_util::stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(Bytes::from(piece)), Some(file)))
            }
            // The length is not known to the browser, so that it sees the file break off.
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}

fn ending(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => "json",
        Some("jsonl") => "jsonl",
        _ => "csv",
    }
}
