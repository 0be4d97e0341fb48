//! The pages of the service: the place they are served at, and who may come.

use super::workshop::Workshop;
use crate::engine::{EngineError, Stop, Stopper};
use crate::web::{Pages, Server};

/// Takes the place where pages are served, if they are; before any work begins, so that a port which is taken
/// is seen at once and not by whoever looks for the pages.
pub(super) async fn open(workshop: &Workshop, stop: &Stop) -> anyhow::Result<Option<(Server, Pages)>> {
    let web = &workshop.config.web;
    let Some(address) = web.listen else { return Ok(None) };
    let token = web.token()?;
    let server = Server::bind(address).await?;
    let pages = Pages {
        fleet: workshop.fleet.clone(),
        store: workshop.store.clone(),
        clock: workshop.clock.clone(),
        token,
        hosts: web.hosts.clone(),
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
    tokio::join!(work, show).0
}
