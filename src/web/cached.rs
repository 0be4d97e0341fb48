//! Values that take a while to read, kept for a few seconds: however many people look, the database is asked once.
//!
//! A reading goes on by itself. Whoever comes meanwhile waits for it a moment and then sees what was read before;
//! and what takes long to read is read seldom, so that looking never takes more than a small part of a processor.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::fault::Fault;
use crate::clock::{Clock, Time};

/// How long somebody waits for a reading.
const PATIENCE: Duration = Duration::from_millis(50);
/// Between two readings there is so many times what one takes.
const REST: u32 = 50;
/// So old a value is shown to nobody, beyond twice the time that it lasts; what is noted every minute is younger.
const OLD: Duration = Duration::from_mins(2);

/// One value, and when it was read. Cheap to clone: all of them are the same.
pub(super) struct Cached<T>(Arc<Mutex<Slot<T>>>);

struct Slot<T> {
    reading: Option<Reading<T>>,
    under_way: Option<Told<T>>,
    /// The last reading came to this: what was read before says nothing of now.
    fault: Option<Fault>,
    /// How often it was forgotten: what was begun before that is not kept.
    forgotten: u64,
}

struct Reading<T> {
    began: Time,
    ended: Time,
    value: Arc<T>,
}

/// What a reading has come to, once it has.
type Told<T> = watch::Receiver<Option<Result<Arc<T>, Fault>>>;

/// What is known.
struct Known<T> {
    value: Option<Arc<T>>,
    /// The reading that goes on, where the value is old or there is none.
    told: Option<Told<T>>,
    /// What the one before came to, where that was no value.
    fault: Option<Fault>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Slot { reading: None, under_way: None, fault: None, forgotten: 0 })))
    }
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cached")
    }
}

