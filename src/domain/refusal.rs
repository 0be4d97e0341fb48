//! What a refusal means that Luma gives no clear reason for: bad rows, or a bad request?
//!
//! Knows what was said, to whom, and what became of the run's other requests; not how they were sent.

/// What has become of a run's requests, of all of them or of those that carried one tag set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Whether anything was accepted.
    pub accepted: bool,
    /// Rows refused when they stood alone, since the last acceptance.
    pub refused_alone: u64,
}

/// Whom to ask for again: somebody who was accepted in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// With the tags of the refused request: proves key, plan, route and these tags.
    SameTags,
    /// With their own tags, where nobody was accepted with these: proves key, plan and route.
    OtherTags,
}

/// What Luma said when it was asked again for somebody it had accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// It was not asked.
    #[default]
    None,
    /// It accepts them still.
    Accepted,
    /// It refuses them now.
    Refused,
}

/// What is known of a run when one of its requests is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Of the requests with the same tags.
    pub same_tags: Tally,
    /// Of all requests.
    pub in_run: Tally,
    /// A person has let the run go on after it was halted by refusals.
    pub is_insisted: bool,
    /// The run was halted while this request was under way.
    pub is_halted: bool,
    /// What came of asking again.
    pub control: Answer,
}

/// So many rows refused alone, one after the other, call for a control, or for a look elsewhere.
pub const FEW_ALONE: u64 = 8;
/// So many rows refused alone where nothing was accepted yet make the rows an unlikely cause.
pub const MANY_ALONE: u64 = 16;

/// What follows from a refusal that is not known to be about something else than rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterRefusal {
    /// Take these rows out, by their places, and send the rest again.
    RejectNamed(Vec<usize>),
    /// The row stands alone: it is guilty.
    RejectOnly {
        /// Whether the largest other batch should go next, to tell bad rows from a bad request.
        probe: bool,
    },
    /// Halve, and try both halves.
    Halve,
    /// Rows are not the cause, as far as can be told: why.
    Halt(String),
    /// The run is halted already: the rows wait.
    Wait,
}

/// Whether a refusal calls for a control: an acceptance proves that everything but the rows was good
/// then, so the same again tells bad rows from something that broke since. Exact, for one request.
#[must_use]
pub fn doubt(message: &str, addresses: &[&str], evidence: Evidence) -> Option<Control> {
    let Evidence { same_tags, in_run, is_halted, .. } = evidence;
    let alone = count_of(addresses);
    if is_halted || !in_run.accepted || is_about_rows(message, addresses) {
        None
    } else if same_tags.accepted {
        let refused = same_tags.refused_alone.max(in_run.refused_alone) + alone;
        (refused >= FEW_ALONE).then_some(Control::SameTags)
    } else {
        (in_run.refused_alone + alone >= FEW_ALONE).then_some(Control::OtherTags)
    }
}

/// Decides what a refusal of these addresses means, given what became of the run's other requests.
#[must_use]
pub fn after_refusal(message: &str, addresses: &[&str], evidence: Evidence) -> AfterRefusal {
    if evidence.is_halted {
        return AfterRefusal::Wait;
    }
    let named = named_rows(message, addresses);
    if !named.is_empty() && named.len() < addresses.len() {
        return AfterRefusal::RejectNamed(named);
    }
    if !is_about_rows(message, addresses)
        && let Some(why) = halts(addresses, evidence)
    {
        return AfterRefusal::Halt(why);
    }
    if addresses.len() <= 1 {
        let Tally { accepted, refused_alone } = evidence.same_tags;
        AfterRefusal::RejectOnly { probe: !accepted && refused_alone + 1 == FEW_ALONE }
    } else {
        AfterRefusal::Halve
    }
}

/// Why the run is to be halted, if it is. A person who insists has said that the rows are to blame.
fn halts(addresses: &[&str], evidence: Evidence) -> Option<String> {
    if evidence.control == Answer::Refused {
        return Some("a row that was accepted earlier in this run is refused now".to_owned());
    }
    let alone = count_of(addresses);
    [(evidence.same_tags, "with these tags"), (evidence.in_run, "in this run")]
        .into_iter()
        .map(|(tally, whose)| (tally.accepted, tally.refused_alone + alone, whose))
        .find(|(accepted, refused, _)| !evidence.is_insisted && !accepted && *refused >= MANY_ALONE)
        .map(|(_, refused, whose)| format!("{refused} rows refused one by one, none accepted {whose}"))
}

fn count_of(addresses: &[&str]) -> u64 {
    u64::from(addresses.len() <= 1)
}

/// Whether the answer itself blames rows: it names one of them, or calls an address bad.
fn is_about_rows(message: &str, addresses: &[&str]) -> bool {
    calls_an_address_bad(message) || !named_rows(message, addresses).is_empty()
}

/// `Invalid email`, `not a valid address`; not the address of the account, nor the shape of a body.
fn calls_an_address_bad(message: &str) -> bool {
    let lower = message.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
    let is_bad = has(&["invalid", "malformed", "undeliverable"]) || (has(&["not", "isn"]) && has(&["valid"]));
    let is_of_the_request =
        ["your", "account", "plan", "user", "sender", "array", "expected", "required", "request"];
    is_bad && has(&["email", "mail", "address"]) && !has(&is_of_the_request)
}

/// The rows a message names: by address, or by place as in `emails[3]` or `contacts.3.email`.
fn named_rows(message: &str, addresses: &[&str]) -> Vec<usize> {
    let lower = message.to_lowercase();
    let names_address = lower.contains('@');
    let places = named_places(&lower);
    addresses
        .iter()
        .enumerate()
        .filter(|(place, address)| {
            places.contains(place) || (names_address && names_word(&lower, &address.to_lowercase()))
        })
        .map(|(place, _)| place)
        .collect()
}

/// Whether `word` stands in `text` as a whole address, not as the tail or head of a longer one.
fn names_word(text: &str, word: &str) -> bool {
    // Where an answer was cut off, the address goes on.
    let is_part = |c: char| c.is_alphanumeric() || "@._%+-…".contains(c);
    text.match_indices(word).any(|(start, found)| {
        let before = text[..start].chars().next_back();
        let mut after = text[start + found.len()..].chars();
        let next = after.next();
        // A full stop may end the sentence instead of going on with the address.
        let goes_on = match next {
            Some('.') => after.next().is_some_and(|c| c.is_alphanumeric() || c == '…'),
            Some(c) => is_part(c),
            None => false,
        };
        !before.is_some_and(is_part) && !goes_on
    })
}

/// `contacts[3].email` or `contacts.3.email`; a number that an answer's cut end may have shortened is none.
fn named_places(lower: &str) -> Vec<usize> {
    let starts =
        ["emails", "contacts", "infos"].map(|name| [(format!("{name}["), ']'), (format!("{name}."), '.')]);
    let place = |rest: &str, end: char| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let next = rest[digits..].chars().next();
        let is_whole = if end == ']' { next == Some(']') } else { next != Some('…') };
        rest[..digits].parse().ok().filter(|_| is_whole)
    };
    let starts = starts.as_flattened().iter();
    starts
        .flat_map(|(start, end)| {
            lower
                .match_indices(start.as_str())
                .filter_map(|(at, found)| place(&lower[at + found.len()..], *end))
        })
        .collect()
}

#[cfg(test)]
mod tests;
