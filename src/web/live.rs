//! Tells a page that something has changed; the page asks for itself anew.
//!
//! An event says nothing but that: what is shown is decided where it always is.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::fault::Fault;
use super::site::Site;
use crate::clock::Clock;

/// Pages that listen at once.
pub(super) const LISTENERS: usize = 32;
/// How often is looked.
const LOOK: Duration = Duration::from_secs(2);
/// Looks after which something is said even where nothing has changed, so that a dead line is noticed.
const QUIET: u32 = 7;
/// Looks after which the line ends; a browser calls again by itself.
const LOOKS: u32 = 300;

struct Listener {
    site: Site,
    seen: Option<u64>,
    looks: u32,
    _place: OwnedSemaphorePermit,
}

/// The line.
pub(super) async fn listen(State(site): State<Site>) -> Result<Response, Fault> {
    let place = Arc::clone(&site.listeners).try_acquire_owned().map_err(|_| Fault::Busy)?;
    let listener = Listener { site, seen: None, looks: 0, _place: place };
    let events = futures_util::stream::unfold(listener, |mut listener| async move {
        let said = listener.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(said)), listener))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(events)).into_response())
}

impl Listener {
    /// The next thing to say; nothing once the service stops.
    async fn next(&mut self) -> Option<String> {
        // Real time: whoever listens does.
        let clock = Clock::system();
        loop {
            if self.looks > 0 {
                tokio::select! {
                    () = clock.sleep(LOOK) => {}
                    () = self.site.stop.requested() => return None,
                }
            }
            if self.looks >= LOOKS || self.site.stop.is_requested() {
                return None;
            }
            self.looks += 1;
            let Ok(snapshot) = self.site.snapshot().await else { continue };
            let before = self.seen.replace(snapshot.stamp);
            if before.is_some_and(|before| before != snapshot.stamp) {
                return Some(format!("event: changed\ndata: {:x}\n\n", snapshot.stamp));
            }
            if before.is_none() || self.looks.is_multiple_of(QUIET) {
                return Some(": here\n\n".to_owned());
            }
        }
    }
}
