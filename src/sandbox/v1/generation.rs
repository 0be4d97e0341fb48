//! What an answer looked like in each generation of the API: what ids are called, which rows are wrapped.
//!
//! Knows only shapes; what an answer says is decided in today's.

use serde_json::{Map, Value, json};

use super::routes::{Generation, Look, Route};

/// The keys that had another name, and that name.
const RENAMED: [(&str, &str); 4] = [
    ("id", "api_id"),
    ("user_id", "user_api_id"),
    ("calendar_id", "calendar_api_id"),
    ("event_id", "event_api_id"),
];

/// An answer of today in the words of a generation.
pub(super) fn told_in(answer: Value, route: Route, generation: Generation) -> Value {
    if generation == Generation::G3 {
        return answer;
    }
    let answer = match route {
        Route::Look(Look::Events) => wrap_rows(answer),
        Route::Look(Look::Event) => wrap_event(answer),
        Route::Look(Look::Guest) => json!({ "guest": answer }),
        _ => answer,
    };
    renamed(answer, generation)
}

/// Each row as `{id, event}`.
fn wrap_rows(mut page: Value) -> Value {
    if let Some(rows) = page["entries"].as_array_mut() {
        for row in rows {
            let event = row.take();
            *row = json!({ "id": event["id"], "event": event });
        }
    }
    page
}

/// `{event, hosts}`
fn wrap_event(mut event: Value) -> Value {
    let hosts = event.as_object_mut().and_then(|fields| fields.remove("hosts"));
    json!({ "event": event, "hosts": hosts })
}

fn renamed(value: Value, generation: Generation) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(|entry| renamed(entry, generation)).collect(),
        Value::Object(fields) => {
            let mut told = Map::new();
            for (key, value) in fields {
                // What the caller wrote comes back as it was written.
                let value = if key == "registration_questions" { value } else { renamed(value, generation) };
                let Some((_, elder)) = RENAMED.iter().find(|(today, _)| *today == key) else {
                    told.insert(key, value);
                    continue;
                };
                if generation == Generation::G2 {
                    told.insert(key, value.clone());
                }
                told.insert((*elder).to_owned(), value);
            }
            told.into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::routes::Write;
    use super::*;

    #[test]
    fn ids_have_the_names_of_their_time() {
        let answer = json!({ "id": "evt-1", "entries": [{ "id": 2, "place_id": 3 }], "registration_questions": [{ "id": 4 }] });
        assert_eq!(told_in(answer.clone(), Route::Write(Write::CreateEvent), Generation::G3), answer);
        assert_eq!(
            told_in(answer.clone(), Route::Write(Write::CreateEvent), Generation::G1),
            json!({ "api_id": "evt-1", "entries": [{ "api_id": 2, "place_id": 3 }], "registration_questions": [{ "id": 4 }] })
        );
        let both = told_in(answer, Route::Write(Write::CreateEvent), Generation::G2);
        assert_eq!((&both["id"], &both["api_id"]), (&json!("evt-1"), &json!("evt-1")));
    }

    #[test]
    fn rows_of_events_are_wrapped() {
        let page = json!({ "entries": [{ "id": "evt-1", "name": "Demo" }], "has_more": false });
        assert_eq!(
            told_in(page, Route::Look(Look::Events), Generation::G1)["entries"],
            json!([{ "api_id": "evt-1", "event": { "api_id": "evt-1", "name": "Demo" } }])
        );
        let event = json!({ "id": "evt-1", "hosts": [] });
        let told = told_in(event, Route::Look(Look::Event), Generation::G1);
        assert_eq!(told, json!({ "event": { "api_id": "evt-1" }, "hosts": [] }));
    }
}
