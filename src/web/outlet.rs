//! A connection whose other end has to take what it asked for: where nothing moves for a while, it is cut. Else
//! whoever asks and never reads holds a place for as long as they like.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::Clock;

type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Outlet<S> {
    stream: S,
    /// How long nothing may move.
    patience: Duration,
    pause: Option<Pause>,
}

impl<S> Outlet<S> {
    pub(super) const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, pause: None }
    }

    /// What came of a step, unless there was none for too long.
    fn within<T>(&mut self, step: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if step.is_ready() {
            self.pause = None;
            return step;
        }
        // Real time: whoever reads does.
        let patience = self.patience;
        let pause =
            self.pause.get_or_insert_with(|| Box::pin(async move { Clock::system().sleep(patience).await }));
        pause.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Outlet<S> {
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
        let step = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.within(step, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn whoever_takes_nothing_is_cut_off_and_whoever_is_slow_is_not() {
        let (ours, _theirs) = duplex(4);
        let mut outlet = Outlet::new(ours, Duration::from_millis(20));
        let error = outlet.write_all(b"more than fits").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (ours, mut slow) = duplex(4);
        let mut outlet = Outlet::new(ours, Duration::from_mins(1));
        let written = tokio::spawn(async move { outlet.write_all(b"more than fits").await });
        let mut read = String::new();
        slow.read_to_string(&mut read).await.expect("read");
        written.await.expect("ended").expect("written");
        assert_eq!(read, "more than fits");
    }
}
