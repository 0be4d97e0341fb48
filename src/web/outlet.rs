//! A connection whose other end has to take what it asked for: where nothing moves for a while, it is cut. Else
//! whoever asks and never reads holds a place for as long as they like.
//!
//! At its end what still comes is read for a moment and thrown away: the system resets a connection that is closed
//! before, and whoever is still sending a large file never hears why it was refused.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::Clock;
use crate::engine::Stop;

/// How long is read on behind the last answer, and how much: whoever hears it stops sending, and others are cut.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 << 20;

type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Outlet<S> {
    stream: S,
    /// How long nothing may move.
    patience: Duration,
    pause: Option<Pause>,
    /// Nobody is waited for once this is requested.
    stop: Stop,
    rest: Option<Rest>,
}

/// What may still come once all is said.
struct Rest {
    ends: Pause,
    left: usize,
}

impl<S> Outlet<S> {
    pub(super) const fn new(stream: S, patience: Duration, stop: Stop) -> Self {
        Self { stream, patience, pause: None, stop, rest: None }
    }

    /// What came of a step, unless there was none for too long.
    fn within<T>(&mut self, step: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if step.is_ready() {
            self.pause = None;
            return step;
        }
        // Real time: whoever reads does.
        let patience = self.patience;
        let pause = self.pause.get_or_insert_with(|| a_pause(patience));
        pause.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> Outlet<S> {
    /// Reads on until the other end has closed too, or has sent enough.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let rest = self.rest.get_or_insert_with(|| Rest { ends: a_pause(LINGER), left: LINGER_BYTES });
        let mut bytes = [0; 8 << 10];
        while rest.left > 0 && !self.stop.is_requested() && rest.ends.as_mut().poll(cx).is_pending() {
            let mut into = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut into) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {
                    rest.left = rest.left.saturating_sub(into.filled().len());
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }
}

fn a_pause(lasts: Duration) -> Pause {
    Box::pin(async move { Clock::system().sleep(lasts).await })
}

impl<S: AsyncRead + Unpin> AsyncRead for Outlet<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Outlet<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.within(step, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.within(step, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.stream).poll_flush(cx);
        self.within(step, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_none() {
            let step = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.within(step, cx))?;
        }
        self.linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::engine::Stopper;

    #[tokio::test]
    async fn whoever_still_sends_when_all_is_said_is_heard_out_for_a_while_and_not_when_all_ends() {
        let (stopper, stop) = Stopper::new();
        let ends = |stop: &Stop| {
            let (ours, theirs) = duplex(64 << 10);
            let mut outlet = Outlet::new(ours, Duration::from_mins(1), stop.clone());
            (tokio::spawn(async move { outlet.shutdown().await }), theirs)
        };
        let (ended, mut theirs) = ends(&stop);
        theirs.write_all(&vec![0; 1 << 20]).await.expect("taken");
        assert!(!ended.is_finished());
        drop(theirs);
        ended.await.expect("ended").expect("well");
        let (ended, mut theirs) = ends(&stop);
        let _ = theirs.write_all(&vec![0; LINGER_BYTES + 1]).await;
        ended.await.expect("ended").expect("well");
        stopper.finish();
        let (ended, _theirs) = ends(&stop);
        ended.await.expect("ended").expect("at once");
    }

    #[tokio::test]
    async fn whoever_takes_nothing_is_cut_off_and_whoever_is_slow_is_not() {
        let (ours, _theirs) = duplex(4);
        let (_stopper, stop) = Stopper::new();
        let mut outlet = Outlet::new(ours, Duration::from_millis(20), stop.clone());
        let error = outlet.write_all(b"more than fits").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (ours, mut slow) = duplex(4);
        let mut outlet = Outlet::new(ours, Duration::from_mins(1), stop);
        let written = tokio::spawn(async move { outlet.write_all(b"more than fits").await });
        let mut read = String::new();
        slow.read_to_string(&mut read).await.expect("read");
        written.await.expect("ended").expect("written");
        assert_eq!(read, "more than fits");
    }
}
