//! Taking people in, whichever dialect brings them: who is kept, and who vanishes without a word.
//!
//! Rows are dropped because no address is in them, lost by a fault, or left out because their people were
//! sent away or are too many. Knows nothing of how a request is written.

use std::collections::HashSet;

use super::Malformed;
use super::answer::Answer;
use super::audience::{Added, Presence, SetId, lower_case};
use super::fault::Trouble;
use super::state::{Calendar, Rules};
use super::v1::{Away, EmailCase, OverLimit};

/// Somebody to take in.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) address: &'a str,
    pub(super) name: Option<&'a str>,
}

/// What becomes of an address before it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    /// It is none.
    Dropped,
    /// A fault swallows it.
    Lost,
}

/// Takes people in with these tags, or refuses all of them; returns those who were sent away and stay so.
pub(super) fn take_in<'a>(
    arrivals: &[Arrival<'a>],
    tags: impl Iterator<Item = impl AsRef<str>>,
    calendar: &mut Calendar<'_>,
    rules: &Rules,
    trouble: &Trouble<'_>,
) -> Result<Vec<&'a str>, Answer> {
    let mut room = room(arrivals, calendar, rules, trouble)?;
    let tags = calendar.audience.tag_set(tags);
    let mut left_out = Vec::new();
    for arrival in arrivals {
        match fate(arrival.address, rules, trouble) {
            Fate::Dropped => calendar.counts.dropped += 1,
            Fate::Lost => calendar.counts.lost += 1,
            Fate::Kept => {
                if !admit(*arrival, tags, calendar, rules, &mut room) {
                    left_out.push(arrival.address);
                }
            }
        }
    }
    calendar.counts.imports += 1;
    calendar.counts.rows_received += arrivals.len() as u64;
    Ok(left_out)
}

/// Adds somebody, where there is room for one more; false where they were sent away and stay so.
fn admit(
    arrival: Arrival<'_>,
    tags: SetId,
    calendar: &mut Calendar<'_>,
    rules: &Rules,
    room: &mut Option<usize>,
) -> bool {
    let Calendar { audience, users, counts, now, .. } = calendar;
    let address = lower_case(arrival.address);
    let known = audience.find(&address);
    if known.is_none() && *room == Some(0) {
        counts.over_limit += 1;
        return true;
    }
    if let Some(person) = known.filter(|_| rules.settings.away == Away::Return)
        && audience.person(person).presence == Presence::Removed
    {
        audience.set_presence(person, Presence::Here);
    }
    let added = audience.add(&address, tags, *now);
    if added == Added::Away {
        counts.away += 1;
        return false;
    }
    if rules.settings.email_case == EmailCase::Kept {
        users.spell_first(&address, arrival.address);
    }
    let is_named = users.name_first(&address, arrival.name);
    counts.repeats += u64::from(added == Added::Repeat && !is_named);
    if added == Added::New {
        *room = room.map(|room| room.saturating_sub(1));
    }
    true
}

fn fate(address: &str, rules: &Rules, trouble: &Trouble<'_>) -> Fate {
    if rules.malformed != Malformed::Accept && !is_well_formed(address) {
        Fate::Dropped
    } else if trouble.loses(address, rules.seed) {
        Fate::Lost
    } else {
        Fate::Kept
    }
}

/// How many new people may come in; a refusal where they are more and none may then.
fn room(
    arrivals: &[Arrival<'_>],
    calendar: &Calendar<'_>,
    rules: &Rules,
    trouble: &Trouble<'_>,
) -> Result<Option<usize>, Answer> {
    let Some(most) = rules.settings.import_limit else { return Ok(None) };
    let room = most.saturating_sub(calendar.audience.imported());
    if rules.settings.over_limit == OverLimit::AllOrNothing {
        let is_new = |address: &&str| {
            fate(address, rules, trouble) == Fate::Kept && calendar.audience.find(address).is_none()
        };
        let addresses = arrivals.iter().map(|arrival| arrival.address);
        let new: HashSet<_> = addresses.filter(is_new).map(lower_case).collect();
        if new.len() > room {
            let told = "You have reached the import limit of this calendar.";
            return Err(Answer::message(rules.settings.import_limit_status, told));
        }
    }
    Ok(Some(room))
}

/// What every service would take for an address: one `@`, and a domain of at least two parts.
pub(super) fn is_well_formed(address: &str) -> bool {
    let Some((local, domain)) = address.split_once('@') else { return false };
    let odd = |letter: char| letter == '@' || letter.is_whitespace() || letter.is_control();
    !local.is_empty()
        && !local.contains(odd)
        && !domain.contains(odd)
        && domain.contains('.')
        && domain.split('.').all(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_nobody_could_reach_are_told_apart() {
        for good in ["a@b.org", "ana+tag@example.co.uk", "éva@bücher.example"] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in [
            "",
            "ana",
            "@b.org",
            "ana@",
            "ana@b",
            "ana@.org",
            "ana@b..org",
            "a b@c.org",
            "a@b@c.org",
            "a@b.org ",
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
