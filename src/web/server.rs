//! Connections: how many, how long, how large a head; and an end in good order.
//!
//! An accept loop of its own, because a page must not be held open by whoever sends a letter a minute. Knows
//! nothing of what is asked or answered.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::outlet::Outlet;
use super::routes::routes;
use super::site::{Pages, Site};
use crate::clock::Clock;
use crate::engine::Stop;

/// Connections at once; others wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long the head of a request may take, and a connection may wait for its next one.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a head, and lines of it.
const HEAD_BYTES: usize = 32 << 10;
const HEAD_LINES: usize = 64;
/// How long whoever asked may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(20);
/// How long one connection is kept, however busy it is.
const LIFETIME: Duration = Duration::from_mins(15);
/// How long an answer under way may go on once the end is asked for.
const FAREWELL: Duration = Duration::from_secs(3);

/// Why pages cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address is taken, or is not this machine's.
    #[error(
        "cannot serve pages on `{address}`\nhint: set `web.listen` to an address and a port that are free, or to \"\" for no pages"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl WebError {
    /// Another program listens there.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        let Self::Listen { source, .. } = self;
        source.kind() == io::ErrorKind::AddrInUse
    }
}

/// Where a request came from, and to which of our addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    /// The port it came to.
    pub(super) port: u16,
}

/// A place to serve pages, taken.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes the place.
    pub async fn bind(address: SocketAddr) -> Result<Self, WebError> {
        let failed = |source| WebError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it is, with the port that was given where none was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the pages until told to stop; answers under way may end.
    pub async fn serve(self, pages: Pages, stop: &Stop) {
        let site = Site::new(pages, stop.clone());
        let notes = site.clone();
        tokio::join!(self.answer(routes(site), stop), notes.keep_notes(stop));
    }

    async fn answer(self, router: Router, stop: &Stop) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut open = JoinSet::new();
        while !stop.is_requested() {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (self.listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                next = next => next,
                () = stop.requested() => break,
            };
            match accepted {
                Ok((stream, from)) => {
                    let converse = converse(stream, from, router.clone(), stop.clone(), place);
                    open.spawn(converse);
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    // Out of descriptors: some come back.
                    Clock::system().sleep(Duration::from_millis(50)).await;
                }
            }
            while open.try_join_next().is_some() {}
        }
        drop(self.listener);
        while open.join_next().await.is_some() {}
    }
}

async fn converse(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    stop: Stop,
    _place: Option<OwnedSemaphorePermit>,
) {
    let Ok(to) = stream.local_addr() else { return };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets wait");
    }
    let router = router.layer(Extension(Ends { from: from.ip(), to: to.ip(), port: to.port() }));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .serve_connection(
            TokioIo::new(Outlet::new(stream, STALLED, stop.clone())),
            TowerToHyperService::new(router),
        );
    let mut connection = std::pin::pin!(connection);
    // Real time: a connection is the world's, whatever a test's clock shows.
    let clock = Clock::system();
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.requested() => None,
        () = clock.sleep(LIFETIME) => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _ = connection => {}
            () = clock.sleep(FAREWELL) => {}
        }
    } else if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
