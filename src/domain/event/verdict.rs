//! What one answer to the creation of an event means. Unlike an import it cannot be repeated: what
//! leaves its effect in doubt is `Ambiguous`, and nothing else is.

use std::fmt;
use std::time::Duration;

use crate::domain::verdict::{Cause, speaks_of_a_calendar, speaks_of_a_plan};

/// Luma's id of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiId(String);

impl ApiId {
    /// How Luma's ids of events begin.
    pub const PREFIX: &str = "evt-";

    /// An id of this text; `None` where it cannot be one, or is that of something else at Luma.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let others = ["usr-", "gst-", "cal-", "calev-", "tkt-", "ttype-", "tord-", "coup-", "tag-", "com-"];
        let is_id = !text.is_empty()
            && text != Self::PREFIX
            && !others.iter().any(|prefix| text.starts_with(prefix))
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
        /// The same without what it quotes of the event, whose words are not Luma's.
        own_words: String,
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
    /// Its address is that of another event: not created by this request, but perhaps by an earlier one.
    Taken {
        /// What Luma said.
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
        let Answer::Status { status, is_lumas, api_id, message, own_words, retry_after } = answer else {
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
            (429, _) => Self::Throttled { retry_after },
            // Said before anything is done, by whoever says it. Not so 302 and 303, which may follow a success.
            (301 | 307 | 308, _) => Self::PutOff { reason, retry_after },
            // A request that took too long may have been carried out all the same.
            (408, _) => Self::Ambiguous { reason },
            (425, _) if is_lumas => Self::PutOff { reason, retry_after },
            (401, _) if is_lumas => halted(Cause::Key),
            (402, _) if is_lumas => halted(Cause::Plan),
            (400, _) if is_lumas && speaks_of_key(&own_words) => halted(Cause::Key),
            (400 | 403 | 404, _) if is_lumas && speaks_of_a_calendar(&own_words) => halted(Cause::Calendar),
            (403, _) if is_lumas && is_about_the_account(&own_words) => halted(Cause::Plan),
            (400..=499, _) if is_lumas && speaks_of_a_plan(&own_words) => halted(Cause::Plan),
            (400..=499, _) if is_lumas && speaks_of_a_taken_address(&own_words) => Self::Taken { message },
            // Luma's own words are about this event: a community that is not there, or is somebody else's.
            (400..=499, _) if is_lumas => Self::Refused { message },
            // A page of something in between says nothing of what Luma did.
            _ => Self::Ambiguous { reason },
        }
    }

    /// The stored name of the verdict.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Created { .. } => "accepted",
            Self::Refused { .. } | Self::Taken { .. } => "refused",
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
            Self::Refused { message } | Self::Taken { message } => Some(message),
            Self::Unreached { reason }
            | Self::PutOff { reason, .. }
            | Self::Halted { reason, .. }
            | Self::Ambiguous { reason } => Some(reason),
            Self::Throttled { .. } => None,
        }
    }
}

fn words(message: &str) -> Vec<String> {
    let words = message.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn speaks_of_key(message: &str) -> bool {
    words(message).windows(2).any(|pair| pair == ["api", "key"])
}

/// Of what every event would meet alike.
fn is_about_the_account(message: &str) -> bool {
    let of_plans =
        ["plan", "plus", "subscription", "upgrade", "billing", "payment", "trial", "suspended", "disabled"];
    speaks_of_key(message) || words(message).iter().any(|word| of_plans.contains(&word.as_str()))
}

/// `Slug is already taken.` or `This URL is taken.`, not `slug: Too small`.
pub(super) fn speaks_of_a_taken_address(message: &str) -> bool {
    let words = words(message);
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    let is_taken = has(&["taken", "already", "exists"]);
    (has(&["slug"]) && (is_taken || has(&["unavailable", "available", "use"])))
        || (has(&["url", "address", "link"]) && is_taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, is_lumas: bool, api_id: Option<&str>) -> EventVerdict {
        of_words(status, is_lumas, api_id, "said")
    }

    fn of_words(status: u16, is_lumas: bool, api_id: Option<&str>, said: &str) -> EventVerdict {
        let (message, own_words) = (format!("about `Plus size`: {said}"), said.to_owned());
        let api_id = api_id.map(|id| ApiId::parse(id).expect("an id"));
        EventVerdict::of(Answer::Status { status, is_lumas, api_id, message, own_words, retry_after: None })
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
        for status in [401, 403, 404, 405] {
            assert_eq!(of(status, false, None).as_str(), "ambiguous", "whoever says that is not Luma");
        }
        assert_eq!(of(307, false, None).as_str(), "transient");
    }

    #[test]
    fn only_luma_in_its_own_words_speaks_of_the_key_or_the_plan() {
        for (status, said, verdict) in [
            (400, "Please provide an API key.", "halted"),
            (400, "no `API keynote`", "refused"),
            (403, "Upgrade to Luma Plus.", "halted"),
            (403, "You don't have access to this community.", "refused"),
        ] {
            assert_eq!(of_words(status, true, None, said).as_str(), verdict, "{said}");
        }
    }

    #[test]
    fn ids_of_other_things_are_no_events() {
        for (text, is) in
            [("evt-1", true), ("1234", true), ("usr-1", false), ("cal-9", false), ("evt-", false)]
        {
            assert_eq!(ApiId::parse(text).is_some(), is, "{text}");
        }
    }

    #[test]
    fn a_taken_address_and_a_lapsed_plan_are_told_from_a_bad_event() {
        let of = |message: &str| of_words(400, true, None, message);
        for message in [
            "Slug is already taken.",
            "This slug is not available.",
            "slug: Already in use",
            "This URL is already taken.",
        ] {
            assert!(matches!(of(message), EventVerdict::Taken { .. }), "{message}");
        }
        for message in [
            "Invalid request. - slug: Too small: expected string to have >=3 characters",
            "Invalid request. - reminders_disabled: Invalid input",
            "Invalid request. - cover_url: Invalid URL, use one of the CDN",
            "The plan is not set",
        ] {
            assert!(matches!(of(message), EventVerdict::Refused { .. }), "{message}");
        }
        let elsewhere = of("You don't have access to this calendar.");
        assert!(matches!(elsewhere, EventVerdict::Halted { cause: Cause::Calendar, .. }), "{elsewhere:?}");
        let lapsed = of("Creating events requires Luma Plus.");
        assert!(matches!(lapsed, EventVerdict::Halted { cause: Cause::Plan, .. }), "{lapsed:?}");
    }

    #[test]
    fn ids_are_plain() {
        assert!(ApiId::parse("evt-AbC123").is_some());
        for text in ["", "a b", "<b>", "\u{e9}vt", "a,b"] {
            assert!(ApiId::parse(text).is_none(), "{text}");
        }
    }
}
