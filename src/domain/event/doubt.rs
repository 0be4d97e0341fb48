//! Ways out of doubt: what a look-up or the policy makes of an event that may or may not exist.

use super::verdict::ApiId;

/// What becomes of events in doubt where nothing can be looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// They wait for a person.
    #[default]
    Hold,
    /// They are asked for once more, at the risk of a twin.
    SendAgain,
}

/// Who ends doubt by `OnUnknown::SendAgain`, on record.
pub const POLICY: &str = "events.on_unknown";
/// Who ends doubt by what Luma shows, on record.
pub const LOOK_UP: &str = "look-up";

/// Why nobody knows whether an event exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubted {
    /// Its request left, and no answer says what came of it.
    Unanswered,
    /// Luma refused it: perhaps because it is there, made by an earlier request.
    Refused {
        /// There was an earlier request. Where there was none, its address is taken.
        asked_before: bool,
        /// What Luma said.
        message: String,
    },
}

/// What Luma shows of an event in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// It is there.
    Found(ApiId),
    /// It was not seen; it is looked for once more, after a pause.
    AbsentOnce,
    /// It was looked for twice, with a pause, and is not there.
    AbsentTwice,
    /// What has its address is not it, and it was never asked for with another answer than that.
    Occupied {
        /// What has it, for people.
        by: String,
    },
    /// There are several like it, or one that is not as it was asked for: a person must look.
    Several {
        /// What was seen, for people.
        shown: String,
    },
}

/// How doubt ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It exists.
    Created(ApiId),
    /// It is asked for once more.
    SendAgain,
}

impl Resolution {
    /// The stored text.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::SendAgain => "send_again",
        }
    }
}

/// What follows from a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookEnd {
    /// Doubt is over.
    Decided(Resolution),
    /// Doubt is over: surely not created, because its address is another event's.
    Rejected {
        /// Why, in words.
        reason: String,
    },
    /// Doubt is over: surely not created, and asked for too often.
    Failed {
        /// Why, in words.
        reason: String,
    },
    /// It is looked for once more, after the pause.
    LookAgain,
    /// A person has to look; nothing does so by itself any more.
    Person {
        /// Why, in words.
        reason: String,
    },
}

/// How doubt ends by the policy, where nothing can be looked up; `None` where it takes a person. The policy
/// takes its risk only as often as attempts are allowed.
#[must_use]
pub fn settle_by_policy(policy: OnUnknown, attempts_left: bool) -> Option<Resolution> {
    match policy {
        OnUnknown::SendAgain => attempts_left.then_some(Resolution::SendAgain),
        OnUnknown::Hold => None,
    }
}

/// What follows from what Luma shows.
#[must_use]
pub fn settle_by_look(look_up: LookUp, doubted: &Doubted, attempts_left: bool) -> LookEnd {
    match (look_up, doubted) {
        (LookUp::Found(api_id), _) => LookEnd::Decided(Resolution::Created(api_id)),
        (LookUp::AbsentOnce, _) => LookEnd::LookAgain,
        (LookUp::AbsentTwice, Doubted::Unanswered) if attempts_left => {
            LookEnd::Decided(Resolution::SendAgain)
        }
        (LookUp::AbsentTwice, Doubted::Unanswered) => LookEnd::Failed {
            reason: "asked for as often as `retry.max_attempts` allows, looked for and not there".to_owned(),
        },
        // Asking once more would meet the same.
        (LookUp::AbsentTwice, Doubted::Refused { message, .. }) => {
            LookEnd::Rejected { reason: format!("{message} (looked for, and not there)") }
        }
        (LookUp::Occupied { by }, Doubted::Refused { message, .. }) => {
            LookEnd::Rejected { reason: format!("{message} ({by}); write another `slug`, or none") }
        }
        (LookUp::Several { shown } | LookUp::Occupied { by: shown }, _) => {
            LookEnd::Person { reason: format!("a person has to look at Luma: {shown}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(asked_before: bool) -> Doubted {
        Doubted::Refused { asked_before, message: "taken".into() }
    }

    #[test]
    fn only_a_look_up_or_a_policy_sends_again_and_never_for_ever() {
        let again = Resolution::SendAgain;
        assert_eq!(settle_by_policy(OnUnknown::Hold, true), None);
        assert_eq!(settle_by_policy(OnUnknown::SendAgain, true), Some(again.clone()));
        assert_eq!(settle_by_policy(OnUnknown::SendAgain, false), None);
        let absent = |attempts_left| settle_by_look(LookUp::AbsentTwice, &Doubted::Unanswered, attempts_left);
        assert_eq!(absent(true), LookEnd::Decided(again));
        assert!(matches!(absent(false), LookEnd::Failed { .. }));
        for doubted in [Doubted::Unanswered, refused(true), refused(false)] {
            let end = |look_up| settle_by_look(look_up, &doubted, true);
            assert_eq!(end(LookUp::AbsentOnce), LookEnd::LookAgain);
            assert!(matches!(end(LookUp::Several { shown: "two".into() }), LookEnd::Person { .. }));
        }
    }

    #[test]
    fn what_is_found_is_created_and_what_luma_refused_is_not_asked_for_again() {
        let id = ApiId::parse("evt-1").expect("an id");
        let found = settle_by_look(LookUp::Found(id.clone()), &refused(true), false);
        assert_eq!(found, LookEnd::Decided(Resolution::Created(id)));
        for attempts_left in [true, false] {
            for look_up in [LookUp::AbsentTwice, LookUp::Occupied { by: "another".into() }] {
                let end = settle_by_look(look_up, &refused(true), attempts_left);
                let is_told = matches!(&end, LookEnd::Rejected { reason } if reason.starts_with("taken ("));
                assert!(is_told, "{end:?}");
            }
        }
    }
}
