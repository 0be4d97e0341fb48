//! `[[schedule]]`.
//!
//! Knows the keys and their defaults; what they do is said in `domain::schedule`.

use std::time::Duration;

use super::nearest;
use super::reader::Reader;
use super::values::{self, Wrong, shown};
use crate::domain::cron::{Cron, Timetable};
use crate::domain::event::is_zone;
use crate::domain::schedule::{FOLDER, Missed, Overlap, Policy, Schedule};

const DEFAULT_ZONE: &str = "UTC";
const DEFAULT_GRACE: Duration = Duration::from_hours(1);

/// What schedules may name.
struct Known<'a> {
    has_folder: bool,
    sources: &'a [&'a str],
}

/// Reads every `[[schedule]]`. One that has a problem is left out, which the problem tells.
pub(super) fn schedules(reader: &mut Reader<'_>, has_folder: bool, sources: &[&str]) -> Vec<Schedule> {
    let known = Known { has_folder, sources };
    let mut schedules: Vec<Schedule> = Vec::new();
    for number in 1..=reader.entries("schedule") {
        let key = |name: &str| format!("schedule.{number}.{name}");
        let Some(read) = schedule(reader, &key, &known) else { continue };
        if schedules.iter().any(|other| other.name == read.name) {
            let message = format!("is `{}`, as another schedule's is", read.name);
            reader.wrong(&key("name"), Wrong::new(message, "give each a name of its own"));
        }
        schedules.push(read);
    }
    schedules
}

fn schedule(reader: &mut Reader<'_>, key: &impl Fn(&str) -> String, known: &Known<'_>) -> Option<Schedule> {
    reader.require(&key("name"), "write `name = \"nightly\"`");
    reader.require(&key("cron"), "write `cron = \"0 3 * * *\"`, which is every day at 3:00");
    let name = reader.read(&key("name"), plain_word);
    let cron = reader.read(&key("cron"), |text| {
        let cron = Cron::parse(text)
            .map_err(|error| Wrong::new(format!("is `{}`: {}", shown(text), error.message), error.hint))?;
        Ok((text.trim().to_owned(), cron))
    });
    let zone = reader.read(&key("timezone"), zone_name);
    let zone = zone.unwrap_or_else(|| DEFAULT_ZONE.to_owned());
    let sources = sources(reader, &key("sources"), known);
    let policy = Policy {
        missed: reader.read(&key("missed"), one_of(Missed::ALL, Missed::as_str)).unwrap_or(Missed::RunOnce),
        grace: reader.read(&key("grace"), values::duration).unwrap_or(DEFAULT_GRACE),
        overlap: reader.read(&key("overlap"), one_of(Overlap::ALL, Overlap::as_str)).unwrap_or(Overlap::Skip),
    };
    let (cron, read) = cron?;
    let timetable = Timetable::new(read, &zone)?;
    Some(Schedule { name: name?, cron, zone, timetable, sources: sources?, policy })
}

/// The names; nothing where one of them is wrong.
fn sources(reader: &mut Reader<'_>, key: &str, known: &Known<'_>) -> Option<Vec<String>> {
    reader.require(key, "write `sources = [\"folder\"]`");
    let names = reader.texts(key);
    if !reader.has(key) || !reader.are_sound(&[key]) {
        return None;
    }
    let mut wrongs = Vec::new();
    for (place, name) in names.iter().enumerate() {
        wrongs.extend(known.wrong(name));
        if names[..place].contains(name) {
            wrongs.push(Wrong::new(format!("names `{}` twice", shown(name)), "name it once"));
        }
    }
    if names.is_empty() {
        wrongs.push(Wrong::new("names nothing", "write `sources = [\"folder\"]` or the names of sources"));
    }
    let is_sound = wrongs.is_empty();
    for wrong in wrongs {
        reader.wrong(key, wrong);
    }
    is_sound.then_some(names)
}

/// A rule that takes one of a few words.
fn one_of<T: Copy>(
    all: &'static [T],
    word: impl Fn(T) -> &'static str,
) -> impl FnOnce(&str) -> Result<T, Wrong> {
    move |text| {
        let found = all.iter().copied().find(|value| word(*value).eq_ignore_ascii_case(text.trim()));
        found.ok_or_else(|| {
            let words: Vec<_> = all.iter().map(|value| format!("`\"{}\"`", word(*value))).collect();
            Wrong::new(format!("is `{}`", shown(text)), format!("write {}", words.join(" or ")))
        })
    }
}

impl Known<'_> {
    fn wrong(&self, name: &str) -> Option<Wrong> {
        if name == FOLDER {
            let hint = "set `folder.path`, or leave `folder` out here";
            return (!self.has_folder).then(|| Wrong::new("names `folder`, and there is none", hint));
        }
        if self.sources.contains(&name) {
            return None;
        }
        let mut known: Vec<&str> = self.sources.to_vec();
        known.push(FOLDER);
        let message = format!("names `{}`, which is no source", shown(name));
        Some(Wrong::new(message, nearest::name_hint(name, &known)))
    }
}

