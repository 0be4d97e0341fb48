//! One field of an expression: lists, ranges, steps and names, as a set of numbers.
//!
//! Knows what a field may hold, and nothing of what the fields mean together.

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) least: u8,
    pub(super) most: u8,
    /// Names of its numbers, from `least` on.
    names: &'static [&'static str],
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) bits: u64,
    /// Begins with `*`: it restricts nothing by itself.
    pub(super) is_star: bool,
}

/// What is wrong with one, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) field: Field,
    /// Follows the field's name.
    pub(super) said: String,
    /// Follows the numbers it may hold.
    pub(super) how: &'static str,
}

const HOW: &str = "`*`, ranges like `1-5`, steps like `*/2`, or a list of these with commas";

impl Field {
    pub(super) const MINUTE: Self = Self { name: "minute", least: 0, most: 59, names: &[] };
    pub(super) const HOUR: Self = Self { name: "hour", least: 0, most: 23, names: &[] };
    pub(super) const DAY: Self = Self { name: "day of month", least: 1, most: 31, names: &[] };
    pub(super) const MONTH: Self = Self {
        name: "month",
        least: 1,
        most: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    };
    /// Sunday is 0 and 7.
    pub(super) const WEEKDAY: Self = Self {
        name: "day of week",
        least: 0,
        most: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    };

    pub(super) fn read(self, text: &str) -> Result<Read, Wrong> {
        let bits = text.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part)?))?;
        let is_week = self == Self::WEEKDAY;
        // Both spellings of Sunday are one.
        let bits = if is_week { bits & 0x7f | bits >> 7 } else { bits };
        Ok(Read { bits, is_star: text.starts_with('*') })
    }

    fn part(self, part: &str) -> Result<u64, Wrong> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(part, step)?)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.last_of_all()),
            Some((first, last)) => self.range(part, first, last)?,
            None if step.is_some() => {
                return Err(self.wrong(format!("`{part}` steps from a number without an end")));
            }
            None => self.number(range).map(|number| (number, number))?,
        };
        let step = usize::from(step.unwrap_or(1));
        Ok((first..=last).step_by(step).fold(0, |bits, number| bits | 1 << number))
    }

    fn range(self, part: &str, first: &str, last: &str) -> Result<(u8, u8), Wrong> {
        let (first, last) = (self.number(first)?, self.number(last)?);
        // A week may end with its Sunday, however that is written.
        let last = if self == Self::WEEKDAY && last == 0 && first > 0 { 7 } else { last };
        if first > last {
            return Err(self.wrong(format!("`{part}` ends before it begins")));
        }
        Ok((first, last))
    }

    fn step(self, part: &str, step: &str) -> Result<u8, Wrong> {
        let span = self.last_of_all() - self.least;
        match plain(step) {
            Some(0) => Err(self.wrong(format!("`{part}` steps by nothing"))),
            // `*/90` would silently mean `0`.
            Some(step) if step > span => {
                Err(self.wrong(format!("`{part}` steps by {step}, which is beyond its last number")))
            }
            Some(step) => Ok(step),
            None => Err(self.wrong(format!("`{part}` steps by what is no number"))),
        }
    }

    fn number(self, text: &str) -> Result<u8, Wrong> {
        let named = self.names.iter().zip(self.least..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        if let Some((_, number)) = named {
            return Ok(number);
        }
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match plain(text).filter(|number| (self.least..=self.most).contains(number)) {
            Some(number) => Ok(number),
            None if is_digits => {
                Err(self.wrong(format!("`{text}` is not from {} to {}", self.least, self.most)))
            }
            None if text.is_empty() => Err(self.wrong("has nothing between its signs".to_owned())),
            None => Err(self.wrong(format!("`{text}` is no number"))),
        }
    }

    /// Of the week the last day is Saturday: 7 is another name for the first.
    fn last_of_all(self) -> u8 {
        if self == Self::WEEKDAY { self.most - 1 } else { self.most }
    }

    fn wrong(self, said: String) -> Wrong {
        let how = if self.names.is_empty() {
            HOW
        } else {
            "names like those of cron, `*`, ranges, steps or a list of these with commas"
        };
        Wrong { field: self, said, how }
    }
}

/// Digits alone: no sign, no space.
fn plain(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
