//! Which days an expression means.
//!
//! As cron has it: where both the day of month and the day of week are restricted, either of them is
//! enough; where one of them begins with `*`, both must hold, so that `*` alone restricts nothing.

use jiff::civil::Date;

use super::Read;

/// Days of the month, months and days of the week, and whether either day is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DayRule {
    days: u64,
    months: u64,
    weekdays: u64,
    is_either: bool,
}

/// The days that each month has at most, from January on.
const LENGTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The rarest days, as a 29th of February on a Sunday is, come within this span.
const LONGEST_WAIT_DAYS: usize = 41 * 366;

impl DayRule {
    /// `None` where there is no such day.
    pub(super) fn new(days: Read, months: Read, weekdays: Read) -> Option<Self> {
        let is_either = !days.is_star && !weekdays.is_star;
        let occurs = |(length, month): (u8, u8)| {
            months.bits & 1 << month != 0 && days.bits & ((1 << (length + 1)) - 1) != 0
        };
        let exists = is_either || LENGTHS.into_iter().zip(1..).any(occurs);
        let (days, months, weekdays) = (days.bits, months.bits, weekdays.bits);
        exists.then_some(Self { days, months, weekdays, is_either })
    }

    pub(super) fn holds(&self, date: Date) -> bool {
        let has = |bits: u64, number: i8| bits & 1 << number != 0;
        let is_day = has(self.days, date.day());
        let is_weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let is_one = if self.is_either { is_day || is_weekday } else { is_day && is_weekday };
        has(self.months, date.month()) && is_one
    }

    /// The days it means from `first` on, as far as it is sensible to look.
    pub(super) fn from(&self, first: Date) -> impl Iterator<Item = Date> {
        let dates = std::iter::successors(Some(first), |date| date.tomorrow().ok());
        dates.take(LONGEST_WAIT_DAYS).filter(|date| self.holds(*date))
    }
}
