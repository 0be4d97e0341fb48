//! What one answer means for the rows that were in the request.
//!
//! Knows status codes and texts, not how they were received.

use std::time::Duration;

/// What an answer to an import means. An import may be repeated: whatever leaves its effect in
/// doubt is `Transient`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Luma took every row of the request.
    Accepted,
    /// Luma refused the request because of something in it.
    Refused {
        /// What it said.
        message: String,
    },
    /// The body was larger than Luma takes.
    TooLarge {
        /// What it said.
        message: String,
    },
    /// Too many requests: nobody may send before the wait is over.
    Throttled {
        /// How long, if Luma said.
        retry_after: Option<Duration>,
    },
    /// A passing fault: the same request may do later.
    Transient {
        /// What was seen.
        reason: String,
        /// The shortest wait Luma asked for, if any.
        retry_after: Option<Duration>,
        /// Whether there was nobody to ask: the rows were not tried at all.
        unreached: bool,
    },
    /// A refusal that is not about rows: more requests would meet the same.
    Halted {
        /// What kind.
        cause: Cause,
        /// What it said.
        reason: String,
    },
    /// The request was given up before its answer, because the service stops.
    Interrupted,
}

/// Why sending stops for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The key is unknown or revoked.
    Key,
    /// The plan or the account does not allow it.
    Plan,
    /// The address of the API is wrong.
    Route,
    /// The tags of the request, which a refusal of every row points to.
    Tags,
    /// Something in every request, not further known.
    Unknown,
}

impl Cause {
    /// Whether a person must change the configuration before anything can be sent.
    #[must_use]
    pub const fn is_configuration(self) -> bool {
        match self {
            Self::Key | Self::Plan | Self::Route => true,
            Self::Tags | Self::Unknown => false,
        }
    }

    /// What to do about it, for people.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Key => "check `luma.api_key`: the key is unknown to Luma or was revoked",
            Self::Plan => {
                "the account or its plan does not allow imports by API: see the account's settings at Luma"
            }
            Self::Route => "check `luma.base_url` and `luma.dialect`: this server does not know the route",
            Self::Tags => "check the tag ids in `[tags]` and in the rows: Luma refuses them",
            Self::Unknown => "Luma refuses every row alike, so the rows are not to blame: see its answer",
        }
    }
}

impl Verdict {
    /// The stored name of the verdict.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused { .. } => "refused",
            Self::TooLarge { .. } => "too_large",
            Self::Throttled { .. } => "throttled",
            Self::Transient { .. } => "transient",
            Self::Halted { .. } => "halted",
            Self::Interrupted => "interrupted",
        }
    }

    /// What was said or seen, for people.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Refused { message } | Self::TooLarge { message } => Some(message),
            Self::Transient { reason, .. } | Self::Halted { reason, .. } => Some(reason),
            Self::Accepted | Self::Throttled { .. } | Self::Interrupted => None,
        }
    }

    /// The verdict on an answer that is not a success. `message` is what the body said.
    #[must_use]
    pub fn of_failure(status: u16, message: String, retry_after: Option<Duration>) -> Self {
        let halted = |cause| Self::Halted { cause, reason: format!("{status}: {message}") };
        match status {
            401 => halted(Cause::Key),
            400..=407 if speaks_of_tags(&message) => halted(Cause::Tags),
            402 | 403 => halted(Cause::Plan),
            300..=399 | 404 | 405 | 410 | 415 | 426 => halted(Cause::Route),
            408 | 425 | 500..=599 => {
                Self::Transient { reason: format!("{status}: {message}"), retry_after, unreached: false }
            }
            413 => Self::TooLarge { message },
            429 => Self::Throttled { retry_after },
            _ if speaks_of_key(&message) => halted(Cause::Key),
            _ if speaks_of_tags(&message) => halted(Cause::Tags),
            _ => Self::Refused { message },
        }
    }
}

fn speaks_of_key(message: &str) -> bool {
    message.to_ascii_lowercase().contains("api key")
}

/// A refusal that names tags and no address is not about rows.
fn speaks_of_tags(message: &str) -> bool {
    let is_tag = |word: &str| matches!(word, "tag" | "tags") || word.starts_with("member_tag_api_ids");
    !message.contains('@')
        && message.to_ascii_lowercase().split(|c: char| !c.is_alphanumeric() && c != '_').any(is_tag)
}

/// What has become of the requests of one run that carried one tag set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Requests that were accepted.
    pub delivered: u64,
    /// Rows that were refused when they stood alone, since the last acceptance.
    pub refused_alone: u64,
}

impl Evidence {
    /// So many rows refused alone, one after the other, make the rows an unlikely cause: few where
    /// nothing was ever accepted, more where something was.
    const fn is_suspicious(self, more: u64) -> bool {
        self.refused_alone + more >= if self.delivered == 0 { 3 } else { 8 }
    }
}

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
    /// Rows are not the cause.
    Halt,
}

