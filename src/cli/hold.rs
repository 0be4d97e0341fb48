//! What a run is held for, with examples, and who let it go.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::words::moment;
use crate::clock::Time;
use crate::domain::guard::Concern;
use crate::domain::state::RunStatus;
use crate::store::{Run, Sample, Store};

/// New people that are named.
const PEOPLE: u32 = 5;

/// What a run is or was held for.
#[derive(Clone, Debug, Default)]
pub(super) struct Hold {
    concerns: Vec<Concern>,
    /// Some of the new people, while it is held.
    people: Vec<Sample>,
    pub(super) approved: Option<(String, Time)>,
}

impl Hold {
    pub(super) async fn read(store: &Store, run: &Run) -> anyhow::Result<Self> {
        let concerns = store.concerns(run.id).await?;
        let people = match run.status {
            RunStatus::Held => store.new_people(run.id, PEOPLE).await?,
            _ => Vec::new(),
        };
        Ok(Self { concerns, people, approved: run.approved.clone() })
    }

    /// For people; `thing` is what the number of a row counts.
    pub(super) fn text(&self, text: &mut String, thing: &str) {
        for Concern { code, reason } in &self.concerns {
            let _ = write!(text, "\n  held: {reason} ({code})");
        }
        if !self.people.is_empty() {
            let named = self.people.iter().map(|row| format!("{} ({thing} {})", row.email, row.place));
            let _ = write!(text, "\n  new, for example: {}", named.collect::<Vec<_>>().join(", "));
        }
        if let Some((person, at)) = &self.approved {
            let _ = write!(text, "\n  approved by {person} at {}", moment(*at));
        }
    }

    pub(super) fn concerns_json(&self) -> Value {
        let concern = |concern: &Concern| json!({ "code": concern.code.as_str(), "reason": concern.reason });
        self.concerns.iter().map(concern).collect()
    }

    pub(super) fn people_json(&self) -> Value {
        self.people.iter().map(|row| json!({ "line": row.place, "email": row.email })).collect()
    }

    pub(super) fn approved_json(&self) -> Value {
        json!(self.approved.as_ref().map(|(person, at)| json!({ "by": person, "at": at.to_string() })))
    }
}
