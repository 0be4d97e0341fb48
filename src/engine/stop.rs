//! How a service is told to stop: first gently, then at once.

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Run,
    Finish,
    Abort,
}

/// The hand that stops.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Stage>);

/// The ear that listens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Stage>);

impl Stopper {
    /// A stopper and its listener.
    #[must_use]
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(Stage::Run);
        (Self(sender), Stop(receiver))
    }

    /// Nothing new is begun; what is in flight may end.
    pub fn finish(&self) {
        self.0.send_modify(|stage| *stage = (*stage).max(Stage::Finish));
    }

    /// What is in flight is given up too.
    pub fn abort(&self) {
        self.0.send_modify(|stage| *stage = Stage::Abort);
    }
}

impl Stop {
    /// Whether nothing new may be begun.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() != Stage::Run
    }

    /// Waits until nothing new may be begun. Safe to drop at any time.
    pub async fn requested(&self) {
        self.reached(Stage::Finish).await;
    }

    /// Waits until even what is in flight is to be given up. Safe to drop at any time.
    pub async fn aborted(&self) {
        self.reached(Stage::Abort).await;
    }

    async fn reached(&self, wanted: Stage) {
        // An error means that the stopper is gone, and with it whoever wanted the work.
        let _ = self.0.clone().wait_for(|stage| *stage >= wanted).await;
    }
}
