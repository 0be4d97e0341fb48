//! What goes wrong on purpose: the words for it, and what one import or event meets.
//!
//! Knows nothing of connections or of what an import changes; it only says what to do.

#[cfg(test)]
mod tests;

use std::str::FromStr;
use std::time::Duration;

use hyper::StatusCode;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const KNOWN: &str = "a status of 400 to 599, `plan`, `html`, `html-ok`, `reset`, `reset-after`, `empty`, `truncated`, \
                     `slow[=2s]`, `max-rows=N`, `lose[=P%]`, `reject=ADDRESS` and `reject-named=ADDRESS`, each alone or \
                     with `@N` (the Nth import, the Nth event, the Nth of the other writes), `@N+` (from the Nth \
                     on) or `@P%` (that share of them), and with `imports:`, `events:`, `tags:` or `reads:` in front \
                     for these alone";

/// What goes wrong with writes, written `[WHAT:]KIND[=ARGUMENT][@WHEN]` and separated by commas.
///
/// Imports are counted from 1, those that the quota refused left out; events, other writes, and what only
/// looks, for themselves in the same way. What only looks meets the faults that name it. Of the faults that
/// answer in an import's place the first one counts, and so for those that spoil an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults(Vec<Fault>);

/// A part of a fault list that says nothing the sandbox can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is not a fault: {reason}\nhint: known are {KNOWN}")]
pub struct FaultError {
    part: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
struct Fault {
    only: Option<Asked>,
    kind: Kind,
    when: When,
}

/// What a request is about, as far as faults are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Import,
    Event,
    /// Every other write: tags, mostly.
    Tag,
    Read,
}

impl Asked {
    const WORDS: [(&str, Self); 4] =
        [("imports:", Self::Import), ("events:", Self::Event), ("tags:", Self::Tag), ("reads:", Self::Read)];
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Instead(Instead),
    MaxRows(usize),
    Reject(Guilty),
    Slow(Duration),
    Spoil(Spoil),
    Lose(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Always,
    Nth(u64),
    From(u64),
    Share(f64),
}

/// What happens in an import's place; nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    Status(StatusCode),
    Plan,
    Html(StatusCode),
    Reset,
}

/// What becomes of the answer to an import that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoil {
    Cut,
    Empty,
    Truncated,
}

/// An address that spoils every import it is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guilty {
    pub(super) address: Box<str>,
    pub(super) named: bool,
}

/// All that one import meets.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Trouble<'a> {
    pub(super) instead: Option<Instead>,
    pub(super) max_rows: Option<usize>,
    pub(super) guilty: Vec<&'a Guilty>,
    pub(super) delay: Option<Duration>,
    pub(super) spoil: Option<Spoil>,
    /// The share of its addresses that are answered well and not stored, in percent.
    pub(super) lose: Option<f64>,
}

impl Trouble<'_> {
    /// Whether an import that holds this address is refused by name.
    pub(super) fn names(&self, address: &str) -> bool {
        self.is_guilty(address, true)
    }

    /// Whether an import that holds this address is refused without a reason.
    pub(super) fn refuses(&self, address: &str) -> bool {
        self.is_guilty(address, false)
    }

    fn is_guilty(&self, address: &str, named: bool) -> bool {
        let is_meant = |one: &&Guilty| one.named == named && *one.address == address.to_lowercase();
        self.guilty.iter().any(is_meant)
    }

    /// Whether this address vanishes: always the same ones for one seed, in whatever order they come.
    pub(super) fn loses(&self, address: &str, seed: u64) -> bool {
        let chance = |address: &str| {
            fastrand::Rng::with_seed(xxh3_64_with_seed(address.to_lowercase().as_bytes(), seed)).f64()
        };
        self.lose.is_some_and(|percent| chance(address) * 100.0 < percent)
    }
}

impl Faults {
    /// What the `nth` request of its kind meets.
    pub(super) fn meet(&self, asked: Asked, nth: u64, rng: &mut fastrand::Rng) -> Trouble<'_> {
        let mut met = Trouble::default();
        let is_meant = |fault: &&Fault| fault.only.map_or(asked != Asked::Read, |only| only == asked);
        for fault in self.0.iter().filter(is_meant).filter(|fault| fault.when.strikes(nth, rng)) {
            match &fault.kind {
                Kind::Instead(instead) => met.instead = met.instead.or(Some(*instead)),
                Kind::MaxRows(rows) => met.max_rows = met.max_rows.or(Some(*rows)),
                Kind::Reject(guilty) => met.guilty.push(guilty),
                Kind::Slow(delay) => met.delay = met.delay.or(Some(*delay)),
                Kind::Spoil(spoil) => met.spoil = met.spoil.or(Some(*spoil)),
                Kind::Lose(percent) => met.lose = met.lose.or(Some(*percent)),
            }
        }
        met
    }
}

