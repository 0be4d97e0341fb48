//! A way to a server of the tests' own that can forget its connections, as a firewall or a dead machine does.

use std::path::{Path, PathBuf};

use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::{Cluster, Scratch};

/// The name of a server's socket.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";

pub(crate) struct Relay {
    scratch: Scratch,
    forgetting: watch::Sender<()>,
    _runtime: Runtime,
}

impl Relay {
    pub(crate) fn to(cluster: &Cluster) -> Self {
        let scratch = Scratch::new();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (forgetting, forgotten) = watch::channel(());
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(scratch.root().join(SOCKET)).expect("a socket")
        };
        let behind = cluster.dir().join(SOCKET);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Only what happens from now on is a change.
                let mut forgotten = forgotten.clone();
                forgotten.mark_unchanged();
                tokio::spawn(pass_on(stream, behind.clone(), forgotten));
            }
        });
        Self { scratch, forgetting, _runtime: runtime }
    }

    /// Where the server is found through it.
    pub(crate) fn folder(&self) -> &Path {
        self.scratch.root()
    }

    /// Connections stay open from now on, and nothing comes through them. New ones are as ever.
    pub(crate) fn forget(&self) {
        self.forgetting.send_replace(());
    }
}

async fn pass_on(mut stream: UnixStream, behind: PathBuf, mut forgotten: watch::Receiver<()>) {
    let Ok(mut server) = UnixStream::connect(behind).await else { return };
    let ended = tokio::select! {
        _ = copy_bidirectional(&mut stream, &mut server) => true,
        _ = forgotten.changed() => false,
    };
    if !ended {
        drop(server);
        std::future::pending::<()>().await;
    }
}
