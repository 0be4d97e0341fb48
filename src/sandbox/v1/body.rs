//! Reading what a caller sent, field by field, and saying all that is wrong with it at once.
//!
//! Knows the wording of mistakes, and nothing of what a field is for.

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::settings::{PathStyle, Settings, UnknownFields};
use crate::sandbox::answer::Answer;
use crate::sandbox::beta::{expected, invalid};

/// What is wrong with a request, a line each.
pub(super) struct Complaints<'s> {
    settings: &'s Settings,
    lines: Vec<String>,
}

/// A JSON object and where it lies in the body.
#[derive(Clone)]
pub(super) struct Object<'a> {
    fields: &'a Map<String, Value>,
    at: String,
}

impl<'a> Object<'a> {
    pub(super) const fn whole(fields: &'a Map<String, Value>) -> Self {
        Self { fields, at: String::new() }
    }

    pub(super) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name)
    }
}

/// The object that a body is.
pub(super) fn parse(body: &[u8]) -> Result<Map<String, Value>, Answer> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(invalid(&[expected("object", Some(&other))])),
        Err(_) => Err(invalid(&[])),
    }
}

impl<'s> Complaints<'s> {
    pub(super) const fn new(settings: &'s Settings) -> Self {
        Self { settings, lines: Vec::new() }
    }

    /// One more mistake, at this path.
    pub(super) fn add(&mut self, path: &str, what: &str) {
        let path = match self.settings.path {
            PathStyle::Brackets => path.to_owned(),
            PathStyle::Dots => path.replace('[', ".").replace(']', ""),
        };
        self.lines.push(format!("{path}: {what}"));
    }

    /// Refuses where there was anything to complain of.
    pub(super) fn judge(self) -> Result<(), Answer> {
        if self.lines.is_empty() { Ok(()) } else { Err(invalid(&self.lines)) }
    }

    #[cfg(test)]
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// Complains of other fields than these, if that is wished.
    pub(super) fn only(&mut self, object: &Object<'_>, known: &[&str]) {
        if self.settings.unknown_fields == UnknownFields::Reject {
            let strange: Vec<_> =
                object.fields.keys().filter(|name| !known.contains(&name.as_str())).cloned().collect();
            for name in strange {
                self.add(&object.path(&name), &format!("Unrecognized key: \"{name}\""));
            }
        }
    }

    fn wrong_kind(&mut self, object: &Object<'_>, name: &str, kind: &str) {
        self.add(&object.path(name), &expected(kind, object.get(name)));
    }

