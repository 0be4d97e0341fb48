//! The pages of the service: the place they are served at, and who may come.

use super::check::Finding;
use super::exit::Exit;
use super::explain::explain_std;
use super::out;
use super::systemd;
use super::workshop::Workshop;
use crate::config::Config;
use crate::engine::{EngineError, Stop, Stopper};
use crate::web::{Pages, Server};

/// Takes the place where pages are served, if they are; before any work begins, so that a port which is taken
/// is seen at once and not by whoever looks for the pages. Where nobody has asked for that port, work goes on
/// without pages.
pub(super) async fn open(workshop: &Workshop, stop: &Stop) -> anyhow::Result<Option<(Server, Pages)>> {
    let web = &workshop.config.web;
    let Some(address) = web.listen else { return Ok(None) };
    let token = web.token()?;
    let server = match Server::bind(address).await {
        Err(error) if web.is_by_default => {
            out::talk(&format!(
                "warning: there are no pages: {}",
                explain_std(error).trim_start_matches("error: ")
            ));
            return Ok(None);
        }
        server => server?,
    };
    let pages = Pages {
        fleet: workshop.fleet.clone(),
        store: workshop.store.clone(),
        clock: workshop.clock.clone(),
        token,
        hosts: web.hosts.clone(),
        max_upload: web.max_upload,
        is_open: address.ip().is_loopback() && web.hosts.is_empty(),
        work: stop.clone(),
    };
    Ok(Some((server, pages)))
}

/// The service with its pages, which are there while there is work and not a moment longer.
pub(super) async fn serve(
    workshop: &Workshop,
    pages: Option<(Server, Pages)>,
    stop: &Stop,
) -> Result<(), EngineError> {
    let (stopper, until) = Stopper::new();
    let work = async {
        let served = Box::pin(workshop.fleet.serve(stop)).await;
        stopper.finish();
        served
    };
    let show = async {
        if let Some((server, pages)) = pages {
            Box::pin(server.serve(pages, &until)).await;
        }
    };
    let both = async { tokio::join!(work, show).0 };
    systemd::accompany(&workshop.clock, stop, both).await
}

/// What `check` says of the pages; `connect` tries whether their place is free.
pub(super) async fn check(config: &Config, connect: bool) -> Finding {
    let web = &config.web;
    let Some(address) = web.listen else { return Finding::ok("pages", "none: `web.listen` is empty") };
    let token = match web.token() {
        Ok(token) => token,
        Err(error) => return Finding::failed("pages", Exit::Config, error.to_string()),
    };
    let may = match token {
        Some(_) => "whoever knows the token may change things",
        None => "to look only, since there is no `web.token`",
    };
    let said = format!("on http://{address}/, {may}");
    if !connect {
        return Finding::ok("pages", said);
    }
    match Server::bind(address).await {
        Ok(_) => Finding::ok("pages", said),
        Err(error) if error.is_taken() => {
            let whose = "the port is taken: by the service, if it runs, or by another program";
            Finding::ok("pages", format!("{said}; {whose}"))
        }
        Err(error) => {
            let text = explain_std(error).trim_start_matches("error: ").to_owned();
            Finding::failed("pages", Exit::Config, text)
        }
    }
}
