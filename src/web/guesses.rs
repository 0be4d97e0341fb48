//! Guesses at the token are slowed down: ten at once from one place, then one every two seconds.
//!
//! Whoever is signed in goes on, and no place is locked out for longer than that pause.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Time;

/// Wrong guesses that nobody is kept waiting for.
const FREE: u32 = 10;
/// What each costs beyond.
const PAUSE: Duration = Duration::from_secs(2);
/// Places that are remembered.
const PLACES: usize = 1_024;

/// Wrong guesses, by where they came from: until when each place has used up its own.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<IpAddr, Time>>);

/// How a guess ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    Right,
    Wrong,
    /// It was not looked at.
    TooSoon(Duration),
}

impl Guesses {
    /// Judges a guess, unless its place has made too many.
    pub(super) fn judge(&self, from: IpAddr, now: Time, is_right: impl FnOnce() -> bool) -> Guess {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = network(from);
        let used_until = places.get(&place).copied().unwrap_or(now).clamp(now, now.plus(PAUSE * (FREE + 1)));
        let over = used_until.since(now.plus(PAUSE * (FREE - 1)));
        if over > Duration::ZERO {
            return Guess::TooSoon(over);
        }
        if is_right() {
            return Guess::Right;
        }
        if places.len() >= PLACES {
            places.retain(|_, until| *until > now);
        }
        if places.len() >= PLACES
            && let Some(first) = places.iter().min_by_key(|(_, until)| **until).map(|(place, _)| *place)
        {
            places.remove(&first);
        }
        places.insert(place, used_until.plus(PAUSE));
        Guess::Wrong
    }
}

/// Whoever has one address of version 6 has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(1_795_370_400_000_000);

    fn place(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    #[test]
    fn ten_guesses_are_free_and_then_one_every_two_seconds() {
        let guesses = Guesses::default();
        for _ in 0..FREE {
            assert_eq!(guesses.judge(place(1), NOW, || false), Guess::Wrong);
        }
        assert_eq!(guesses.judge(place(1), NOW, || true), Guess::TooSoon(PAUSE));
        assert_eq!(guesses.judge(place(2), NOW, || true), Guess::Right);
        let later = NOW.plus(PAUSE);
        assert_eq!(guesses.judge(place(1), later, || false), Guess::Wrong);
        assert!(matches!(guesses.judge(place(1), later, || true), Guess::TooSoon(_)));
        assert_eq!(guesses.judge(place(1), later.plus(PAUSE), || true), Guess::Right);
    }

    #[test]
    fn right_guesses_cost_nothing_and_a_clock_put_back_locks_nobody_out() {
        let guesses = Guesses::default();
        for _ in 0..100 {
            assert_eq!(guesses.judge(place(1), NOW, || true), Guess::Right);
        }
        for _ in 0..FREE {
            guesses.judge(place(1), NOW, || false);
        }
        let before = NOW.minus(Duration::from_hours(24));
        let Guess::TooSoon(wait) = guesses.judge(place(1), before, || true) else { panic!("judged") };
        assert!(wait <= PAUSE * 2, "{wait:?}");
    }

    #[test]
    fn a_network_of_version_6_is_one_place_and_memory_has_an_end() {
        let guesses = Guesses::default();
        let six = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        for last in 0..20 {
            guesses.judge(six(last), NOW, || false);
        }
        assert!(matches!(guesses.judge(six(99), NOW, || true), Guess::TooSoon(_)));
        for number in 0..5_000_u32 {
            guesses.judge(IpAddr::from(number.to_be_bytes()), NOW, || false);
        }
        assert!(guesses.0.lock().expect("whole").len() <= PLACES);
    }
}