/// Decides what a refusal of these addresses means, given what became of the run's other requests.
#[must_use]
pub fn after_refusal(message: &str, addresses: &[&str], evidence: Evidence) -> AfterRefusal {
    let named = named_rows(message, addresses);
    if !named.is_empty() && named.len() < addresses.len() {
        AfterRefusal::RejectNamed(named)
    } else if addresses.len() <= 1 {
        AfterRefusal::RejectOnly { probe: evidence.is_suspicious(1) }
    } else if evidence.is_suspicious(0) {
        AfterRefusal::Halt
    } else {
        AfterRefusal::Halve
    }
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
    let is_part = |c: char| c.is_alphanumeric() || "@._%+-".contains(c);
    text.match_indices(word).any(|(start, found)| {
        let before = text[..start].chars().next_back();
        let mut after = text[start + found.len()..].chars();
        let next = after.next();
        // A full stop may end the sentence instead of going on with the address.
        let goes_on = match next {
            Some('.') => after.next().is_some_and(char::is_alphanumeric),
            Some(c) => is_part(c),
            None => false,
        };
        !before.is_some_and(is_part) && !goes_on
    })
}

fn named_places(lower: &str) -> Vec<usize> {
    let starts = ["emails[", "emails.", "contacts[", "contacts.", "infos[", "infos."];
    starts
        .iter()
        .flat_map(|start| lower.match_indices(start).map(|(at, found)| &lower[at + found.len()..]))
        .filter_map(|rest| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest[..digits].parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, message: &str) -> &'static str {
        Verdict::of_failure(status, message.into(), None).as_str()
    }

    #[test]
    fn every_failure_status_has_a_verdict() {
        assert_eq!(of(400, "Invalid request."), "refused");
        assert_eq!(of(422, "no"), "refused");
        assert_eq!(of(409, "no"), "refused");
        assert_eq!(of(413, "big"), "too_large");
        assert_eq!(of(429, ""), "throttled");
        for status in [401, 402, 403, 404, 405, 301, 302, 307, 308] {
            assert_eq!(of(status, "x"), "halted", "{status}");
        }
        for status in [408, 425, 500, 502, 503, 504, 599] {
            assert_eq!(of(status, "x"), "transient", "{status}");
        }
    }

    #[test]
    fn a_refusal_that_speaks_of_tags_or_the_key_is_not_about_rows() {
        assert_eq!(of(400, "Tag not found."), "halted");
        assert_eq!(of(400, "Invalid request.\n- member_tag_api_ids[0]: Invalid"), "halted");
        assert_eq!(of(400, "Please provide an API key."), "halted");
        assert_eq!(of(400, "tag@example.org is not valid"), "refused");
        assert_eq!(of(400, "the stage is not set"), "refused");
    }

    #[test]
    fn named_rows_are_taken_out_and_others_halved() {
        let rows = ["ana@example.org", "bo@example.org", "cleo@example.org"];
        let none = Evidence::default();
        let named = |message| after_refusal(message, &rows, none);
        assert_eq!(named("Bo@Example.org is invalid."), AfterRefusal::RejectNamed(vec![1]));
        assert_eq!(named("bad: bo@example.org."), AfterRefusal::RejectNamed(vec![1]));
        assert_eq!(named("emails[2]: Invalid email"), AfterRefusal::RejectNamed(vec![2]));
        assert_eq!(named("contacts.0.email: Invalid"), AfterRefusal::RejectNamed(vec![0]));
        assert_eq!(named("Invalid request."), AfterRefusal::Halve);
        assert_eq!(named("jimbo@example.org is invalid"), AfterRefusal::Halve);
        assert_eq!(named("bo@example.org.uk is invalid"), AfterRefusal::Halve);
        assert_eq!(after_refusal("no", &rows[..1], none), AfterRefusal::RejectOnly { probe: false });
    }

    #[test]
    fn refusals_of_everything_halt_and_refusals_of_some_rows_do_not() {
        let rows = ["ana@example.org", "bo@example.org"];
        let after = |delivered, refused_alone, rows: &[&str]| {
            after_refusal("no", rows, Evidence { delivered, refused_alone })
        };
        assert_eq!(after(0, 2, &rows[..1]), AfterRefusal::RejectOnly { probe: true });
        assert_eq!(after(0, 3, &rows), AfterRefusal::Halt);
        assert_eq!(after(1, 3, &rows), AfterRefusal::Halve);
        assert_eq!(after(1, 8, &rows), AfterRefusal::Halt);
        assert_eq!(after(1, 7, &rows[..1]), AfterRefusal::RejectOnly { probe: true });
        assert_eq!(after(1, 6, &rows[..1]), AfterRefusal::RejectOnly { probe: false });
    }
}
