//! As much of JSON Schema as the document uses; any other word in it is a fault.

use serde_json::Value;

/// What of a value is not as its schema says.
pub(super) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "$", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return check(document, target.unwrap_or_else(|| panic!("no `{reference}`")), value, at, found);
    }
    for (word, said) in schema.as_object().expect("a schema") {
        match word.as_str() {
            "type" => {
                let types: Vec<&str> = said
                    .as_array()
                    .map_or_else(|| vec![said], |types| types.iter().collect())
                    .into_iter()
                    .filter_map(Value::as_str)
                    .collect();
                if !types.iter().any(|name| is_of(name, value)) {
                    found.push(format!("{at} is no {types:?}: {value}"));
                }
            }
            "enum" => {
                if !value.is_null() && !said.as_array().expect("words").contains(value) {
                    found.push(format!("{at} is none of {said}: {value}"));
                }
            }
            "required" => {
                if let Some(object) = value.as_object() {
                    let names = said.as_array().expect("names").iter().filter_map(Value::as_str);
                    found.extend(
                        names
                            .filter(|name| !object.contains_key(*name))
                            .map(|name| format!("{at}.{name} is missing")),
                    );
                }
            }
            "properties" => {
                for (name, of) in said.as_object().expect("properties") {
                    if let Some(inner) = value.get(name) {
                        check(document, of, inner, &format!("{at}.{name}"), found);
                    }
                }
            }
            "additionalProperties" => {
                if let (Some(false), Some(object)) = (said.as_bool(), value.as_object()) {
                    let odd = object.keys().filter(|name| schema["properties"].get(*name).is_none());
                    found.extend(odd.map(|name| format!("{at}.{name} is not in the document")));
                }
            }
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, said, item, &format!("{at}[{place}]"), found);
                }
            }
            "format" => {
                let is_moment = |text: &str| text.parse::<jiff::Timestamp>().is_ok();
                if value.as_str().is_some_and(|text| said == "date-time" && !is_moment(text)) {
                    found.push(format!("{at} is no moment: {value}"));
                }
            }
            "description" | "minItems" | "maxItems" => {}
            other => panic!("`{other}` is a word that this reader does not know"),
        }
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is a type that this reader does not know"),
    }
}

#[test]
fn what_is_not_as_the_schema_says_is_seen() {
    let schema = serde_json::json!({
        "type": "object", "additionalProperties": false, "required": ["a"],
        "properties": { "a": { "type": ["integer", "null"] }, "b": { "type": "string", "enum": ["x"] } },
    });
    let said = |value: Value| faults(&Value::Null, &schema, &value).len();
    assert_eq!(
        [said(serde_json::json!({ "a": 1, "b": "x" })), said(serde_json::json!({ "a": null }))],
        [0, 0]
    );
    for wrong in [
        serde_json::json!([]),
        serde_json::json!({}),
        serde_json::json!({ "a": "1" }),
        serde_json::json!({ "a": 1, "b": "y" }),
        serde_json::json!({ "a": 1, "c": 1 }),
    ] {
        assert_eq!(said(wrong.clone()), 1, "{wrong}");
    }
}
