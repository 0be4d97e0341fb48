//! The next moment of a timetable, over the changes of its clocks.
//!
//! The only place that knows of gaps and of times that come twice.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, Timestamp};

use super::Timetable;
use crate::clock::Time;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

impl Timetable {
    /// The first moment later than `after`; none where time as we write it ends before.
    #[must_use]
    pub fn next_after(&self, after: Time) -> Option<Time> {
        let after = Timestamp::from_microsecond(after.as_micros()).ok()?;
        let next =
            if self.cron.takes_every_hour() { self.next_by_pace(after) } else { self.next_by_day(after) };
        next.map(|next| Time::from_micros(next.as_microsecond()))
    }

    /// The last moment in `(after, until]` and how many others lie between; none where there is no moment.
    #[must_use]
    pub fn last_within(&self, after: Time, until: Time) -> Option<(Time, u64)> {
        let mut moments = self.moments(after).take_while(|moment| *moment <= until);
        let first = moments.next()?;
        Some(moments.fold((first, 0), |(_, earlier), moment| (moment, earlier + 1)))
    }

    /// Every moment later than `after`.
    pub fn moments(&self, after: Time) -> impl Iterator<Item = Time> {
        std::iter::successors(self.next_after(after), |last| self.next_after(*last))
    }

    /// What clocks in the zone show at a moment, as `2026-03-29 03:00`.
    #[must_use]
    pub fn clocks_show(&self, time: Time) -> Option<String> {
        let moment = Timestamp::from_microsecond(time.as_micros()).ok()?;
        let shown = self.zone.to_datetime(moment);
        let (date, hour, minute) = (shown.date(), shown.hour(), shown.minute());
        Some(format!("{date} {hour:02}:{minute:02}"))
    }

    /// Times of day: later ones never lie before earlier ones, so the first beyond `after` is the next.
    fn next_by_day(&self, after: Timestamp) -> Option<Timestamp> {
        let today = self.zone.to_datetime(after).date();
        self.cron.days.from(today).find_map(|date| {
            let times = numbers(self.cron.hours)
                .flat_map(|hour| numbers(self.cron.minutes).map(move |minute| (hour, minute)));
            let moments = times.filter_map(|(hour, minute)| self.first_moment(date.at(hour, minute, 0, 0)));
            moments.into_iter().find(|moment| *moment > after)
        })
    }

    /// Minute by minute as they really pass, over days that are not meant in one step.
    fn next_by_pace(&self, after: Timestamp) -> Option<Timestamp> {
        let mut moment = whole_minute(after)?;
        loop {
            let local = self.zone.to_datetime(moment);
            let minute = moment.checked_add(MINUTE).ok()?;
            // Where an offset had seconds, minutes began elsewhere.
            let odd = SignedDuration::from_secs(local.second().into());
            moment = if !odd.is_zero() {
                minute.checked_sub(odd).ok()?
            } else if !self.cron.days.holds(local.date()) {
                let day = self.cron.days.from(local.date().tomorrow().ok()?).next()?;
                self.first_moment(day.at(0, 0, 0, 0))?.max(minute)
            } else if self.cron.minutes & 1 << local.minute() != 0 {
                return Some(moment);
            } else {
                minute
            };
        }
    }

    /// When clocks show this for the first time; where they never do, the first moment after the gap.
    fn first_moment(&self, local: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                // By the clocks as they were, this is when the gap had begun already.
                let within = before.to_timestamp(local).ok()?.checked_add(Duration::from_secs(1)).ok()?;
                self.zone.preceding(within).next().map(|change| change.timestamp())
            }
        }
    }
}

/// The next whole minute.
fn whole_minute(after: Timestamp) -> Option<Timestamp> {
    let minutes = after.as_second().div_euclid(60) + 1;
    Timestamp::from_second(minutes * 60).ok()
}

fn numbers(bits: u64) -> impl Iterator<Item = i8> + Clone {
    (0..60).filter(move |number| bits & 1 << number != 0)
}
