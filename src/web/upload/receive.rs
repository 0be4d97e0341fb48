//! A file on its way to the disk: from a form of whoever is signed in, or from a program.
//!
//! Who sends it is known before it is asked for; what a form bears stands before the file, and is judged there.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Redirect, Response};
use multer::{Field, Multipart};

use super::body::{BodyFault, Guarded};
use super::coming::Coming;
use super::{UPLOAD, Upload};
use crate::domain::state::Kind;
use crate::web::fault::Fault;
use crate::web::session::Visit;
use crate::web::site::Site;
use crate::web::token::is_same;
use crate::web::visitor::Visitor;

/// Bytes around a file: fields before it, and what ends the form.
const AROUND: u64 = 1 << 20;
/// Bytes of a field.
const LONGEST: usize = 200;

/// A form with a file.
pub(in crate::web) async fn receive(
    State(site): State<Site>,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Fault> {
    let (parts, body) = request.into_parts();
    let Visitor::Person(visit) = &visitor else {
        visitor.trusted()?;
        return Err(Fault::SignIn);
    };
    let _place = site.uploads.place()?;
    let boundary = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = boundary.and_then(|kind| multer::parse_boundary(kind).ok()).ok_or_else(not_the_form)?;
    if length(&parts.headers) > site.max_upload.saturating_add(AROUND) {
        return Err(Fault::Oversize(site.max_upload));
    }
    let Upload { staged, .. } = from_form(&site, visit, &Guarded::new(body, AROUND), boundary).await?;
    Ok(Redirect::to(&format!("{UPLOAD}/{}", staged.word)).into_response())
}

/// A file alone, from a program.
pub(in crate::web) async fn receive_raw(
    site: &Site,
    request: Request,
    (account, kind, name): (Option<&str>, Kind, String),
) -> Result<Upload, Fault> {
    let _place = site.uploads.place()?;
    if length(request.headers()) > site.max_upload {
        return Err(Fault::Oversize(site.max_upload));
    }
    let body = Guarded::new(request.into_body(), site.max_upload);
    let mut coming = Coming::begin(site, account).await?;
    while let Some(piece) = body.next().await {
        coming = coming.write(piece.map_err(|fault| of_body(fault, site))?).await?;
    }
    coming.finish(name, kind, site).await
}

/// What a form says before its file.
#[derive(Default)]
struct Said {
    is_ours: bool,
    kind: Option<String>,
    account: Option<String>,
}

async fn from_form(site: &Site, visit: &Visit, body: &Guarded, boundary: String) -> Result<Upload, Fault> {
    let wrong = |error: multer::Error| of_form(&error, site);
    let mut form = Multipart::new(body.pieces(), boundary);
    let mut said = Said::default();
    while let Some(mut field) = form.next_field().await.map_err(wrong)? {
        match field.name() {
            Some("csrf") => said.is_ours = is_same(&short(field, site).await?, &visit.csrf),
            Some("kind") => said.kind = Some(short(field, site).await?),
            Some("account") => said.account = Some(short(field, site).await?),
            Some("file") if !said.is_ours => return Err(Fault::NotOurForm),
            Some("file") => {
                body.widen(site.max_upload);
                let kind = said.kind.as_deref().and_then(Kind::parse).ok_or_else(not_the_form)?;
                let name = field.file_name().map(unescaped).unwrap_or_default();
                let mut coming = Coming::begin(site, said.account.as_deref()).await?;
                while let Some(piece) = field.chunk().await.map_err(wrong)? {
                    coming = coming.write(piece).await?;
                }
                drop(field);
                // A form that breaks off behind its file is not whole either.
                while form.next_field().await.map_err(wrong)?.is_some() {}
                if coming.is_empty() && name.is_empty() {
                    return Err(no_file());
                }
                return coming.finish(name, kind, site).await;
            }
            _ => {}
        }
    }
    Err(if said.is_ours { no_file() } else { Fault::NotOurForm })
}

/// The text of a field, which is short.
async fn short(mut field: Field<'_>, site: &Site) -> Result<String, Fault> {
    let mut text = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| of_form(&error, site))? {
        text.extend_from_slice(&piece);
        if text.len() > LONGEST {
            return Err(not_the_form());
        }
    }
    String::from_utf8(text).map_err(|_| not_the_form())
}

/// A name as browsers write it into a form.
fn unescaped(name: &str) -> String {
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

fn length(headers: &HeaderMap) -> u64 {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or_default()
}

fn no_file() -> Fault {
    Fault::Wrong("No file was chosen.".to_owned())
}

fn not_the_form() -> Fault {
    Fault::Wrong("The form is not one that this page has.".to_owned())
}

fn of_body(fault: BodyFault, site: &Site) -> Fault {
    match fault {
        BodyFault::TooLarge => Fault::Oversize(site.max_upload),
        BodyFault::TooSlow => Fault::TooSlow,
        BodyFault::BrokenOff => Fault::BrokenOff,
    }
}

/// What is wrong with a form; its own text may quote it.
fn of_form(error: &multer::Error, site: &Site) -> Fault {
    match error {
        multer::Error::StreamReadFailed(cause) => {
            cause.downcast_ref().map_or(Fault::BrokenOff, |fault| of_body(*fault, site))
        }
        multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders
        | multer::Error::IncompleteStream => Fault::BrokenOff,
        _ => not_the_form(),
    }
}
