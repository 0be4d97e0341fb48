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
            Self::Key => "check the account's `api_key`: the key is unknown to Luma or was revoked",
            Self::Plan => {
                "the account or its plan does not allow imports by API: see the account's settings at Luma"
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
}
