//! What is posted: one JSON object, which programs read and of which chat tools show the `text`.
//!
//! Numbers, codes and names of the configuration; of what others wrote there is only the label of a run, and that
//! is made safe here. Reasons are not in it: they may quote Luma, and Luma may quote an address.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::clock::Time;
use crate::domain::expect::Standing;
use crate::domain::notice::{Topic, safe_label};
use crate::domain::state::RunStatus;

/// The version of the JSON: grows where something that is there now changes its meaning.
const VERSION: u32 = 1;
/// Events that are named by their numbers.
const MOST_EVENTS: usize = 20;
/// Codes that the text names.
const MOST_CODES: usize = 3;

/// A run as it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// Its number.
    pub id: i64,
    /// Whose key it uses.
    pub account: String,
    /// What people call it.
    pub label: String,
    /// What its rows are.
    pub kind: &'static str,
    /// Where its rows come from.
    pub source: &'static str,
    /// Where it came to stand.
    pub status: RunStatus,
    /// Its rows by where they stand, those that there are; the first are those read.
    pub rows: Vec<(&'static str, u64)>,
    /// Its rows by their codes, the most frequent first.
    pub codes: Vec<(String, u64)>,
    /// The run that went wrong before, where this one has gone well.
    pub after: Option<i64>,
}

/// A source as it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// When it was last taken in, and how many rows it had.
    pub last: Option<(Time, u64)>,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A run.
    Run(RunFacts),
    /// A source.
    Source(SourceFacts),
    /// Events of an account that a person has to look at.
    Events {
        /// Whose.
        account: String,
        /// Their numbers.
        ids: Vec<i64>,
    },
    /// Nothing: somebody tries out whether it arrives.
    Test,
}

/// One notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is to people; none of a test.
    pub topic: Option<Topic>,
    /// When that came about.
    pub at: Time,
    /// Its number in the database; 0 for a test.
    pub number: i64,
    /// What is told.
    pub about: About,
}

impl Message {
    /// The body of the request.
    #[must_use]
    pub fn body(&self) -> String {
        let topic = self.topic.map_or("test", Topic::as_str);
        let mut body = json!({
            "version": VERSION, "id": self.id(topic), "topic": topic, "at": self.at.to_string(),
            "text": format!("lumasync: {}", self.text()),
        });
        if let (Value::Object(body), Some((name, facts))) = (&mut body, self.about.facts()) {
            body.insert(name.to_owned(), facts);
        }
        body.to_string()
    }

    /// The same however often it is posted, and another for every other notice, also one of another database.
    fn id(&self, topic: &str) -> String {
        let digest = Sha256::digest(format!("{} {} {topic}", self.at, self.number));
        digest.iter().take(12).fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
    }

    fn text(&self) -> String {
        match &self.about {
            About::Run(run) => run.text(self.topic),
            About::Source(source) => source.text(),
            About::Events { account, ids } => {
                let events = match ids.as_slice() {
                    [one] => format!("event {one}"),
                    more => format!("{} events", more.len()),
                };
                format!(
                    "{events} of account {account} may or may not exist, and a person has to look: lumasync events list --state unknown"
                )
            }
            About::Test => "this is a test; notices arrive here".to_owned(),
        }
    }
}

impl About {
    fn facts(&self) -> Option<(&'static str, Value)> {
        Some(match self {
            Self::Run(run) => ("run", run.json()),
            Self::Source(source) => ("source", source.json()),
            Self::Events { account, ids } => {
                let named: Vec<i64> = ids.iter().copied().take(MOST_EVENTS).collect();
                ("events", json!({ "account": account, "count": ids.len(), "ids": named }))
            }
            Self::Test => return None,
        })
    }
}

impl RunFacts {
    fn json(&self) -> Value {
        let rows: Map<String, Value> =
            self.rows.iter().map(|(state, rows)| ((*state).to_owned(), (*rows).into())).collect();
        let codes: Map<String, Value> =
            self.codes.iter().map(|(code, rows)| (code.clone(), (*rows).into())).collect();
        json!({
            "id": self.id, "account": self.account, "label": safe_label(&self.label), "kind": self.kind,
            "source": self.source, "status": self.status.as_str(), "rows": rows, "codes": codes,
            "after": self.after,
        })
    }

    fn text(&self, topic: Option<Topic>) -> String {
        let Self { id, account, label, .. } = self;
        let name = format!("run {id} of {} (account {account})", safe_label(label));
        let rows = self.rows_text();
        match topic {
            Some(Topic::Held) => format!(
                "{name} waits for approval{rows}. Why: lumasync runs show {id}; let it go: lumasync runs approve {id}"
            ),
            Some(Topic::Recovered) => match self.after {
                Some(before) if before != *id => {
                    format!("{name} succeeded{rows}; run {before} before it had not")
                }
                Some(_) | None => format!("{name} succeeded after all{rows}"),
            },
            Some(Topic::Partial) => {
                format!("{name} ended, and not all of it arrived{rows}. Which: lumasync runs show {id}")
            }
            Some(Topic::Failed | Topic::Unknown | Topic::Late) | None => {
                format!("{name} failed{rows}. Why: lumasync runs show {id}")
            }
        }
    }

