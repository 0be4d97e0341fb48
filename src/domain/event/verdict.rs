//! What one answer to the creation of an event means. Unlike an import it cannot be repeated: what
//! leaves its effect in doubt is `Ambiguous`, and nothing else is.

use std::fmt;
use std::time::Duration;

use crate::domain::verdict::Cause;

/// Luma's id of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiId(String);

impl ApiId {
    /// An id of this text; `None` where it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = !text.is_empty()
            && text.len() <= 200
            && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>' | ','));
        is_id.then(|| Self(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No connection was made: not a byte of the request has left.
    Unreached {
        /// What was seen.
        reason: String,
    },
    /// A connection was made, and no whole answer came.
    None {
        /// What was seen.
        reason: String,
    },
    /// A status arrived.
    Status {
        /// Which.
        status: u16,
        /// Whether the body arrived whole and is a JSON object, as all of Luma's are.
        is_lumas: bool,
        /// The id in it, if it has one.
        api_id: Option<ApiId>,
        /// What it says.
        message: String,
        /// How long to wait, if it says.
        retry_after: Option<Duration>,
    },
}

/// What an answer to the creation of an event means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventVerdict {
    /// The event exists.
    Created {
        /// Its id.
        api_id: ApiId,
    },
    /// Luma does not want it, and has not created it.
    Refused {
        /// What it said.
        message: String,
    },
    /// Too many requests: not created, and nobody may send before the wait is over.
    Throttled {
        /// How long, if Luma said.
        retry_after: Option<Duration>,
    },
    /// Nobody was asked: not created.
    Unreached {
        /// What was seen.
        reason: String,
    },
    /// Put off by Luma in its own words: not created, and it may be asked for again.
    PutOff {
        /// What it said.
        reason: String,
        /// The shortest wait it asked for, if any.
        retry_after: Option<Duration>,
    },
    /// A refusal that is not about this event: not created, and more requests would meet the same.
    Halted {
        /// What kind.
        cause: Cause,
        /// What it said.
        reason: String,
    },
    /// The request left, and nothing says whether the event exists.
    Ambiguous {
        /// What was seen.
        reason: String,
    },
}

impl EventVerdict {
    /// The verdict on what came over the wire.
    #[must_use]
    pub fn of(answer: Answer) -> Self {
        let Answer::Status { status, is_lumas, api_id, message, retry_after } = answer else {
            return match answer {
                Answer::Unreached { reason } => Self::Unreached { reason },
                Answer::None { reason } | Answer::Status { message: reason, .. } => {
                    Self::Ambiguous { reason }
                }
            };
        };
        let reason = format!("{status}: {message}");
        let halted = |cause| Self::Halted { cause, reason: reason.clone() };
        match (status, api_id) {
            (200..=299, Some(api_id)) if is_lumas => Self::Created { api_id },
            (401, _) => halted(Cause::Key),
            // Luma's own words are about this event: a community that is not there, or is somebody else's.
            (404 | 410, _) if is_lumas => Self::Refused { message },
            (403, _) if is_lumas && !speaks_of_plan(&message) => Self::Refused { message },
            (402 | 403, _) => halted(Cause::Plan),
            // Said before anything is done, by whoever says it. Not so 302 and 303, which may follow a success.
            (301 | 307 | 308 | 404 | 405 | 410 | 415 | 426, _) => halted(Cause::Route),
            (429, _) => Self::Throttled { retry_after },
            (425, _) if is_lumas => Self::PutOff { reason, retry_after },
            // A request that took too long may have been carried out all the same.
            (408, _) => Self::Ambiguous { reason },
            (400, _) if is_lumas && speaks_of_key(&message) => halted(Cause::Key),
            (400..=499, _) if is_lumas => Self::Refused { message },
            _ => Self::Ambiguous { reason },
        }
    }

    /// The stored name of the verdict.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Created { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::Throttled { .. } => "throttled",
            Self::Unreached { .. } | Self::PutOff { .. } => "transient",
            Self::Halted { .. } => "halted",
            Self::Ambiguous { .. } => "ambiguous",
        }
    }

    /// What was said or seen, for people.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Created { api_id } => Some(api_id.as_str()),
            Self::Refused { message } => Some(message),
            Self::Unreached { reason }
            | Self::PutOff { reason, .. }
            | Self::Halted { reason, .. }
            | Self::Ambiguous { reason } => Some(reason),
            Self::Throttled { .. } => None,
        }
    }
}

fn speaks_of_key(message: &str) -> bool {
    message.to_ascii_lowercase().contains("api key")
}

/// Of what every event would meet alike.
fn speaks_of_plan(message: &str) -> bool {
    let words =
        ["plan", "plus", "subscription", "upgrade", "billing", "payment", "trial", "suspended", "disabled"];
    let lower = message.to_ascii_lowercase();
    speaks_of_key(message) || lower.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, is_lumas: bool, api_id: Option<&str>) -> EventVerdict {
        let message = "said".to_owned();
        let api_id = api_id.map(|id| ApiId::parse(id).expect("an id"));
        EventVerdict::of(Answer::Status { status, is_lumas, api_id, message, retry_after: None })
    }

    #[test]
    fn only_lumas_own_word_with_an_id_is_a_creation() {
        let api_id = ApiId::parse("evt-1").expect("an id");
        assert_eq!(of(200, true, Some("evt-1")), EventVerdict::Created { api_id });
        for verdict in [of(200, true, None), of(200, false, None), of(204, false, None)] {
            assert_eq!(verdict.as_str(), "ambiguous");
        }
    }

    #[test]
    fn only_what_is_surely_not_done_may_be_asked_for_again() {
        for status in 100..=999 {
            for is_lumas in [true, false] {
                let verdict = of(status, is_lumas, None);
                let surely_not_done = !matches!(verdict, EventVerdict::Ambiguous { .. });
                let is_refusal = (400..=499).contains(&status) && status != 408;
                let is_elsewhere = matches!(status, 301 | 307 | 308);
                assert!(!surely_not_done || is_refusal || is_elsewhere, "{status} {is_lumas}: {verdict:?}");
                assert!(surely_not_done || !is_refusal || !is_lumas, "{status} is a refusal in Luma's words");
            }
        }
    }

    #[test]
    fn phases_decide_where_there_is_no_status() {
        let reason = || "seen".to_owned();
        assert_eq!(EventVerdict::of(Answer::Unreached { reason: reason() }).as_str(), "transient");
        assert_eq!(EventVerdict::of(Answer::None { reason: reason() }).as_str(), "ambiguous");
        for (status, name) in [
            (400, "refused"),
            (401, "halted"),
            (402, "halted"),
            (403, "refused"),
            (404, "refused"),
            (425, "transient"),
            (429, "throttled"),
        ] {
            assert_eq!(of(status, true, None).as_str(), name, "{status}");
        }
        for status in [302, 303, 408, 500, 502, 503, 504] {
            assert_eq!(of(status, true, Some("evt-1")).as_str(), "ambiguous", "{status}");
        }
        assert_eq!(of(400, false, None).as_str(), "ambiguous");
        assert_eq!(of(404, false, None).as_str(), "halted", "whoever says that is not Luma");
    }

    #[test]
    fn ids_are_plain() {
        assert!(ApiId::parse("evt-AbC123").is_some());
        for text in ["", "a b", "<b>", "\u{e9}vt", "a,b"] {
            assert!(ApiId::parse(text).is_none(), "{text}");
        }
    }
}
