//! Where an event stands and what may happen to it there: the one table of transitions.
//!
//! The store repeats it in CHECKs and in the guard of every write.

use crate::domain::state::text_enum;

text_enum! {
    /// Where one event stands.
    EventState {
        /// Inserted by another program, not yet read by us.
        New = "new",
        /// Valid and waiting for its request; surely not created.
        Pending = "pending",
        /// Its request has left or is about to.
        InFlight = "in_flight",
        /// Luma said that it exists, or a person did.
        Created = "created",
        /// Luma refused it; surely not created.
        Rejected = "rejected",
        /// Every attempt was put off; surely not created. `retry` brings it back.
        Failed = "failed",
        /// The request left and no answer says whether the event exists. Nothing is sent again until
        /// someone or something finds out.
        Unknown = "unknown",
        /// We refused the row at intake.
        Invalid = "invalid",
        /// The same event is there already.
        Duplicate = "duplicate",
        /// Dropped by a person with its run; surely not created.
        Canceled = "canceled",
    }
}

impl EventState {
    /// Whether an event in this state exists or may come to exist: no other may have its key.
    #[must_use]
    pub const fn is_living(self) -> bool {
        matches!(self, Self::Pending | Self::InFlight | Self::Unknown | Self::Created)
    }
}

/// What can happen to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Intake found it valid, and no other like it.
    Accepted,
    /// Intake refused it.
    Refused,
    /// Intake found another with its key.
    TwinFound,
    /// A worker took it, and has written down that it is going to ask for it.
    Claimed,
    /// The answer to that request says that it exists.
    AnsweredCreated,
    /// It says that Luma does not want it.
    AnsweredRejected,
    /// It says that nothing was done, and that it may be asked for again; or nobody was asked.
    AnsweredNotDone,
    /// The same for the last time.
    AnsweredExhausted,
    /// There was no answer, or none that can be believed.
    Unanswered,
    /// The worker that asked is gone.
    Abandoned,
    /// A person or a look-up found it.
    FoundCreated,
    /// A person, a look-up or the policy decided to ask once more.
    SendAgain,
    /// A person brought it back.
    Retried,
    /// A person gave its run up.
    Dropped,
}

impl Happening {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Accepted,
        Self::Refused,
        Self::TwinFound,
        Self::Claimed,
        Self::AnsweredCreated,
        Self::AnsweredRejected,
        Self::AnsweredNotDone,
        Self::AnsweredExhausted,
        Self::Unanswered,
        Self::Abandoned,
        Self::FoundCreated,
        Self::SendAgain,
        Self::Retried,
        Self::Dropped,
    ];
}

/// Something that cannot happen to an event where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event that is {state} cannot be {happening:?}")]
pub struct Illegal {
    /// Where it stands.
    pub state: EventState,
    /// What cannot happen there.
    pub happening: Happening,
}

/// Where an event stands after something has happened to it.
pub const fn next(state: EventState, happening: Happening) -> Result<EventState, Illegal> {
    use EventState as S;
    use Happening as H;
    Ok(match (state, happening) {
        (S::New, H::Refused) => S::Invalid,
        (S::New, H::TwinFound) => S::Duplicate,
        (S::Pending, H::Claimed) => S::InFlight,
        (S::Pending, H::Dropped) => S::Canceled,
        // An answer may come after its worker was given up: as long as nothing was sent again, it
        // is the truth all the same.
        (S::InFlight | S::Unknown, H::AnsweredCreated) | (S::Unknown, H::FoundCreated) => S::Created,
        (S::InFlight | S::Unknown, H::AnsweredRejected) => S::Rejected,
        (S::InFlight | S::Unknown, H::AnsweredExhausted) => S::Failed,
        (S::InFlight | S::Unknown, H::Unanswered) | (S::InFlight, H::Abandoned) => S::Unknown,
        // Surely not created, or somebody takes the risk.
        (S::New, H::Accepted)
        | (S::InFlight | S::Unknown, H::AnsweredNotDone)
        | (S::Unknown, H::SendAgain)
        | (S::Rejected | S::Failed, H::Retried) => S::Pending,
        (state, happening) => return Err(Illegal { state, happening }),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Luma answers as it did; only silence and a lost worker tell nothing.
    fn is_honest(happening: Happening, was_made: bool) -> bool {
        match happening {
            Happening::AnsweredCreated | Happening::FoundCreated => was_made,
            Happening::AnsweredRejected | Happening::AnsweredNotDone | Happening::AnsweredExhausted => {
                !was_made
            }
            _ => true,
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_no_twin_is_made_and_none_is_lost_unless_somebody_takes_the_risk(
            story in prop::collection::vec((prop::sample::select(Happening::ALL.to_vec()), any::<bool>()), 1..80)
        ) {
            let (mut state, mut made, mut was_made) = (EventState::New, 0, false);
            for (happening, makes) in story {
                let Ok(after) = next(state, happening) else { continue };
                if !is_honest(happening, was_made) {
                    continue;
                }
                if happening == Happening::Claimed {
                    was_made = makes;
                    made += u32::from(makes);
                }
                if happening == Happening::SendAgain && was_made {
                    return Ok(());
                }
                state = after;
                prop_assert!(made <= 1, "a twin");
                match state {
                    EventState::Created => prop_assert_eq!(made, 1),
                    EventState::InFlight | EventState::Unknown => {}
                    _ => prop_assert_eq!(made, 0, "{} and lost", state),
                }
            }
        }
    }

    #[test]
    fn every_pair_is_decided_and_final_states_stay() {
        let mut legal = Vec::new();
        for state in EventState::ALL {
            for happening in Happening::ALL {
                if let Ok(after) = next(*state, happening) {
                    legal.push((*state, happening, after));
                }
            }
        }
        assert_eq!(legal.len(), 20, "{legal:?}");
        for last in [EventState::Created, EventState::Invalid, EventState::Duplicate, EventState::Canceled] {
            assert!(legal.iter().all(|(from, _, _)| *from != last), "{last} is left");
        }
        // Nothing is asked for but by a claim, and nothing is claimed but what is pending.
        let claims: Vec<_> = legal.iter().filter(|(_, _, to)| *to == EventState::InFlight).collect();
        assert_eq!(claims, [&(EventState::Pending, Happening::Claimed, EventState::InFlight)]);
        // Doubt ends only by an answer or by somebody who decides.
        let out: Vec<Happening> = legal
            .iter()
            .filter(|(from, _, to)| *from == EventState::Unknown && to != from)
            .map(|(_, happening, _)| *happening)
            .collect();
        assert_eq!(
            out,
            [
                Happening::AnsweredCreated,
                Happening::AnsweredRejected,
                Happening::AnsweredNotDone,
                Happening::AnsweredExhausted,
                Happening::FoundCreated,
                Happening::SendAgain
            ]
        );
    }
}