    /// A string that must be there.
    pub(super) fn needed_text<'a>(&mut self, object: &Object<'a>, name: &str) -> &'a str {
        if let Some(Value::String(text)) = object.get(name) {
            return text;
        }
        self.wrong_kind(object, name, "string");
        ""
    }

    /// A string that may be left out, but not be null.
    pub(super) fn text<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<&'a str> {
        object.get(name)?;
        Some(self.needed_text(object, name))
    }

    /// A string that may be left out or be null.
    pub(super) fn text_or_null<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<&'a str> {
        object.get(name).filter(|value| !value.is_null())?;
        Some(self.needed_text(object, name))
    }

    /// One of a few words, which may be left out.
    pub(super) fn choice<'a>(&mut self, object: &Object<'a>, name: &str, words: &[&str]) -> Option<&'a str> {
        let text = self.text(object, name)?;
        if object.get(name).is_some_and(Value::is_string) {
            self.check_choice(&object.path(name), text, words);
        }
        Some(text)
    }

    /// One of a few words, which may be left out or be null.
    pub(super) fn choice_or_null<'a>(
        &mut self,
        object: &Object<'a>,
        name: &str,
        words: &[&str],
    ) -> Option<&'a str> {
        object.get(name).filter(|value| !value.is_null())?;
        self.choice(object, name, words)
    }

    /// Complains where this is none of the words.
    pub(super) fn check_choice(&mut self, path: &str, text: &str, words: &[&str]) {
        if !words.contains(&text) {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            self.add(path, &format!("Invalid option: expected one of {}", words.join("|")));
        }
    }

    /// A yes or no that may be left out.
    pub(super) fn flag(&mut self, object: &Object<'_>, name: &str) {
        if object.get(name).is_some_and(|value| !value.is_boolean()) {
            self.wrong_kind(object, name, "boolean");
        }
    }

    /// A yes or no that must be there.
    pub(super) fn needed_flag(&mut self, object: &Object<'_>, name: &str) {
        if !object.get(name).is_some_and(Value::is_boolean) {
            self.wrong_kind(object, name, "boolean");
        }
    }

    /// A number that must be there.
    pub(super) fn needed_number(&mut self, object: &Object<'_>, name: &str) {
        if !object.get(name).is_some_and(Value::is_number) {
            self.wrong_kind(object, name, "number");
        }
    }

    /// An object that may be left out.
    pub(super) fn object<'a>(&mut self, object: &Object<'a>, name: &str) -> Option<Object<'a>> {
        if let Value::Object(fields) = object.get(name)? {
            return Some(Object { fields, at: object.path(name) });
        }
        self.wrong_kind(object, name, "object");
        None
    }

    /// A list that must be there.
    pub(super) fn needed_list<'a>(&mut self, object: &Object<'a>, name: &str) -> &'a [Value] {
        if let Some(Value::Array(list)) = object.get(name) {
            return list;
        }
        self.wrong_kind(object, name, "array");
        &[]
    }

    /// The objects of a list.
    pub(super) fn objects<'a>(
        &mut self,
        object: &Object<'a>,
        name: &str,
        list: &'a [Value],
    ) -> Vec<Object<'a>> {
        let mut objects = Vec::with_capacity(list.len());
        for (index, entry) in list.iter().enumerate() {
            let at = format!("{}[{index}]", object.path(name));
            match entry {
                Value::Object(fields) => objects.push(Object { fields, at }),
                other => self.add(&at, &expected("object", Some(other))),
            }
        }
        objects
    }

    /// A list of strings that may be left out or, if so, be null.
    pub(super) fn texts(&mut self, object: &Object<'_>, name: &str, null: bool) -> Vec<String> {
        match object.get(name) {
            None => return Vec::new(),
            Some(Value::Null) if null => return Vec::new(),
            Some(_) => {}
        }
        let mut texts = Vec::new();
        for (index, entry) in self.needed_list(object, name).iter().enumerate() {
            match entry {
                Value::String(text) => texts.push(text.clone()),
                other => {
                    self.add(&format!("{}[{index}]", object.path(name)), &expected("string", Some(other)));
                }
            }
        }
        texts
    }
}

/// What follows the `?`, decoded; a key may come several times.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// A `+` is a space here, as it is for every server.
    pub(super) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// A value that must be there.
    pub(super) fn needed(&self, name: &str, complaints: &mut Complaints<'_>) -> String {
        let value = self.get(name);
        if value.is_none() {
            complaints.add(name, &expected("string", None));
        }
        value.unwrap_or_default().to_owned()
    }

    pub(super) fn all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_space_and_keys_may_repeat() {
        let query = Query::parse("query=a+b%2Bc&tags=x&tags=y");
        assert_eq!(query.get("query"), Some("a b+c"));
        assert_eq!(query.all("tags").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(query.get("nothing"), None);
    }

    #[test]
    fn paths_are_spelt_either_way() {
        let mut settings = Settings::default();
        for (style, line) in [("brackets", "contacts[1].email: no"), ("dots", "contacts.1.email: no")] {
            settings.set("path", style).expect("a style");
            let mut complaints = Complaints::new(&settings);
            complaints.add("contacts[1].email", "no");
            assert_eq!(complaints.lines, [line]);
        }
    }
}
