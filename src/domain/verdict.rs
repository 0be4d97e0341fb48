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
    /// The key does not reach the calendar that it is to act on.
    Calendar,
    /// The calendar may be given no more people by import.
    ImportLimit,
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
            Self::Key | Self::Plan | Self::Calendar | Self::ImportLimit | Self::Route => true,
            Self::Tags | Self::Unknown => false,
        }
    }

    /// What to do about it, for people.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Key => "check the account's `api_key`: the key is unknown to Luma or was revoked",
            Self::Plan => {
                "the account or its plan does not allow imports by API: see the account's settings at Luma"
            }
            Self::Calendar => {
                "check the account's `calendar_id`: the key does not reach that calendar, or names none"
            }
            Self::ImportLimit => {
                "Luma takes only so many new people by import for each calendar, and this one has had them: ask Luma for \
                 a higher limit in the calendar's People tab; everybody else waits here and is not lost"
            }
            Self::Route => {
                "check the account's `base_url` and `dialect`: this server does not know the route"
            }
            Self::Tags => {
                "check the account's tag ids, in `[tags]` or `[accounts.NAME.tags]`, and those in the rows: Luma refuses them"
            }
            Self::Unknown => {
                "see Luma's answer; once the run is retried, rows that are still refused are rejected one by one"
            }
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
            400..=407 | 409..=412 | 422 if speaks_of_an_import_limit(&message) => halted(Cause::ImportLimit),
            403 | 404 if speaks_of_a_calendar(&message) => halted(Cause::Calendar),
            402 | 403 => halted(Cause::Plan),
            300..=399 | 404 | 405 | 410 | 415 | 426 => halted(Cause::Route),
            408 | 425 | 500..=599 => {
                Self::Transient { reason: format!("{status}: {message}"), retry_after, unreached: false }
            }
            413 => Self::TooLarge { message },
            429 => Self::Throttled { retry_after },
            _ if speaks_of_key(&message) => halted(Cause::Key),
            _ if speaks_of_a_plan(&message) => halted(Cause::Plan),
            _ if speaks_of_a_calendar(&message) => halted(Cause::Calendar),
            _ if speaks_of_tags(&message) => halted(Cause::Tags),
            _ if speaks_of_too_many(&message) => Self::TooLarge { message },
            _ => Self::Refused { message },
        }
    }
}

/// The words of a message that is about no row and no field: nobody's address, and no list of faults.
fn words_of_all(message: &str) -> Option<Vec<String>> {
    let lower = message.to_lowercase();
    let is_of_all = !lower.contains('@') && !lower.contains("invalid request");
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    is_of_all.then(|| words.map(str::to_owned).collect())
}

fn names_one(words: &[String], wanted: &[&str]) -> bool {
    words.iter().any(|word| wanted.contains(&word.as_str()))
}

pub(super) fn speaks_of_key(message: &str) -> bool {
    message.to_ascii_lowercase().contains("api key")
}

/// `This feature requires Luma Plus.`, `Your subscription has ended.`
pub(super) fn speaks_of_a_plan(message: &str) -> bool {
    let lower = message.to_lowercase();
    let is_named =
        ["luma plus", "your plan", "current plan", "paid plan"].iter().any(|name| lower.contains(name));
    words_of_all(message)
        .is_some_and(|words| is_named || names_one(&words, &["subscription", "upgrade", "billing"]))
}

/// `You don't have access to this calendar.`, `Please provide a calendar id.`
pub(super) fn speaks_of_a_calendar(message: &str) -> bool {
    let about = ["access", "provide", "specify", "required", "missing", "found", "unknown"];
    words_of_all(message).is_some_and(|words| {
        names_one(&words, &["calendar", "calendar_id"])
            && names_one(&words, &about)
            && !speaks_of_an_import_limit(message)
    })
}

/// Whether a message speaks of how many people there may be; of how many in one request, or at all.
fn speaks_of_a_limit(message: &str, in_a_request: bool) -> bool {
    let what =
        ["import", "imports", "imported", "importing", "invite", "invites", "contacts", "people", "members"];
    words_of_all(message).is_some_and(|words| {
        names_one(&words, &["limit", "limited", "quota", "allowance"])
            && names_one(&words, &what)
            && names_one(&words, &["request", "requests", "batch", "call"]) == in_a_request
    })
}

/// `You have reached the import limit for this calendar.`
fn speaks_of_an_import_limit(message: &str) -> bool {
    speaks_of_a_limit(message, false)
}

/// `contacts: Too big: expected array to have <=1000 items`, `a request is limited to 500 contacts`.
fn speaks_of_too_many(message: &str) -> bool {
    let lower = message.to_lowercase();
    let of_the_list = ["contacts: too big", "emails: too big", "infos: too big"];
    of_the_list.iter().any(|said| lower.contains(said)) || speaks_of_a_limit(message, true)
}

/// A refusal that names tags and no address is not about rows.
fn speaks_of_tags(message: &str) -> bool {
    let is_tag = |word: &str| matches!(word, "tag" | "tags") || word.starts_with("member_tag_api_ids");
    !message.contains('@')
        && message.to_ascii_lowercase().split(|c: char| !c.is_alphanumeric() && c != '_').any(is_tag)
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
    fn what_no_row_is_to_blame_for_is_told_by_its_cause() {
        let cause = |status, message: &str| match Verdict::of_failure(status, message.into(), None) {
            Verdict::Halted { cause, .. } => Some(cause),
            _ => None,
        };
        for (status, message, wanted) in [
            (400, "Please provide an API key.", Some(Cause::Key)),
            (401, "You are not signed in.", Some(Cause::Key)),
            (403, "You don't have access to this calendar.", Some(Cause::Calendar)),
            (400, "Please provide a calendar id.", Some(Cause::Calendar)),
            (404, "Calendar not found.", Some(Cause::Calendar)),
            (404, "Not found.", Some(Cause::Route)),
            (403, "no", Some(Cause::Plan)),
            (400, "The API is only available with Luma Plus.", Some(Cause::Plan)),
            (402, "Your subscription has ended.", Some(Cause::Plan)),
            (400, "You have reached the import limit for this calendar.", Some(Cause::ImportLimit)),
            (403, "You can add 500 more people; this import is above your limit.", Some(Cause::ImportLimit)),
            (400, "Tag not found.", Some(Cause::Tags)),
            (400, "Invalid request. - contacts[1].email: Invalid input", None),
            (400, "plus@example.org is above the limit of this import", None),
            (400, "Invalid request.", None),
        ] {
            assert_eq!(cause(status, message), wanted, "{status} {message}");
        }
        assert!([Cause::Calendar, Cause::ImportLimit].iter().all(|cause| cause.is_configuration()));
        let many = "Invalid request. - contacts: Too big: expected array to have <=1000 items";
        assert_eq!(of(400, many), "too_large");
        assert_eq!(of(400, "A request is limited to 500 contacts."), "too_large");
    }
}
