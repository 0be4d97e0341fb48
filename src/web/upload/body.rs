//! A large body, piece by piece: no more of it than there is room for, no slower than anybody needs, no longer
//! than a connection lasts.
//!
//! Time is the world's here, whatever clock the work goes by.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::Mutex;

use crate::clock::Clock;

/// In each span at least so many bytes must come, which a bad line over the air does.
const SPAN: Duration = Duration::from_secs(10);
const SLOWEST: u64 = 16 << 10;
/// Spans that a body may take: ten minutes.
const SPANS: u32 = 60;

/// Why no more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyFault {
    #[error("more came than there is room for")]
    TooLarge,
    #[error("it came too slowly")]
    TooSlow,
    #[error("it broke off")]
    BrokenOff,
}

/// A body under guard; its clones are the same one.
#[derive(Clone)]
pub(super) struct Guarded {
    source: Arc<Mutex<Source>>,
    room: Arc<AtomicU64>,
}

struct Source {
    data: BodyDataStream,
    span: Pin<Box<dyn Future<Output = ()> + Send>>,
    came: u64,
    before: u64,
    spans: u32,
}

impl Guarded {
    /// A body with room for so many bytes.
    pub(super) fn new(body: Body, room: u64) -> Self {
        let source = Source { data: body.into_data_stream(), span: a_span(), came: 0, before: 0, spans: 0 };
        Self { source: Arc::new(Mutex::new(source)), room: Arc::new(AtomicU64::new(room)) }
    }

    /// Makes room for so many bytes more.
    pub(super) fn widen(&self, by: u64) {
        self.room.fetch_add(by, Ordering::Relaxed);
    }

    /// The next piece.
    pub(super) async fn next(&self) -> Option<Result<Bytes, BodyFault>> {
        // One at a time: whoever reads as long as something is there gets to look at it in between.
        tokio::task::yield_now().await;
        let mut source = self.source.lock().await;
        let piece = source.next().await?;
        match piece {
            Ok(_) if source.came > self.room.load(Ordering::Relaxed) => Some(Err(BodyFault::TooLarge)),
            piece => Some(piece),
        }
    }

    /// All pieces.
    pub(super) fn pieces(&self) -> impl Stream<Item = Result<Bytes, BodyFault>> + Send + 'static {
        futures_util::stream::unfold(self.clone(), |body| async move { Some((body.next().await?, body)) })
    }
}

impl Source {
    async fn next(&mut self) -> Option<Result<Bytes, BodyFault>> {
        loop {
            tokio::select! {
                biased;
                () = &mut self.span => {
                    self.spans += 1;
                    if self.came - self.before < SLOWEST || self.spans >= SPANS {
                        return Some(Err(BodyFault::TooSlow));
                    }
                    (self.before, self.span) = (self.came, a_span());
                }
                piece = self.data.next() => {
                    let piece = piece?.map_err(|_| BodyFault::BrokenOff);
                    self.came += piece.as_ref().map_or(0, |piece| piece.len() as u64);
                    return Some(piece);
                }
            }
        }
    }
}

fn a_span() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async { Clock::system().sleep(SPAN).await })
}
