//! Reads each section, and holds the rules that its values must keep.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::{Host, Url};

use super::accounts::accounts;
use super::database::database;
use super::expect::expect;
use super::guard::guard;
use super::notify::notify;
use super::reader::Reader;
use super::retention::retention;
use super::schedule::schedules;
use super::sources::sources;
use super::types::{
    Batch, Encoding, Events, Folder, Luma, OnError, Queue, RateLimit, Retry, Shutdown, Worker,
};
use super::values::{Wrong, duration_text, shown};
use super::web::web;
use super::{Config, Origin};
use crate::domain::dialect::Dialect;
use crate::domain::event::{EventRules, OnUnknown, is_zone};
use crate::domain::guest::Guests;
use crate::domain::proof::Verify;
use crate::domain::tag::{TagBook, TagId};

/// The shortest pause that does not keep a processor busy.
const POLL: Duration = Duration::from_millis(10);
const MILLI: Duration = Duration::from_millis(1);
const KIB: u64 = 1 << 10;
/// The section of the account `main`, from which others take what they leave out.
pub(super) const LUMA: &str = "luma";

/// Reads every section. Nothing comes back only where a problem is kept in the reader.
pub(super) fn read(reader: &mut Reader<'_>, luma_required: bool) -> Option<Config> {
    let database = database(reader);
    if luma_required {
        reader.require("luma.dialect", "write `dialect = \"v1\"` below `[luma]`, for a key of today's API");
        reader.require(
            "luma.api_key",
            "write `api_key = \"env:LUMA_API_KEY\"` below `[luma]` and set that variable",
        );
    }
    let luma = luma(reader, LUMA, luma_required);
    let further = accounts(reader, luma.as_ref(), luma_required);
    let batch = Batch {
        max_rows: reader.count("batch.max_rows", 1..=100_000),
        max_bytes: reader.size("batch.max_bytes", KIB),
        max_wait: reader.duration("batch.max_wait", Duration::ZERO),
    };
    let (retry, tags, folder) = (retry(reader), tags(reader, "tags"), folder(reader));
    let sources = sources(reader, &tags, &further, luma_required);
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    let schedules = schedules(reader, folder.path.is_some(), &names);
    Some(Config {
        batch,
        retry,
        sources,
        schedules,
        tags,
        folder,
        guard: guard(reader),
        queue: Queue {
            poll: reader.duration("queue.poll", POLL),
            max_rows: reader.count("queue.max_rows", 1..=1_000_000),
        },
        events: events(reader),
        notify: notify(reader, luma_required),
        worker: Worker { lease: reader.duration("worker.lease", Duration::from_secs(5)) },
        retention: retention(reader),
        web: web(reader),
        shutdown: Shutdown { grace: reader.duration("shutdown.grace", Duration::ZERO) },
        warnings: Vec::new(),
        origin: Origin::Defaults,
        database: database?,
        luma: luma?,
        further,
    })
}

/// The keys of one account: `[luma]`, or a section that leaves out what is the same there.
pub(super) fn luma(reader: &mut Reader<'_>, section: &str, required: bool) -> Option<Luma> {
    let mut key = |name: &str| reader.key_or(section, LUMA, name);
    let [dialect_key, url_key, create_key] = ["dialect", "base_url", "create_missing_tags"].map(&mut key);
    let [timeout, connect_timeout, max_in_flight] =
        ["timeout", "connect_timeout", "max_in_flight"].map(&mut key);
    let [verify_key, second_look] = ["verify", "second_look"].map(&mut key);
    let dialect = reader.read(&dialect_key, dialect);
    // Nobody else's: it goes with the key.
    let calendar = format!("{section}.calendar_id");
    let calendar_id = reader.read(&calendar, |text| calendar_id(text, dialect)).flatten();
    let dialect = dialect.unwrap_or_default();
    let base_url = reader.text(&url_key).unwrap_or_else(|| dialect.base_url().to_owned());
    let base_url = match base_url_of(&base_url) {
        Ok(url) => Some(url),
        Err(wrong) => {
            reader.wrong(&url_key, wrong);
            None
        }
    };
    let is_own = verify_key.starts_with(section);
    let verify = reader.read(&verify_key, |text| verify(text, dialect, is_own));
    // Nobody else's: one key for two accounts would count as two quotas.
    let api_key = format!("{section}.api_key");
    let api_key = if required {
        reader.secret(&api_key)
    } else {
        reader.secret_place(&api_key);
        SecretString::from("unused")
    };
    let create_missing_tags = reader.choice(&create_key, ("false", false), &[("true", true)]);
    let is_own = create_key.starts_with(section);
    if is_own && create_missing_tags && dialect == Dialect::Beta2021 {
        let why = "is `true`, but the dialect `beta-2021` has no way to make tags";
        reader.wrong(&create_key, Wrong::new(why, "leave it out, and write the tags into `[tags]`"));
    }
    Some(Luma {
        dialect,
        calendar_id,
        create_missing_tags: create_missing_tags && dialect != Dialect::Beta2021,
        api_key,
        timeout: reader.duration(&timeout, MILLI),
        connect_timeout: reader.duration(&connect_timeout, MILLI),
        max_in_flight: reader.count(&max_in_flight, 1..=64),
        rate_limit: rate_limit(reader, section),
        base_url: base_url?,
        verify: verify.unwrap_or_else(|| Verify::of_dialect(dialect)),
        second_look: reader.duration(&second_look, MILLI),
    })
}

