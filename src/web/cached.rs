//! Values that take a while to read, kept for a few seconds: however many people look, the database is asked
//! once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::fault::Fault;
use crate::clock::{Clock, Time};

/// One value, and when it was read.
#[derive(Debug)]
pub(super) struct Cached<T> {
    held: tokio::sync::Mutex<Option<(Time, Arc<T>)>>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { held: tokio::sync::Mutex::new(None) }
    }
}

impl<T> Cached<T> {
    /// The value, read anew where it is older than that. Whoever comes meanwhile waits for the same reading.
    pub(super) async fn get(
        &self,
        clock: &Clock,
        lasts: Duration,
        read: impl Future<Output = Result<T, Fault>>,
    ) -> Result<Arc<T>, Fault> {
        let mut held = self.held.lock().await;
        let now = clock.now();
        // One that was read in the future was read by a clock that was ahead.
        if let Some((at, value)) = held.as_ref().filter(|(at, _)| *at <= now && now.since(*at) < lasts) {
            tracing::trace!(%at, "as it was read");
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(read.await?);
        *held = Some((clock.now(), Arc::clone(&value)));
        Ok(value)
    }

    /// What was read is over: somebody has changed it.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }
}

/// Such values by what they are of; as many as people look at.
#[derive(Debug)]
pub(super) struct CachedBy<K, T>(Mutex<HashMap<K, Arc<Cached<T>>>>);

/// Values that are kept at once.
const MOST: usize = 64;

impl<K, T> Default for CachedBy<K, T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, T> CachedBy<K, T> {
    /// The place for the value of `key`.
    pub(super) fn of(&self, key: K) -> Arc<Cached<T>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&key) {
            all.clear();
        }
        Arc::clone(all.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(2);

    #[tokio::test]
    async fn a_value_is_read_once_until_it_is_old_or_forgotten() {
        let clock = Clock::manual(Time::from_micros(1_795_370_400_000_000));
        let cached = Cached::default();
        let get = |value: u32| cached.get(&clock, LASTS, async move { Ok(value) });
        assert_eq!((*get(1).await.expect("read"), *get(2).await.expect("kept")), (1, 1));
        clock.advance(LASTS);
        assert_eq!(*get(3).await.expect("read"), 3);
        cached.forget().await;
        assert_eq!(*get(4).await.expect("read"), 4);
        cached.forget().await;
        assert_eq!(cached.get(&clock, LASTS, async { Err(Fault::Database) }).await, Err(Fault::Database));
        assert_eq!(*get(5).await.expect("a fault is not kept"), 5);
    }

    #[test]
    fn no_more_are_kept_than_people_look_at() {
        let all: CachedBy<usize, ()> = CachedBy::default();
        for key in 0..10 * MOST {
            all.of(key);
        }
        assert!(all.0.lock().expect("whole").len() <= MOST);
    }
}
