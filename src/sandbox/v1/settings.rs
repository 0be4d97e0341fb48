//! What nobody has written down about Luma, each as a setting: a client has to live with either.
//!
//! Knows the words and the defaults; what follows from a setting is written where it is followed.

use std::time::Duration;

use hyper::StatusCode;

use crate::sandbox::answer::ResetUnit;
use crate::sandbox::fault::parse_duration;

mod words;

pub use words::{
    Answers, Away, BetaCreate, Block, EmailCase, EmptyApply, NextCursor, OverLimit, PathStyle, Skipped,
    TagAgain, TagCase, TagTwice, UnknownFields, UnknownTag, Window,
};

/// The guesses, as they are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What an import does with a tag that does not exist.
    pub unknown_tag: UnknownTag,
    /// The most contacts of one import, and addresses of one tag.
    pub max_batch: Option<usize>,
    /// The most people whom imports may bring to a calendar.
    pub import_limit: Option<usize>,
    /// What happens beyond that.
    pub over_limit: OverLimit,
    /// The status of a refusal for that.
    pub import_limit_status: StatusCode,
    /// What applying a tag to nobody is answered.
    pub empty_apply: EmptyApply,
    /// How `X-RateLimit-Reset` is written.
    pub reset: ResetUnit,
    /// What a request during a block does to it.
    pub block: Block,
    /// When a page names the next one.
    pub next_cursor: NextCursor,
    /// Rows of a page whose size was not asked for.
    pub page_size: usize,
    /// The most rows of any page.
    pub max_page_size: usize,
    /// How the place of a mistake is spelt.
    pub path: PathStyle,
    /// The status of the refusal of a slug that is taken.
    pub slug_taken: StatusCode,
    /// How old the answers are.
    pub answers: Answers,
    /// What becomes of keys that a body should not have.
    pub unknown_fields: UnknownFields,
    /// What a tag's name is compared with.
    pub tag_case: TagCase,
    /// What becomes of a second tag of one name.
    pub tag_twice: TagTwice,
    /// What importing somebody does who was removed or blocked.
    pub away: Away,
    /// Whether an answer names those who were left out.
    pub skipped: Skipped,
    /// How many contacts count whom a tag changes nothing for.
    pub tag_again: TagAgain,
    /// How lists spell an address.
    pub email_case: EmailCase,
    /// How long it takes until an import's new people are seen.
    pub lag: Option<Duration>,
    /// How requests are counted.
    pub window: Window,
    /// What the beta does with events.
    pub beta_create: BetaCreate,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            unknown_tag: UnknownTag::default(),
            max_batch: None,
            import_limit: None,
            over_limit: OverLimit::default(),
            import_limit_status: StatusCode::FORBIDDEN,
            empty_apply: EmptyApply::default(),
            reset: ResetUnit::default(),
            block: Block::default(),
            next_cursor: NextCursor::default(),
            page_size: 50,
            max_page_size: 100,
            path: PathStyle::default(),
            slug_taken: StatusCode::BAD_REQUEST,
            answers: Answers::default(),
            unknown_fields: UnknownFields::default(),
            tag_case: TagCase::default(),
            tag_twice: TagTwice::default(),
            away: Away::default(),
            skipped: Skipped::default(),
            tag_again: TagAgain::default(),
            email_case: EmailCase::default(),
            lag: None,
            window: Window::default(),
            beta_create: BetaCreate::default(),
        }
    }
}

/// Every setting: its key, its values with the default first, and what it is about.
const KNOWN: [(&str, &str, &str); 24] = [
    ("unknown-tag", "reject|ignore", "an import with a tag that does not exist"),
    ("max-batch", "none|N", "most contacts of one import, most addresses of one tag"),
    ("import-limit", "none|N", "most people whom imports may bring"),
    ("over-limit", "all-or-nothing|partial-200", "an import past that limit"),
    ("import-limit-status", "403|400..499", "the status of its refusal"),
    ("empty-apply", "zeros|reject", "a tag applied to nobody"),
    ("reset", "seconds|millis|iso", "how `X-RateLimit-Reset` is written"),
    ("block", "fixed|grows", "what requests during a block do to it"),
    ("next-cursor", "always|with-more", "pages that name a next one"),
    ("page-size", "50|N", "rows of a page by default"),
    ("max-page-size", "100|N", "most rows of a page"),
    ("path", "brackets|dots", "`contacts[1].email` or `contacts.1.email`"),
    ("slug-taken", "400|400..499", "the status of an event whose slug is taken"),
    ("answers", "by-route|g1|g2|g3", "`api_id` and wrapped rows (g1), both ids (g2), `id` (g3)"),
    ("unknown-fields", "accept|reject", "keys that a body should not have"),
    ("tag-case", "exact|ignore", "how names of tags are compared"),
    ("tag-twice", "reject|allow", "a second tag of one name"),
    ("away", "stay|return", "an import of somebody who was removed"),
    ("skipped", "silent|told", "those whom an import left out because they were sent away"),
    ("tag-again", "counted|uncounted", "contacts for whom a tag changes nothing, in the counts of `apply`"),
    ("email-case", "lower|kept", "how lists spell an address"),
    ("lag", "none|DURATION", "how long nobody sees an import's new people"),
    ("window", "sliding|fixed", "how requests are counted"),
    ("beta-create", "works|refused", "events of the beta, which its host refuses today"),
];

