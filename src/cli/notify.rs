//! `lumasync notify test`, and what `check` and `status` say of notices.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::args::Global;
use super::check::Finding;
use super::context::{Need, load};
use super::exit::Exit;
use super::explain::explain;
use super::out;
use super::words::{count, moment};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::notice::{Fate, Topic};
use crate::engine::{Receiver, printable};
use crate::hook::{About, Hook, Message};
use crate::store::NoticesLeft;

/// What can be typed after `lumasync notify`.
#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// Post a test to `notify.url`, and tell what is answered
    Test,
}

/// For how long `status` tells of what was given up.
pub(super) const REMEMBERED: Duration = Duration::from_hours(7 * 24);
/// Characters of an answer that are shown.
const MOST_SHOWN: usize = 200;

/// Who is told of what, where the configuration says so.
pub(super) fn receiver(config: &Config, clock: &Clock) -> anyhow::Result<Option<Receiver>> {
    let Some(notify) = &config.notify else { return Ok(None) };
    let hook = Hook::new(&notify.url, notify.secret.clone(), clock.clone());
    let hook = hook.map_err(|error| anyhow::anyhow!("what `notify.url` names {error}"))?;
    Ok(Some(Receiver { hook, topics: notify.on.clone() }))
}

/// Posts a test, once, and tells what was answered.
pub(super) async fn test(global: &Global) -> anyhow::Result<Exit> {
    let (config, clock) = (load(global, Need::Luma)?, Clock::system());
    let Some(Receiver { hook, .. }) = receiver(&config, &clock)? else {
        out::talk(
            "error: nobody is told: there is no `notify.url`\nhint: write `url = \"env:HOOK_URL\"` below `[notify]`",
        );
        return Ok(Exit::Config);
    };
    let began = clock.now();
    let reply = hook.post(Message { topic: None, at: began, number: 0, about: About::Test }.body()).await;
    let took = clock.now().since(began);
    let exit = match Fate::of(reply.heard, 1, Duration::ZERO, 0.0) {
        Fate::Delivered => Exit::Ok,
        Fate::Later(_) => Exit::TryLater,
        Fate::GivenUp => Exit::Failed,
    };
    let body: String = printable(reply.body.trim()).chars().take(MOST_SHOWN).collect();
    let text = || {
        let answer = if body.is_empty() { String::new() } else { format!("\nits answer: {body}") };
        format!("posted to `{}`: {} after {:.1} s{answer}", hook.host(), reply.said, took.as_secs_f64())
    };
    let programs = || {
        json!({
            "delivered": exit == Exit::Ok, "status": reply.heard.status, "said": reply.said, "answer": body,
            "signed": hook.is_signed(), "seconds": took.as_secs_f64(),
        })
    };
    out::result(global.output, text, programs)?;
    Ok(exit)
}

/// Whether notices can be posted, as far as that shows without posting one.
pub(super) fn check(config: &Config) -> Option<Finding> {
    match receiver(config, &Clock::system()) {
        Ok(None) => None,
        Ok(Some(Receiver { hook, topics })) => {
            let topics: Vec<&str> = topics.into_iter().map(Topic::as_str).collect();
            let signed = if hook.is_signed() { "signed" } else { "not signed, `notify.secret` is not set" };
            let text = format!(
                "`{}` is told of {}; {signed}; `lumasync notify test` tries it out",
                hook.host(),
                topics.join(", ")
            );
            Some(Finding::ok("notify", text))
        }
        Err(error) => Some(Finding::failed("notify", Exit::Config, explain(&error))),
    }
}

/// What is not told yet, and what never will be; nothing where all is well.
pub(super) fn left_text(left: &NoticesLeft, text: &mut String) {
    if left.waiting > 0 {
        let since = left.oldest.map(|at| format!(" since {}", moment(at))).unwrap_or_default();
        let why = left.answer.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let _ = writeln!(text, "notices   {} to be posted{since}{why}", count(left.waiting, "notice"));
    }
    if let Some(at) = left.given_up_at {
        let _ = writeln!(
            text,
            "notices   {} given up, the last at {}",
            count(left.given_up, "notice"),
            moment(at)
        );
    }
}

/// The same for programs.
pub(super) fn left_json(left: &NoticesLeft) -> Value {
    json!({
        "waiting": left.waiting, "oldest": left.oldest.map(|at| at.to_string()), "answer": left.answer,
        "given_up": left.given_up, "given_up_at": left.given_up_at.map(|at| at.to_string()),
    })
}
