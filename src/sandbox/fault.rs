//! What goes wrong on purpose: the words for it, and what one import or event meets.
//!
//! Knows nothing of connections or of what an import changes; it only says what to do.

use std::str::FromStr;
use std::time::Duration;

use hyper::StatusCode;

const KNOWN: &str = "a status of 400 to 599, `plan`, `html`, `html-ok`, `reset`, `reset-after`, `empty`, `truncated`, \
                     `slow[=2s]`, `max-rows=N`, `reject=ADDRESS` and `reject-named=ADDRESS`, each alone or with \
                     `@N` (the Nth import, and the Nth event), `@N+` (from the Nth on) or `@P%` (that share of them)";

/// What goes wrong with imports and with events, written `KIND[=ARGUMENT][@WHEN]` and separated by commas.
///
/// Imports are counted from 1, those that the quota refused left out; events for themselves in the same way. Of the faults that
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
    kind: Kind,
    when: When,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Instead(Instead),
    MaxRows(usize),
    Reject(Guilty),
    Slow(Duration),
    Spoil(Spoil),
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
}

impl Faults {
    /// What the `nth` import meets.
    pub(super) fn meet(&self, nth: u64, rng: &mut fastrand::Rng) -> Trouble<'_> {
        let mut met = Trouble::default();
        for fault in self.0.iter().filter(|fault| fault.when.strikes(nth, rng)) {
            match &fault.kind {
                Kind::Instead(instead) => met.instead = met.instead.or(Some(*instead)),
                Kind::MaxRows(rows) => met.max_rows = met.max_rows.or(Some(*rows)),
                Kind::Reject(guilty) => met.guilty.push(guilty),
                Kind::Slow(delay) => met.delay = met.delay.or(Some(*delay)),
                Kind::Spoil(spoil) => met.spoil = met.spoil.or(Some(*spoil)),
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
        if let Some(percent) = text.strip_suffix('%') {
            let share = percent.parse().ok().filter(|share| (0.0..=100.0).contains(share));
            return share.map(Self::Share).ok_or("the share is not 0 to 100 percent");
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
            "max-rows" | "reject" | "reject-named" => return Err("it needs an argument, after `=`"),
            _ => Self::Instead(Instead::Status(parse_status(name)?)),
        })
    }