fn dialect(text: &str) -> Result<Dialect, Wrong> {
    Dialect::parse(text.trim()).ok_or_else(|| {
        let hint = "write `dialect = \"v1\"` for a key of today's API, or `dialect = \"beta-2021\"`";
        Wrong::new(format!("is `{}`, which is no dialect of Luma", shown(text.trim())), hint)
    })
}

/// How deliveries are proved. What is asked for in `[luma]` is not asked of an account whose dialect has no such
/// thing.
fn verify(text: &str, dialect: Dialect, is_own: bool) -> Result<Verify, Wrong> {
    let offered = Verify::offered(dialect);
    let words: Vec<String> = offered.iter().map(|verify| format!("`\"{verify}\"`")).collect();
    let hint = format!("write {}, or leave it out", words.join(" or "));
    match Verify::parse(text.trim()) {
        Some(verify) if offered.contains(&verify) => Ok(verify),
        Some(_) if !is_own => Ok(Verify::of_dialect(dialect)),
        Some(verify) => {
            let why = format!(
                "is `{verify}`, but `dialect` is `{dialect}`, in which Luma tells nobody who is in the audience"
            );
            Err(Wrong::new(why, hint))
        }
        None => Err(Wrong::new(format!("is `{}`", shown(text.trim())), hint)),
    }
}

/// The calendar that an organization's key is to act on; a calendar's own key needs none.
fn calendar_id(text: &str, dialect: Option<Dialect>) -> Result<Option<String>, Wrong> {
    let text = text.trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match (text.strip_prefix("cal-"), dialect) {
        (None, _) if text.is_empty() => Ok(None),
        (_, Some(Dialect::Beta2021)) => Err(Wrong::new(
            "is set, but `luma.dialect` is `beta-2021`, which knows no calendars",
            "leave it out",
        )),
        (Some(rest), _) if (1..=100).contains(&rest.len()) && rest.chars().all(is_plain) => {
            Ok(Some(text.to_owned()))
        }
        _ => {
            let hint = "write the id that Luma shows for the calendar, for example `cal-abc123`";
            Err(Wrong::new(format!("is `{}`, which is no id of a calendar", shown(text)), hint))
        }
    }
}

/// Never repeats the URL: somebody may have put a key into it.
fn base_url_of(text: &str) -> Result<Url, Wrong> {
    let hint = "write it like `https://api.lu.ma`";
    let mut url =
        Url::parse(text.trim()).map_err(|error| Wrong::new(format!("is not a URL: {error}"), hint))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(Wrong::new("must begin with `https://`, or the key would travel in the open", hint));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("holds a user or a password", hint));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("goes on after the path, with `?` or `#`", hint));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Whether what is sent there stays on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn rate_limit(reader: &mut Reader<'_>, section: &str) -> RateLimit {
    let names = ["requests", "window", "reserve", "per_second"];
    let [requests, window, reserve, per_second] =
        names.map(|name| reader.key_or(section, LUMA, &format!("rate_limit.{name}")));
    let limit = RateLimit {
        requests: reader.count(&requests, 1..=1_000_000),
        window: reader.duration(&window, MILLI),
        reserve: reader.count(&reserve, 0..=1_000_000),
        per_second: reader.count(&per_second, 1..=10_000),
    };
    if reader.are_sound(&[&requests, &reserve]) && limit.reserve >= limit.requests {
        let message =
            format!("is `{}`, which leaves nothing of `requests` (`{}`)", limit.reserve, limit.requests);
        let hint = format!("write {} or less", limit.requests.saturating_sub(1));
        // Of an account's own where either is: the other is right for `[luma]`.
        let key =
            if requests.starts_with(section) { format!("{section}.rate_limit.reserve") } else { reserve };
        reader.wrong(&key, Wrong::new(message, hint));
    }
    limit
}

