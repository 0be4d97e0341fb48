//! The form for a file, and uploads that wait.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::{UPLOAD, Upload};
use crate::domain::words::{count, moment, size};
use crate::engine::Engine;
use crate::web::fault::Fault;
use crate::web::layout::{Here, Page, signed};
use crate::web::session::Visit;
use crate::web::sign_in::SIGN_IN;
use crate::web::site::Site;
use crate::web::visitor::Visitor;

/// The page; for whoever is signed in with the form and what waits, for others with the way to it.
pub(in crate::web) async fn form(State(site): State<Site>, visitor: Visitor) -> Result<Response, Fault> {
    let accounts: Vec<Engine> = site.stagings().into_iter().map(|(engine, _)| engine).collect();
    let content = match &visitor {
        _ if accounts.is_empty() => html! {
            p { "There is no drop folder, so there is no place for files: set " code { "folder.path" }
                " in the configuration and start lumasync anew." }
        },
        Visitor::Person(visit) => html! {
            p { "You see what a file would send before anything is sent." }
            (fields(&site, visit, &accounts))
            (there(&site.uploads().await?))
        },
        Visitor::Stranger { may_sign_in: true } => html! {
            p { a href=(format!("{SIGN_IN}?to={UPLOAD}")) { "Sign in" } " to upload a file." }
        },
        Visitor::Stranger { may_sign_in: false } => html! {
            p { "Nothing can be uploaded here: " code { "web.token" } " is not set." }
        },
        Visitor::Program => html! { p { "Programs send files to " code { "/api/v1/uploads" } "." } },
    };
    Ok(Page::new("Upload", Here::Upload).show(&site, &visitor, &content))
}

fn fields(site: &Site, visit: &Visit, accounts: &[Engine]) -> Markup {
    html! {
        // What stands before the file is judged before any of it is taken.
        form.stack method="post" action=(UPLOAD) enctype="multipart/form-data" {
            (signed(visit))
            label for="kind" { "What it holds" }
            select id="kind" name="kind" {
                option value="members" { "Members: one person a row" }
                option value="events" { "Events: one event a row" }
            }
            @if let [only] = accounts {
                input type="hidden" name="account" value=(only.account());
            } @else {
                label for="account" { "Account" }
                select id="account" name="account" {
                    @for engine in accounts { option value=(engine.account()) { (engine.account()) } }
                }
            }
            label for="file" { "File" }
            input id="file" name="file" type="file" required accept=".csv,.jsonl,.gz,.zst" aria-describedby="file-help";
            p.help id="file-help" {
                "CSV or JSON Lines, also packed with gzip or zstd; up to " (size(site.max_upload)) "."
            }
            button type="submit" { "Upload and show the plan" }
        }
    }
}

fn there(uploads: &[Upload]) -> Markup {
    html! {
        @if !uploads.is_empty() {
            h2 { "Uploads" }
            div.scroll role="region" aria-label="Uploads" tabindex="0" { table {
                caption { (count(uploads.iter().filter(|upload| !upload.staged.is_sent).count() as u64, "upload")) " to be sent or discarded" }
                thead { tr {
                    th scope="col" { "File" } th scope="col" { "What" } th scope="col" { "Account" }
                    th.number scope="col" { "Size" } th scope="col" { "Came" } th scope="col" { "Now" }
                } }
                tbody { @for Upload { engine, staged, .. } in uploads {
                    tr {
                        td.name { a href=(format!("{UPLOAD}/{}", staged.word)) { (staged.name) } }
                        td { (staged.kind) }
                        td.nowrap { (engine.account()) }
                        td.number { (size(staged.size)) }
                        td.nowrap { (moment(staged.at)) }
                        td.name { @if staged.is_sent { "sent" } @else { "waits until " (moment(staged.until())) } }
                    }
                } }
            } }
        }
    }
}