fn plain_word(text: &str) -> Result<String, Wrong> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_word = (1..=64).contains(&text.len()) && text.chars().all(is_plain);
    is_word.then(|| text.to_owned()).ok_or_else(|| {
        let hint = "write a word of letters, digits, `-` and `_`, 64 at most";
        Wrong::new(format!("is `{}`, which is no plain word", shown(text)), hint)
    })
}

fn zone_name(text: &str) -> Result<String, Wrong> {
    let name = text.trim();
    is_zone(name).then(|| name.to_owned()).ok_or_else(|| {
        let hint = "write its IANA name, like `Europe/Paris`, or `UTC`";
        Wrong::new(format!("is `{}`, which is no zone", shown(text)), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LUMA, load, problems};
    use super::*;

    const DOCUMENTED: &str = include_str!("../../config/default.toml");

    #[test]
    fn the_documented_schedule_is_sound_and_shows_the_defaults() {
        let begin = DOCUMENTED.find("# [[schedule]]").expect("documented");
        let lines = DOCUMENTED[begin..].lines().filter_map(|line| line.strip_prefix("# "));
        let is_code = |line: &&str| {
            line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
        };
        let documented: Vec<&str> = lines.filter(is_code).collect();
        let required = ["[[schedule]]", "name", "cron", "sources"];
        let short = documented.iter().filter(|line| required.iter().any(|key| line.starts_with(key)));
        let short: Vec<&str> = short.copied().collect();
        let read =
            |lines: &[&str]| load(&format!("{LUMA}\n{}\n", lines.join("\n"))).expect("sound").schedules;
        assert_eq!((documented.len(), short.len()), (8, 4));
        assert_eq!(read(&documented), read(&short));
        let policy = Policy { missed: Missed::RunOnce, grace: DEFAULT_GRACE, overlap: Overlap::Skip };
        let schedule = &read(&short)[0];
        assert_eq!((schedule.zone.as_str(), schedule.policy), (DEFAULT_ZONE, policy));
    }

    #[test]
    fn every_problem_of_every_schedule_is_told_at_once_with_its_line() {
        let text = format!(
            "{LUMA}\n[[schedule]]\nname = \"a b\"\ncron = \"61 * * * *\"\ntimezone = \"Paris\"\nmised = \"skip\"\n\
             sources = [\"foldr\", \"folder\", \"folder\"]\n[[schedule]]\nname = \"b\"\ncron = \"0 3 * * *\"\n\
             sources = []\ngrace = \"5\"\noverlap = \"wait\"\n[[schedule]]\n"
        );
        let line = |line: &str| text.lines().position(|own| own == line).expect(line) + 1;
        let last = text.lines().count();
        let told: Vec<String> =
            problems(&text).into_iter().map(|(_, text)| text.replace("\nhint: ", " | ")).collect();
        let place = |line: usize| format!("lumasync.toml:{line}: ");
        let expected = [
            (line("name = \"a b\""), "`schedule.1.name` is `a b`, which is no plain word | write a word"),
            (
                line("cron = \"61 * * * *\""),
                "`schedule.1.cron` is `61 * * * *`: minute `61` is not from 0 to 59 | write 0 to 59",
            ),
            (
                line("timezone = \"Paris\""),
                "`schedule.1.timezone` is `Paris`, which is no zone | write its IANA name",
            ),
            (
                line("sources = [\"foldr\", \"folder\", \"folder\"]"),
                "`schedule.1.sources` names `foldr`, which is no source | did you mean `folder`?",
            ),
            (
                line("sources = [\"foldr\", \"folder\", \"folder\"]"),
                "`schedule.1.sources` names `folder` twice | ",
            ),
            (line("sources = []"), "`schedule.2.sources` names nothing | "),
            (line("grace = \"5\""), "`schedule.2.grace` is `5`, a number without a unit | write `5s`"),
            (line("overlap = \"wait\""), "`schedule.2.overlap` is `wait` | write `\"skip\"` or `\"queue\"`"),
            (last, "`schedule.3.name` is missing | "),
            (last, "`schedule.3.cron` is missing | "),
            (last, "`schedule.3.sources` is missing | "),
            (
                line("mised = \"skip\""),
                "`schedule.1.mised` is not a key of lumasync | did you mean `schedule.1.missed`?",
            ),
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, (line, said)) in told.iter().zip(expected) {
            assert!(
                told.contains(&format!("{}{said}", place(line))),
                "{told}\nshould say {}{said}",
                place(line)
            );
        }
    }

    #[test]
    fn names_are_used_once_and_a_folder_must_be_there() {
        let one = "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\nsources = [\"folder\"]\n";
        let twice = problems(&format!("{LUMA}\n{one}{one}"));
        assert!(twice[0].1.contains("is `a`, as another schedule's is"), "{twice:?}");
        let none = problems(&format!("folder.path = \"\"\n{LUMA}{one}"));
        assert!(none[0].1.contains("names `folder`, and there is none"), "{none:?}");
        let single = problems(&format!("{LUMA}\n[schedule]\nname = \"a\"\n"));
        assert!(single[0].1.contains("write each entry below a `[[schedule]]` of its own"), "{single:?}");
    }
}
