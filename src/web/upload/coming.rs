//! A file as it is written to the disk: piece by piece, beside what answers others.

use std::io;

use axum::body::Bytes;

use super::{Upload, WAITING, blocking};
use crate::domain::state::Kind;
use crate::engine::{Engine, Receiving, Staging};
use crate::web::fault::Fault;
use crate::web::site::Site;
use crate::web::token::fresh;

/// A file that is not whole yet. Dropped before its end, it leaves nothing.
pub(super) struct Coming {
    receiving: Receiving,
    engine: Engine,
    staging: Staging,
    left: u64,
    most: u64,
}

impl Coming {
    /// Makes a place for it, for the account of this name or the only one.
    pub(super) async fn begin(site: &Site, account: Option<&str>) -> Result<Self, Fault> {
        let (engine, staging) = place_of(site, account)?;
        let word = fresh().map_err(|error| {
            tracing::error!(%error, "the system has no chance to give");
            Fault::Busy
        })?;
        let there = staging.clone();
        let ready = blocking(move || there.make_ready()).await?;
        ready.map_err(|error| no_folder(&engine, &error))?;
        let there = staging.clone();
        let begun = blocking(move || {
            let waiting = there.list()?.iter().filter(|staged| !staged.is_sent).count();
            if waiting >= WAITING { Ok(None) } else { there.begin(&word).map(Some) }
        });
        let receiving = begun.await?.map_err(|error| of_disk(&error))?;
        let receiving = receiving.ok_or_else(|| {
            Fault::Conflict(format!("{WAITING} uploads wait already. Send or discard some of them first."))
        })?;
        Ok(Self { receiving, engine, staging, left: site.max_upload, most: site.max_upload })
    }

    /// The next bytes.
    pub(super) async fn write(mut self, piece: Bytes) -> Result<Self, Fault> {
        self.left = self.left.checked_sub(piece.len() as u64).ok_or(Fault::Oversize(self.most))?;
        let write = move || self.receiving.write(&piece).map(|()| self);
        blocking(write).await?.map_err(|error| of_disk(&error))
    }

    /// Whether nothing has come.
    pub(super) const fn is_empty(&self) -> bool {
        self.left == self.most
    }

    /// It is whole.
    pub(super) async fn finish(self, name: String, kind: Kind, site: &Site) -> Result<Upload, Fault> {
        let Self { receiving, engine, staging, .. } = self;
        let at = site.clock.now();
        let finished = blocking(move || receiving.finish(&name, kind, at)).await?;
        let staged = finished.map_err(|error| of_disk(&error))?;
        tracing::info!(
            account = engine.account(),
            kind = kind.as_str(),
            bytes = staged.size,
            "a file is uploaded"
        );
        Ok(Upload { engine, staging, staged })
    }
}

/// The account that is meant, and its place for files.
fn place_of(site: &Site, account: Option<&str>) -> Result<(Engine, Staging), Fault> {
    let mut stagings = site.stagings();
    if stagings.is_empty() {
        return Err(Fault::Conflict("There is no drop folder: `folder.path` is not set.".to_owned()));
    }
    let place = match account {
        Some(name) => stagings.iter().position(|(engine, _)| engine.account() == name),
        None => (stagings.len() == 1).then_some(0),
    };
    let place =
        place.ok_or_else(|| Fault::Wrong("There is no such account, or it is not said which.".to_owned()))?;
    Ok(stagings.swap_remove(place))
}

/// The folder is made where it can be; else somebody has to.
pub(super) fn no_folder(engine: &Engine, error: &io::Error) -> Fault {
    tracing::warn!(account = engine.account(), %error, "the drop folder cannot be made");
    Fault::Conflict(format!(
        "The drop folder of the account `{}` is not there and could not be made. It lies where `folder.path` says: \
         make it with its folders `members` and `events`, or see that its disk is there and may be written to.",
        engine.account()
    ))
}

/// What an error of the disk is to whoever sends a file.
pub(super) fn of_disk(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Full,
        _ => {
            tracing::warn!(%error, "an upload could not be kept");
            Fault::Disk
        }
    }
}
