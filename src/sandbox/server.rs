//! Connections: accepting them, reading requests, sending answers, and cutting them off.
//!
//! An accept loop of its own, because a real reset needs the socket. Knows nothing of Luma.

use std::future::{pending, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tracing::debug;

use super::answer::Payload;
use super::service::Service;
use crate::clock::Clock;

/// Answers until told to stop, then cuts what is still open.
pub(super) async fn serve(listener: TcpListener, service: Arc<Service>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(converse(stream, Arc::clone(&service)))),
                Err(error) => {
                    debug!(%error, "could not accept a connection");
                    // Real time: a sandbox whose clock stands still must go on too.
                    Clock::system().sleep(Duration::from_millis(20)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

async fn converse(stream: TcpStream, service: Arc<Service>) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "could not switch off the delay of small packets");
    }
    let switch = Arc::new(Switch::default());
    let wire = Wire { stream, switch: Arc::clone(&switch) };
    let answering = service_fn(|request| answer(Arc::clone(&service), Arc::clone(&switch), request));
    let builder = auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        biased;
        () = switch.thrown.notified() => {}
        ended = builder.serve_connection(TokioIo::new(wire), answering) => {
            if let Err(error) = ended {
                debug!(%error, "a connection ended early");
            }
        }
    }
}

async fn answer(
    service: Arc<Service>,
    switch: Arc<Switch>,
    request: Request<Incoming>,
) -> Result<Response<Payload>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = read(body, service.max_body).await?;
    let reply = service.handle(&head, body.as_deref());
    let status = reply.answer.status.as_u16();
    debug!(method = %head.method, path = head.uri.path(), status, spoil = ?reply.spoil, "request");
    service.until_kept(reply.change).await;
    if let Some(delay) = reply.delay {
        service.clock.sleep(delay).await;
    }
    match reply.into_response() {
        Some(response) => Ok(response),
        None => switch.throw().await,
    }
}

/// The whole body; `None` where it is larger than `most`. Such a body is read to its end all
/// the same, or the answer could be lost with the connection.
async fn read(mut body: Incoming, most: usize) -> Result<Option<Vec<u8>>, hyper::Error> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut held = Vec::with_capacity(expected.min(most).min(1 << 20));
    let mut fits = true;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        fits = fits && held.len() + data.len() <= most;
        if fits {
            held.extend_from_slice(&data);
        }
    }
    Ok(fits.then_some(held))
}

/// Cuts one connection off.
#[derive(Default)]
struct Switch {
    cut: AtomicBool,
    thrown: Notify,
}

impl Switch {
    /// Never returns: the connection, and whoever waits here, is gone first.
    async fn throw<T>(&self) -> T {
        self.cut.store(true, Ordering::Release);
        self.thrown.notify_one();
        pending().await
    }
}

/// A stream that resets its peer when it is dropped after the switch was thrown.
struct Wire {
    stream: TcpStream,
    switch: Arc<Switch>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.switch.cut.load(Ordering::Acquire)
            && let Err(error) = self.stream.set_zero_linger()
        {
            debug!(%error, "could not reset a connection, which is closed instead");
        }
    }
}

impl Wire {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
