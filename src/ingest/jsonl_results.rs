//! Result files of JSON Lines: each object as it was, with our fields, and without passwords.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};

use super::columns::API_ID;
use super::error::FileError;
use super::event_columns::secret_of;
use super::jsonl::{Line, Lines};
use super::results::{Counts, Outcome, ResultsError};
use super::table::ReadOptions;
use crate::domain::event::hide;
use crate::domain::state::Kind;

/// Reads the source again and writes its objects to the file that their outcome asks for.
pub(super) fn write(
    path: &Path,
    options: &ReadOptions,
    outcomes: impl Iterator<Item = (u64, Outcome)>,
    mut success: Option<&mut dyn Write>,
    mut rejects: Option<&mut dyn Write>,
) -> Result<Counts, ResultsError> {
    let refuse = |fault| FileError::new(path, fault);
    let mut lines = Lines::open(path, options).map_err(refuse)?;
    let mut counts = Counts::default();
    let mut outcomes = outcomes.peekable();
    while outcomes.peek().is_some() {
        let Some(line) = lines.next().map_err(refuse)? else { break };
        let number = line.number;
        if let Some((early, _)) = outcomes.peek().filter(|(wanted, _)| *wanted < number) {
            return Err(ResultsError::Changed(*early));
        }
        let Some((_, outcome)) = outcomes.next_if(|(wanted, _)| *wanted == number) else { continue };
        let object = Value::Object(told(&line, &outcome, options.kind));
        if outcome.good {
            put(&mut success, &object, &mut counts.success)?;
        } else {
            put(&mut rejects, &object, &mut counts.rejects)?;
        }
    }
    if let Some((line, _)) = outcomes.next() {
        return Err(ResultsError::Changed(line));
    }
    if let Some(success) = success {
        success.flush().map_err(ResultsError::Write)?;
    }
    if let Some(rejects) = rejects {
        rejects.flush().map_err(ResultsError::Write)?;
    }
    Ok(counts)
}

fn put(to: &mut Option<&mut dyn Write>, object: &Value, count: &mut u64) -> Result<(), ResultsError> {
    if let Some(to) = to {
        writeln!(to, "{object}").map_err(ResultsError::Write)?;
        *count += 1;
    }
    Ok(())
}

fn told(line: &Line, outcome: &Outcome, kind: Kind) -> Map<String, Value> {
    let mut object = line.object().unwrap_or_else(|_| match kind {
        Kind::Members => Map::from_iter([("_raw".to_owned(), Value::from(line.lossy()))]),
        // What cannot be taken apart may hold a password anywhere.
        Kind::Events => Map::from_iter([("_raw".to_owned(), Value::from("see the original file"))]),
    });
    if kind == Kind::Events {
        for (name, value) in &mut object {
            let text = match &*value {
                Value::String(text) => text.clone(),
                Value::Null => continue,
                other => other.to_string(),
            };
            if let Some(field) = secret_of(name)
                && *hide(field, &text) != *text
            {
                *value = Value::from(hide(field, &text).into_owned());
            }
        }
        if let Some(api_id) = &outcome.api_id {
            object.insert(API_ID.to_owned(), Value::from(api_id.as_str()));
        }
    }
    object.insert("_row".to_owned(), Value::from(line.number));
    object.insert("_code".to_owned(), Value::from(&*outcome.code));
    object.insert("_reason".to_owned(), Value::from(outcome.reason.as_str()));
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(text: &str, kind: Kind, outcomes: &[(u64, bool)]) -> (String, String) {
        let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let outcomes = outcomes.iter().map(|(line, good)| {
            let api_id = good.then(|| "evt-1".to_owned());
            (*line, Outcome { good: *good, code: "code".into(), reason: "why".into(), api_id })
        });
        let options = ReadOptions { kind, ..ReadOptions::default() };
        write(file.path(), &options, outcomes, Some(&mut good), Some(&mut bad)).expect("written");
        (String::from_utf8(good).expect("text"), String::from_utf8(bad).expect("text"))
    }

    #[test]
    fn each_object_goes_where_its_outcome_says_and_passwords_stay_behind() {
        let text = "{\"name\":\"A\",\"Zoom Meeting Password\":\"s3cret\",\"zoom_meeting_url\":\"https://z.us/j/1?pwd=s3cret\"}\n\
                    broken s3cret\n{\"name\":\"C\",\"zoom_meeting_password\":123456}\n";
        let (good, bad) = results(text, Kind::Events, &[(1, true), (2, false), (3, false)]);
        assert_eq!(
            good,
            "{\"Zoom Meeting Password\":\"[hidden]\",\"_api_id\":\"evt-1\",\"_code\":\"code\",\"_reason\":\"why\",\"_row\":1,\
             \"name\":\"A\",\"zoom_meeting_url\":\"https://z.us/j/1?[hidden]\"}\n"
        );
        assert!(!bad.contains("s3cret") && !bad.contains("123456"), "{bad}");
        assert_eq!(bad.lines().count(), 2);
        let (_, members) = results("{\"email\":\"a\"}\nbroken\n", Kind::Members, &[(1, false), (2, false)]);
        assert!(members.contains("\"_raw\":\"broken\"") && !members.contains("_api_id"), "{members}");
    }
}