    fn parse_with(name: &str, argument: &str) -> Result<Self, &'static str> {
        match name {
            "slow" => parse_duration(argument).map(Self::Slow).ok_or("the delay is not like `2s` or `300ms`"),
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

fn parse_duration(text: &str) -> Option<Duration> {
    text.parse::<jiff::SignedDuration>().ok().and_then(|delay| delay.try_into().ok())
}

impl Fault {
    fn parse(part: &str) -> Result<Self, &'static str> {
        let (what, when) = split_when(part);
        let when = when.map_or(Ok(When::Always), When::parse)?;
        let (name, argument) = match what.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (what, None),
        };
        Ok(Self { kind: Kind::parse(name, argument)?, when })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn faults(text: &str) -> Faults {
        text.parse().expect("faults")
    }

    fn meet(text: &str, nth: u64) -> Option<Instead> {
        faults(text).meet(nth, &mut fastrand::Rng::with_seed(1)).instead
    }

    #[test]
    fn every_kind_is_read() {
        for (text, kind) in [
            ("503", Kind::Instead(Instead::Status(StatusCode::SERVICE_UNAVAILABLE))),
            ("plan", Kind::Instead(Instead::Plan)),
            ("html", Kind::Instead(Instead::Html(StatusCode::BAD_GATEWAY))),
            ("html-ok", Kind::Instead(Instead::Html(StatusCode::OK))),
            ("reset", Kind::Instead(Instead::Reset)),
            ("reset-after", Kind::Spoil(Spoil::Cut)),
            ("empty", Kind::Spoil(Spoil::Empty)),
            ("truncated", Kind::Spoil(Spoil::Truncated)),
            ("slow", Kind::Slow(Duration::from_secs(2))),
            ("slow=300ms", Kind::Slow(Duration::from_millis(300))),
            ("max-rows=100", Kind::MaxRows(100)),
            (
                "reject=Bo@Example.org",
                Kind::Reject(Guilty { address: "bo@example.org".into(), named: false }),
            ),
            ("reject-named=bo@a.org", Kind::Reject(Guilty { address: "bo@a.org".into(), named: true })),
        ] {
            assert_eq!(faults(text), Faults(vec![Fault { kind, when: When::Always }]), "{text}");
        }
    }

    #[test]
    fn a_fault_strikes_at_its_number_or_from_it_on() {
        let struck = |text: &str| (1..=4).filter(|nth| meet(text, *nth).is_some()).collect::<Vec<_>>();
        assert_eq!(struck("500@2"), [2]);
        assert_eq!(struck("500@3+"), [3, 4]);
        assert_eq!(struck("500"), [1, 2, 3, 4]);
        assert_eq!(struck(""), Vec::<u64>::new());
    }

    #[test]
    fn an_address_keeps_its_own_at_sign() {
        let guilty = faults("reject=bo@a.org@2");
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(guilty.meet(1, &mut rng), Trouble::default());
        assert_eq!(&*guilty.meet(2, &mut rng).guilty[0].address, "bo@a.org");
    }

    #[test]
    fn several_faults_meet_in_one_import() {
        let all = faults("slow=1s, 500@2, 503@2+, max-rows=3, truncated, reject=a@b.org, reject=c@d.org");
        let met = all.meet(2, &mut fastrand::Rng::with_seed(1));
        assert_eq!(met.instead, Some(Instead::Status(StatusCode::INTERNAL_SERVER_ERROR)));
        assert_eq!(met.guilty.len(), 2);
        assert_eq!((met.max_rows, met.delay), (Some(3), Some(Duration::from_secs(1))));
        assert_eq!(met.spoil, Some(Spoil::Truncated));
    }

    #[test]
    fn a_share_is_near_its_size_and_the_same_for_one_seed() {
        let quarter = faults("500@25%");
        let struck = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            (1..=10_000).filter(|nth| quarter.meet(*nth, &mut rng).instead.is_some()).collect::<Vec<_>>()
        };
        assert!((2_300..2_700).contains(&struck(7).len()), "{}", struck(7).len());
        assert_eq!(struck(7), struck(7));
        assert_ne!(struck(7), struck(8));
        assert_eq!(meet("500@0%", 1), None);
        assert!(meet("500@100%", 1).is_some());
    }

    #[test]
    fn an_error_names_the_part_and_what_is_known() {
        for bad in [
            "boom",
            "200",
            "600",
            "500@0",
            "500@x",
            "500@101%",
            "500@nan%",
            "slow=soon",
            "slow=-1s",
            "max-rows",
            "max-rows=-1",
            "reject",
            "reject=bo",
            "reject=bo@a.org@soon",
            "html=1",
        ] {
            let error = format!("503@1, {bad}").parse::<Faults>().expect_err(bad).to_string();
            assert!(error.starts_with(&format!("`{bad}` is not a fault: ")), "{error}");
            assert!(error.contains("`reset-after`") && error.contains("`@N+`"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_fall_over(text in "[a-z0-9@=%+,. -]{0,40}") {
            let _ = text.parse::<Faults>();
        }

        #[test]
        fn a_number_strikes_exactly_once(nth in 1..1_000_u64) {
            let fault = faults(&format!("reset@{nth}"));
            let mut rng = fastrand::Rng::with_seed(nth);
            let struck = (1..=1_000).filter(|at| fault.meet(*at, &mut rng).instead.is_some()).collect::<Vec<_>>();
            prop_assert_eq!(struck, vec![nth]);
        }
    }
}
