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

/// What the API says of an event in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// It has no way to ask. So it is in the dialect of the beta.
    NotOffered,
    /// It is there.
    Found(ApiId),
    /// It was not seen; it is looked for once more, after a pause.
    AbsentOnce,
    /// It was looked for twice, with a pause, and is not there.
    AbsentTwice,
    /// There are several like it: a person must look.
    Several,
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

/// How doubt ends without a person; `None` where it takes one. The policy takes its risk only as often
/// as attempts are allowed.
#[must_use]
pub fn settle_doubt(look_up: LookUp, policy: OnUnknown, attempts_left: bool) -> Option<Resolution> {
    match (look_up, policy) {
        (LookUp::Found(api_id), _) => Some(Resolution::Created(api_id)),
        (LookUp::AbsentTwice, _) | (LookUp::NotOffered, OnUnknown::SendAgain) => {
            attempts_left.then_some(Resolution::SendAgain)
        }
        (LookUp::NotOffered, OnUnknown::Hold) | (LookUp::AbsentOnce | LookUp::Several, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_look_up_or_a_policy_sends_again_and_never_for_ever() {
        let id = ApiId::parse("evt-1").expect("an id");
        assert_eq!(settle_doubt(LookUp::NotOffered, OnUnknown::Hold, true), None);
        for look_up in [LookUp::Several, LookUp::AbsentOnce] {
            assert_eq!(settle_doubt(look_up, OnUnknown::SendAgain, true), None);
        }
        for look_up in [LookUp::NotOffered, LookUp::AbsentTwice] {
            let sent = settle_doubt(look_up.clone(), OnUnknown::SendAgain, true);
            assert_eq!(sent, Some(Resolution::SendAgain));
            assert_eq!(settle_doubt(look_up, OnUnknown::SendAgain, false), None);
        }
        let found = settle_doubt(LookUp::Found(id.clone()), OnUnknown::Hold, false);
        assert_eq!(found, Some(Resolution::Created(id)));
    }
}