impl When {
    fn strikes(self, nth: u64, rng: &mut fastrand::Rng) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(wanted) => nth == wanted,
            Self::From(first) => nth >= first,
            Self::Share(percent) => rng.f64() * 100.0 < percent,
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let count = |digits: &str| digits.parse().ok().filter(|nth| *nth > 0);
        if text.ends_with('%') {
            return parse_share(text).map(Self::Share).ok_or("the share is not 0 to 100 percent");
        }
        let when = match text.strip_suffix('+') {
            Some(first) => count(first).map(Self::From),
            None => count(text).map(Self::Nth),
        };
        when.ok_or("what follows the last `@` is no `N`, `N+` or `P%`")
    }
}

impl Kind {
    fn parse(name: &str, argument: Option<&str>) -> Result<Self, &'static str> {
        if let Some(argument) = argument {
            return Self::parse_with(name, argument);
        }
        Ok(match name {
            "plan" => Self::Instead(Instead::Plan),
            "html" => Self::Instead(Instead::Html(StatusCode::BAD_GATEWAY)),
            "html-ok" => Self::Instead(Instead::Html(StatusCode::OK)),
            "reset" => Self::Instead(Instead::Reset),
            "reset-after" => Self::Spoil(Spoil::Cut),
            "empty" => Self::Spoil(Spoil::Empty),
            "truncated" => Self::Spoil(Spoil::Truncated),
            "slow" => Self::Slow(Duration::from_secs(2)),
            "lose" => Self::Lose(100.0),
            "max-rows" | "reject" | "reject-named" => return Err("it needs an argument, after `=`"),
            _ => Self::Instead(Instead::Status(parse_status(name)?)),
        })
    }

    fn parse_with(name: &str, argument: &str) -> Result<Self, &'static str> {
        match name {
            "slow" => parse_duration(argument).map(Self::Slow).ok_or("the delay is not like `2s` or `300ms`"),
            "lose" => parse_share(argument).map(Self::Lose).ok_or("the share is not `0%` to `100%`"),
            "max-rows" => {
                argument.parse().map(Self::MaxRows).map_err(|_| "the number of rows is not a number")
            }
            "reject" | "reject-named" if argument.contains('@') => Ok(Self::Reject(Guilty {
                address: argument.to_lowercase().into(),
                named: name == "reject-named",
            })),
            "reject" | "reject-named" => Err("its argument is not an address"),
            _ => Err("it is unknown, or takes no argument"),
        }
    }

    fn takes_address(name: &str) -> bool {
        matches!(name, "reject" | "reject-named")
    }
}

fn parse_status(text: &str) -> Result<StatusCode, &'static str> {
    let number: u16 = text.parse().map_err(|_| "it is unknown")?;
    let status = StatusCode::from_u16(number).map_err(|_| "it is no status")?;
    let bad = status.is_client_error() || status.is_server_error();
    bad.then_some(status).ok_or("the status is not one of 400 to 599")
}

fn parse_share(text: &str) -> Option<f64> {
    text.strip_suffix('%')?.parse().ok().filter(|share| (0.0..=100.0).contains(share))
}

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    text.parse::<jiff::SignedDuration>().ok().and_then(|delay| delay.try_into().ok())
}

impl Fault {
    fn parse(part: &str) -> Result<Self, &'static str> {
        let scoped = Asked::WORDS.iter().find_map(|(word, asked)| Some((part.strip_prefix(word)?, *asked)));
        let (part, only) = scoped.map_or((part, None), |(part, asked)| (part, Some(asked)));
        let (what, when) = split_when(part);
        let when = when.map_or(Ok(When::Always), When::parse)?;
        let (name, argument) = match what.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (what, None),
        };
        Ok(Self { only, kind: Kind::parse(name, argument)?, when })
    }
}

/// Splits off what follows the last `@`, unless that is the address's own.
fn split_when(part: &str) -> (&str, Option<&str>) {
    let name = part.split('=').next().unwrap_or(part);
    match part.rsplit_once('@') {
        Some((what, when)) if !Kind::takes_address(name) || what.contains('@') => (what, Some(when)),
        _ => (part, None),
    }
}

impl FromStr for Faults {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| Fault::parse(part).map_err(|reason| FaultError { part: part.into(), reason }))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}