impl<T> Cached<T> {
    fn slot(&self) -> MutexGuard<'_, Slot<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read is over: somebody has changed it.
    pub(super) fn forget(&self) {
        let mut slot = self.slot();
        (slot.reading, slot.under_way, slot.fault) = (None, None, None);
        slot.forgotten += 1;
    }
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// The value; read now where there is none yet.
    pub(super) async fn get(
        &self,
        clock: &Clock,
        lasts: Duration,
        read: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<Arc<T>, Fault> {
        match self.known(clock, lasts, read) {
            Known { told: Some(told), fault: Some(fault), .. } => soon(told).await.unwrap_or(Err(fault)),
            Known { value: Some(value), told: None, .. } => Ok(value),
            Known { value: Some(value), told: Some(told), .. } => soon(told).await.unwrap_or(Ok(value)),
            Known { value: None, told: Some(told), .. } => end(told).await,
            Known { value: None, told: None, .. } => Err(Fault::Database),
        }
    }

    /// The value, unless there is none yet and reading it takes longer than anybody wants to wait.
    pub(super) async fn soon(
        &self,
        clock: &Clock,
        lasts: Duration,
        read: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<Option<Arc<T>>, Fault> {
        let Known { value, told, fault } = self.known(clock, lasts, read);
        match told {
            None => Ok(value),
            Some(told) if fault.is_some() => {
                soon(told).await.map_or(fault.map_or(Ok(None), Err), |read| read.map(Some))
            }
            Some(told) => soon(told).await.map_or(Ok(value), |read| read.map(Some)),
        }
    }

    /// What is known; where that is old, a reading goes on from here.
    fn known(
        &self,
        clock: &Clock,
        lasts: Duration,
        read: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Known<T> {
        let mut slot = self.slot();
        let now = clock.now();
        // One that was read in the future was read by a clock that was ahead.
        let kept = slot.reading.as_ref().filter(|reading| reading.ended <= now).map(|reading| {
            let lasts = lasts.max(reading.ended.since(reading.began).saturating_mul(REST));
            (now.since(reading.ended), lasts, Arc::clone(&reading.value))
        });
        let value = match kept {
            Some((age, lasts, value)) if age < lasts => {
                return Known { value: Some(value), told: None, fault: None };
            }
            Some((age, lasts, value)) => Some(value).filter(|_| age < lasts.saturating_mul(2) + OLD),
            None => None,
        };
        // One that has ended without a word was given up with the service.
        let under_way = slot.under_way.clone().filter(|told| told.has_changed().is_ok());
        let told = under_way.unwrap_or_else(|| {
            let told = self.begin(clock.clone(), slot.forgotten, read);
            slot.under_way = Some(told.clone());
            told
        });
        Known { value, told: Some(told), fault: slot.fault.clone() }
    }

    fn begin(
        &self,
        clock: Clock,
        forgotten: u64,
        read: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Told<T> {
        let (tell, told) = watch::channel(None);
        let cached = self.clone();
        tokio::spawn(async move {
            let began = clock.now();
            let read = read.await.map(Arc::new);
            let mut slot = cached.slot();
            if slot.forgotten == forgotten {
                slot.under_way = None;
                slot.fault = read.as_ref().err().cloned();
                if let Ok(value) = &read {
                    let value = Arc::clone(value);
                    slot.reading = Some(Reading { began, ended: clock.now(), value });
                }
            }
            drop(slot);
            tell.send_replace(Some(read));
        });
        told
    }
}

/// What a reading comes to.
async fn end<T>(mut told: Told<T>) -> Result<Arc<T>, Fault> {
    match told.wait_for(Option::is_some).await {
        Ok(read) => read.clone().unwrap_or(Err(Fault::Database)),
        Err(_) => Err(Fault::Database),
    }
}

/// The same, unless it takes long. Real time: whoever waits does.
async fn soon<T>(told: Told<T>) -> Option<Result<Arc<T>, Fault>> {
    tokio::select! {
        biased;
        read = end(told) => Some(read),
        () = async { Clock::system().sleep(PATIENCE).await } => None,
    }
}

/// Such values by what they are of; as many as people look at.
#[derive(Debug)]
pub(super) struct CachedBy<K, T>(Mutex<HashMap<K, Cached<T>>>);

/// Values that are kept at once.
const MOST: usize = 64;

impl<K, T> Default for CachedBy<K, T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, T> CachedBy<K, T> {
    /// The place for the value of `key`.
    pub(super) fn of(&self, key: K) -> Cached<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&key) {
            all.clear();
        }
        all.entry(key).or_default().clone()
    }

    /// What was read is over, of all of them.
    pub(super) fn forget_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(Cached::forget);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    const LASTS: Duration = Duration::from_secs(2);

    fn clock() -> Clock {
        Clock::manual(Time::from_micros(1_795_370_400_000_000))
    }

    #[tokio::test]
    async fn a_value_is_read_once_until_it_is_old_or_forgotten() {
        let clock = clock();
        let cached = Cached::default();
        let get = |value: u32| cached.get(&clock, LASTS, async move { Ok(value) });
        assert_eq!((*get(1).await.expect("read"), *get(2).await.expect("kept")), (1, 1));
        clock.advance(LASTS);
        assert_eq!(*get(3).await.expect("read"), 3);
        cached.forget();
        assert_eq!(*get(4).await.expect("read"), 4);
        cached.forget();
        assert_eq!(cached.get(&clock, LASTS, async { Err(Fault::Database) }).await, Err(Fault::Database));
        assert_eq!(*get(5).await.expect("a fault is not kept"), 5);
    }

    #[tokio::test]
    async fn nobody_waits_long_for_what_was_read_before() {
        let clock = clock();
        let cached = Cached::default();
        let quick = cached.soon(&clock, LASTS, async { Ok(1) }).await.expect("read").expect("soon");
        assert_eq!(*quick, 1);
        clock.advance(LASTS);
        let (go, held) = oneshot::channel::<u32>();
        let slow = async move { held.await.map_err(|_| Fault::Database) };
        assert_eq!(*cached.get(&clock, LASTS, slow).await.expect("what was read before"), 1);
        // The same reading goes on: another is not begun.
        let again = cached.soon(&clock, LASTS, async { Ok(9) }).await.expect("read").expect("old");
        assert_eq!(*again, 1);
        go.send(2).expect("somebody reads");
        assert_eq!(*cached.get(&clock, LASTS, async { Ok(9) }).await.expect("read"), 2);
    }

    #[tokio::test]
    async fn what_nobody_has_read_yet_is_not_there_and_what_is_very_old_is_not_shown() {
        let clock = clock();
        let cached = Cached::default();
        let never = || std::future::pending::<Result<u32, Fault>>();
        assert_eq!(cached.soon(&clock, LASTS, never()).await, Ok(None));
        cached.forget();
        assert_eq!(cached.soon(&clock, LASTS, async { Ok(1) }).await, Ok(Some(Arc::new(1))));
        clock.advance(LASTS * 2 + OLD);
        assert_eq!(cached.soon(&clock, LASTS, never()).await, Ok(None));
    }

    #[tokio::test]
    async fn what_was_read_before_a_fault_is_not_shown_after_it() {
        let clock = clock();
        let cached = Cached::default();
        assert_eq!(*cached.get(&clock, LASTS, async { Ok(1) }).await.expect("read"), 1);
        clock.advance(LASTS);
        assert_eq!(cached.get(&clock, LASTS, async { Err(Fault::Database) }).await, Err(Fault::Database));
        let never = || std::future::pending::<Result<u32, Fault>>();
        assert_eq!(cached.get(&clock, LASTS, never()).await, Err(Fault::Database), "and nobody waits for it");
        assert_eq!(cached.soon(&clock, LASTS, never()).await, Err(Fault::Database));
    }

    #[tokio::test]
    async fn what_takes_long_to_read_is_read_seldom() {
        let clock = clock();
        let cached = Cached::default();
        let (taking, took) = (clock.clone(), Duration::from_secs(3));
        let slow = async move {
            taking.advance(took);
            Ok(1)
        };
        cached.get(&clock, LASTS, slow).await.expect("read");
        clock.advance(took * (REST - 1));
        assert_eq!(*cached.get(&clock, LASTS, async { Ok(2) }).await.expect("kept"), 1);
        clock.advance(took);
        assert_eq!(*cached.get(&clock, LASTS, async { Ok(3) }).await.expect("read"), 3);
    }

    #[tokio::test]
    async fn what_was_begun_before_a_change_is_not_kept() {
        let clock = clock();
        let cached = Cached::default();
        let (go, held) = oneshot::channel::<u32>();
        let before = cached.soon(&clock, LASTS, async move { held.await.map_err(|_| Fault::Database) });
        assert_eq!(before.await, Ok(None));
        cached.forget();
        assert_eq!(*cached.get(&clock, LASTS, async { Ok(2) }).await.expect("read"), 2);
        go.send(1).expect("somebody reads");
        tokio::task::yield_now().await;
        assert_eq!(*cached.get(&clock, LASTS, async { Ok(3) }).await.expect("kept"), 2);
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