    /// `: 10 read, 7 delivered, 3 invalid (email_invalid 2, tag_unknown 1)`
    fn rows_text(&self) -> String {
        let mut text = String::new();
        for (state, rows) in &self.rows {
            let _ = write!(text, "{} {rows} {state}", if text.is_empty() { ":" } else { "," });
        }
        let codes: Vec<String> =
            self.codes.iter().take(MOST_CODES).map(|(code, rows)| format!("{code} {rows}")).collect();
        if !codes.is_empty() {
            let _ = write!(text, " ({})", codes.join(", "));
        }
        text
    }
}

impl SourceFacts {
    fn json(&self) -> Value {
        json!({
            "name": self.name, "standing": self.standing.as_str(),
            "last_at": self.last.map(|(at, _)| at.to_string()), "last_rows": self.last.map(|(_, rows)| rows),
        })
    }

    fn text(&self) -> String {
        let name = &self.name;
        match (self.standing, self.last) {
            (Standing::Late, None) => format!("source {name} is late: it has never come"),
            (Standing::Late, Some((at, _))) => format!("source {name} is late: it came last at {at}"),
            (Standing::Short, last) => {
                let rows = last.map_or(0, |(_, rows)| rows);
                format!("source {name} had fewer rows than expected: {rows}")
            }
            (Standing::Met, _) => format!("source {name} is again as expected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: RunStatus) -> RunFacts {
        RunFacts {
            id: 12,
            account: "main".to_owned(),
            label: "list.csv".to_owned(),
            kind: "members",
            source: "folder",
            status,
            rows: vec![("read", 10), ("delivered", 7), ("invalid", 3)],
            codes: vec![("email_invalid".to_owned(), 2), ("tag_unknown".to_owned(), 1)],
            after: None,
        }
    }

    fn message(topic: Topic, about: About) -> Message {
        Message { topic: Some(topic), at: Time::from_micros(1_795_370_400_000_000), number: 4, about }
    }

    fn parsed(message: &Message) -> Value {
        serde_json::from_str(&message.body()).expect("JSON")
    }

    #[test]
    fn a_run_is_told_with_numbers_and_codes() {
        let body = parsed(&message(Topic::Partial, About::Run(run(RunStatus::Partial))));
        assert_eq!(
            body,
            json!({
                "version": 1, "id": body["id"], "topic": "partial", "at": "2026-11-22T18:00:00.000000Z",
                "text": "lumasync: run 12 of list.csv (account main) ended, and not all of it arrived: 10 read, 7 delivered, 3 invalid (email_invalid 2, tag_unknown 1). Which: lumasync runs show 12",
                "run": {
                    "id": 12, "account": "main", "label": "list.csv", "kind": "members", "source": "folder",
                    "status": "partial", "rows": { "read": 10, "delivered": 7, "invalid": 3 },
                    "codes": { "email_invalid": 2, "tag_unknown": 1 }, "after": null,
                },
            })
        );
    }

    #[test]
    fn an_address_in_a_label_is_in_no_part_of_it() {
        let of = RunFacts { label: "to ana@example.org.csv".to_owned(), ..run(RunStatus::Failed) };
        for topic in Topic::ALL {
            let body = message(*topic, About::Run(of.clone())).body();
            assert!(!body.contains("ana") && !body.contains("example.org"), "{body}");
        }
    }

    #[test]
    fn an_id_stands_for_one_notice() {
        let id = |message: &Message| parsed(message)["id"].clone();
        let one = message(Topic::Failed, About::Test);
        assert_eq!(id(&one), id(&one.clone()));
        for other in [
            Message { number: 5, ..one.clone() },
            Message { topic: Some(Topic::Held), ..one.clone() },
            Message { at: Time::from_micros(0), ..one.clone() },
        ] {
            assert_ne!(id(&one), id(&other));
        }
    }

    #[test]
    fn texts_say_what_to_do() {
        let text = |topic, about| message(topic, about).text();
        let source = |standing, last| About::Source(SourceFacts { name: "crm".to_owned(), standing, last });
        let last = Some((Time::from_micros(1_795_370_400_000_000), 3));
        let events = |ids: &[i64]| About::Events { account: "main".to_owned(), ids: ids.to_vec() };
        let again = |after| About::Run(RunFacts { after: Some(after), ..run(RunStatus::Succeeded) });
        for (said, expected) in [
            (text(Topic::Late, source(Standing::Late, None)), "source crm is late: it has never come"),
            (text(Topic::Late, source(Standing::Late, last)), "came last at 2026-11-22T18:00:00"),
            (text(Topic::Late, source(Standing::Short, last)), "fewer rows than expected: 3"),
            (text(Topic::Recovered, source(Standing::Met, last)), "source crm is again as expected"),
            (text(Topic::Unknown, events(&[7])), "event 7 of account main may or may not exist"),
            (text(Topic::Unknown, events(&[7, 8])), "2 events of account main may or may not exist"),
            (text(Topic::Recovered, again(11)), "succeeded: 10 read"),
            (text(Topic::Recovered, again(11)), "; run 11 before it had not"),
            (text(Topic::Recovered, again(12)), "succeeded after all"),
            (text(Topic::Held, About::Run(run(RunStatus::Held))), "lumasync runs approve 12"),
            (text(Topic::Failed, About::Run(run(RunStatus::Failed))), "Why: lumasync runs show 12"),
        ] {
            assert!(said.contains(expected), "{said}");
        }
    }
}