/// A setting that does not exist, or a value that it does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no such key.
    #[error("`{0}` is not a setting of the sandbox\nhint: known are {known}", known = known_keys())]
    Key(String),
    /// The key has no such value.
    #[error("`{key}` cannot be `{value}`\nhint: it is one of {values}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What was asked.
        value: String,
        /// What it can be.
        values: &'static str,
    },
}

fn known_keys() -> String {
    let keys: Vec<String> = KNOWN.iter().map(|(key, ..)| format!("`{key}`")).collect();
    keys.join(", ")
}

impl Settings {
    /// Every setting with its values, the default first, a line each.
    #[must_use]
    pub fn help() -> String {
        let line = |(key, values, about): &(&str, &str, &str)| format!("  {key} = {values}: {about}\n");
        KNOWN.iter().map(line).collect()
    }

    /// Sets one of them by its words.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SettingError> {
        let Some((key, values, _)) = KNOWN.iter().find(|(known, ..)| *known == key) else {
            return Err(SettingError::Key(key.to_owned()));
        };
        self.put(key, value).ok_or(SettingError::Value { key, value: value.to_owned(), values })
    }

    fn put(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "unknown-tag" => self.unknown_tag = word(UnknownTag::WORDS, value)?,
            "max-batch" => put_limit(&mut self.max_batch, value)?,
            "import-limit" => put_limit(&mut self.import_limit, value)?,
            "over-limit" => self.over_limit = word(OverLimit::WORDS, value)?,
            "import-limit-status" => self.import_limit_status = refusal(value)?,
            "empty-apply" => self.empty_apply = word(EmptyApply::WORDS, value)?,
            "reset" => self.reset = word(ResetUnit::WORDS, value)?,
            "block" => self.block = word(Block::WORDS, value)?,
            "next-cursor" => self.next_cursor = word(NextCursor::WORDS, value)?,
            "page-size" => self.page_size = size(value)?,
            "max-page-size" => self.max_page_size = size(value)?,
            "path" => self.path = word(PathStyle::WORDS, value)?,
            "slug-taken" => self.slug_taken = refusal(value)?,
            "answers" => self.answers = word(Answers::WORDS, value)?,
            "unknown-fields" => self.unknown_fields = word(UnknownFields::WORDS, value)?,
            "tag-case" => self.tag_case = word(TagCase::WORDS, value)?,
            "tag-twice" => self.tag_twice = word(TagTwice::WORDS, value)?,
            "away" => self.away = word(Away::WORDS, value)?,
            "skipped" => self.skipped = word(Skipped::WORDS, value)?,
            "tag-again" => self.tag_again = word(TagAgain::WORDS, value)?,
            "email-case" => self.email_case = word(EmailCase::WORDS, value)?,
            "lag" => put_delay(&mut self.lag, value)?,
            "window" => self.window = word(Window::WORDS, value)?,
            "beta-create" => self.beta_create = word(BetaCreate::WORDS, value)?,
            _ => return None,
        }
        Some(())
    }
}

fn word<T: Copy>(words: &[(&str, T)], value: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == value).map(|(_, meant)| *meant)
}

/// A number, or no limit at all.
fn put_limit(limit: &mut Option<usize>, value: &str) -> Option<()> {
    *limit = if value == "none" { None } else { Some(value.parse().ok()?) };
    Some(())
}

/// A length of time like `30s`, or none at all.
fn put_delay(delay: &mut Option<Duration>, value: &str) -> Option<()> {
    *delay = if value == "none" { None } else { Some(parse_duration(value)?) };
    Some(())
}

fn size(value: &str) -> Option<usize> {
    value.parse().ok().filter(|size| *size > 0)
}

fn refusal(value: &str) -> Option<StatusCode> {
    value.parse().ok().filter(StatusCode::is_client_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_takes_its_default_and_changes_with_another_value() {
        for (key, values, _) in KNOWN {
            let mut settings = Settings::default();
            let (first, other) = values.split_once('|').expect("two values");
            settings.set(key, first).expect(key);
            assert_eq!(settings, Settings::default(), "{key} = {first}");
            let other = other.split('|').next().unwrap_or_default();
            let other = match other {
                "N" => "7",
                "DURATION" => "7s",
                other => other.split("..").next().unwrap_or_default(),
            };
            let other = if other == first { "409" } else { other };
            settings.set(key, other).expect(key);
            assert_ne!(settings, Settings::default(), "{key} = {other}");
        }
    }

    #[test]
    fn what_is_not_a_setting_is_told_with_what_is() {
        let mut settings = Settings::default();
        let unknown = settings.set("tags", "1").expect_err("a key").to_string();
        assert!(
            unknown.starts_with("`tags` is not a setting") && unknown.contains("`tag-case`"),
            "{unknown}"
        );
        for (key, value) in [
            ("reset", "weeks"),
            ("page-size", "0"),
            ("slug-taken", "500"),
            ("max-batch", "-1"),
            ("lag", "-1s"),
        ] {
            let wrong = settings.set(key, value).expect_err(key).to_string();
            assert!(
                wrong.starts_with(&format!("`{key}` cannot be `{value}`\nhint: it is one of ")),
                "{wrong}"
            );
        }
        assert_eq!(settings, Settings::default());
    }
}