fn retry(reader: &mut Reader<'_>) -> Retry {
    let retry = Retry {
        max_attempts: reader.count("retry.max_attempts", 1..=100),
        initial_backoff: reader.duration("retry.initial_backoff", MILLI),
        max_backoff: reader.duration("retry.max_backoff", MILLI),
    };
    let sound = reader.are_sound(&["retry.initial_backoff", "retry.max_backoff"]);
    if sound && retry.max_backoff < retry.initial_backoff {
        let (initial, max) = (duration_text(retry.initial_backoff), duration_text(retry.max_backoff));
        let message = format!("is `{max}`, less than `retry.initial_backoff` (`{initial}`)");
        reader.wrong("retry.max_backoff", Wrong::new(message, format!("write `{initial}` or more")));
    }
    retry
}

/// The names of an account's tags.
pub(super) fn tags(reader: &mut Reader<'_>, section: &str) -> TagBook {
    let mut book: Vec<(String, TagId)> = Vec::new();
    for (name, text) in reader.table(section) {
        match tag(&book, &name, &text) {
            Ok(id) => book.push((name, id)),
            Err(wrong) => reader.wrong(&format!("{section}.{name}"), wrong),
        }
    }
    TagBook::new(book)
}

fn tag(book: &[(String, TagId)], name: &str, text: &str) -> Result<TagId, Wrong> {
    if name.trim().is_empty() || name.contains([';', '|']) {
        return Err(Wrong::new("cannot be told from others in a list", "write a name without `;` and `|`"));
    }
    let same = |other: &str| other.trim().to_lowercase() == name.trim().to_lowercase();
    if let Some((other, _)) = book.iter().find(|(other, _)| same(other)) {
        let message = format!("is the same name as `{other}`: case does not count");
        return Err(Wrong::new(message, "keep one of the two"));
    }
    TagId::parse(text.trim()).ok_or_else(|| {
        let hint = "write the id that Luma shows for the tag, for example `tag-abc123`";
        Wrong::new(format!("is `{}`, which is no tag id", shown(text)), hint)
    })
}

fn folder(reader: &mut Reader<'_>) -> Folder {
    let path = reader.text("folder.path").filter(|path| !path.is_empty()).map(PathBuf::from);
    Folder {
        path,
        settle: reader.duration("folder.settle", Duration::ZERO),
        poll: reader.duration("folder.poll", POLL),
        on_error: reader.choice("folder.on_error", ("skip", OnError::Skip), &[("refuse", OnError::Refuse)]),
        encoding: reader.choice(
            "folder.encoding",
            ("auto", None),
            &[
                ("utf-8", Some(Encoding::Utf8)),
                ("utf-16le", Some(Encoding::Utf16Le)),
                ("utf-16be", Some(Encoding::Utf16Be)),
                ("windows-1252", Some(Encoding::Windows1252)),
            ],
        ),
        delimiter: reader.choice(
            "folder.delimiter",
            ("auto", None),
            &[(",", Some(b',')), (";", Some(b';')), ("tab", Some(b'\t')), ("|", Some(b'|'))],
        ),
        max_expanded: reader.size("folder.max_expanded", KIB),
        guests: reader.choice(
            "folder.guests",
            ("registered", Guests::Registered),
            &[("approved", Guests::Approved), ("all", Guests::All)],
        ),
        expect: expect(reader, "folder"),
    }
}

fn events(reader: &mut Reader<'_>) -> Events {
    let on_unknown = reader.choice(
        "events.on_unknown",
        ("hold", OnUnknown::Hold),
        &[("send_again", OnUnknown::SendAgain)],
    );
    let default_timezone = reader.read("events.default_timezone", |text| match text.trim() {
        "" => Ok(None),
        name if is_zone(name) => Ok(Some(name.to_owned())),
        other => {
            let hint = "write its IANA name, like `Europe/Paris`";
            Err(Wrong::new(format!("is `{}`, which is no zone", shown(other)), hint))
        }
    });
    let cover_hosts = reader.read("events.cover_hosts", |text| {
        let hosts = text.split(',').map(str::trim).filter(|host| !host.is_empty());
        hosts.map(host).collect::<Result<Vec<String>, Wrong>>()
    });
    let rules = EventRules {
        // Each account has its own.
        dialect: Dialect::default(),
        allow_past: reader.choice("events.allow_past", ("false", false), &[("true", true)]),
        default_timezone: default_timezone.flatten(),
        cover_hosts: cover_hosts.unwrap_or_default(),
    };
    Events { on_unknown, rules }
}

fn host(text: &str) -> Result<String, Wrong> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if text.chars().all(is_plain) && text.contains('.') && !text.starts_with('.') && !text.ends_with('.') {
        return Ok(text.to_ascii_lowercase());
    }
    let hint = "write names of hosts, separated by commas, like `unsplash.com, cdn.lu.ma`";
    Err(Wrong::new(format!("names `{}`, which is no host", shown(text)), hint))
}
