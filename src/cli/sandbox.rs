//! `lumasync sandbox`: a local Luma until it is stopped.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::args::{Global, MalformedChoice, SandboxArgs};
use super::exit::Exit;
use super::out;
use super::signals::Signals;
use crate::clock::Clock;
use crate::sandbox::v1::Settings;
use crate::sandbox::{FurtherKey, Limit, Malformed, Options, Sandbox};

/// The command.
pub(super) async fn run(global: &Global, args: &SandboxArgs) -> anyhow::Result<Exit> {
    let clock = Clock::system();
    let (signals, stop) = Signals::listen(Duration::from_secs(1), clock.clone())?;
    let sandbox = Sandbox::start(options(global, args)?, clock).await?;
    let url = sandbox.url();
    out::result(
        global.output,
        || {
            format!(
                "a local Luma listens on {url}\n  to use it:  LUMASYNC__LUMA__DIALECT=beta-2021 \
                 LUMASYNC__LUMA__BASE_URL={url} LUMASYNC__LUMA__API_KEY=env:LUMA_API_KEY LUMA_API_KEY={key}\n  \
                 what it holds:  {url}/sandbox/state",
                key = args.keys.first().map_or("", String::as_str),
            )
        },
        || {
            let state = format!("{url}/sandbox/state");
            json!({ "url": url, "key": args.keys.first(), "keys": args.keys, "state": state })
        },
    )?;
    stop.requested().await;
    sandbox.stop().await?;
    Ok(signals.exit().unwrap_or(Exit::Ok))
}

fn options(global: &Global, args: &SandboxArgs) -> anyhow::Result<Options> {
    let limit = Limit { requests: args.requests, window: args.window, block: args.block };
    let limit = (!args.no_limit).then_some(limit);
    let mut keys = args.keys.iter();
    let mut settings = Settings::default();
    for (key, value) in &global.set {
        settings.set(key, value).context("cannot use `--set`")?;
    }
    Ok(Options {
        listen: args.listen,
        key: keys.next().cloned().unwrap_or_default(),
        limit,
        further: keys.map(|key| FurtherKey { key: key.clone(), limit }).collect(),
        faults: args.fault.join(",").parse().context("cannot read `--fault`")?,
        known_tags: args.tags.clone(),
        malformed: match args.malformed {
            MalformedChoice::Drop => Malformed::Drop,
            MalformedChoice::Reject => Malformed::Reject,
            MalformedChoice::Accept => Malformed::Accept,
        },
        max_body: args.max_body,
        seed: args.seed,
        organization: args.organization_key.clone().map(|key| FurtherKey {
            key,
            limit: limit.map(|limit| Limit { requests: args.organization_requests, ..limit }),
        }),
        settings,
        state: args.state.clone(),
        record: false,
    })
}
