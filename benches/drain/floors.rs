//! The two floors: the requests without a database, and the database without requests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lumasync::clock::Clock;
use lumasync::sandbox::Options;
use rusqlite::{Connection, Statement};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::child::tell;
use crate::support::ours::count;

/// As the product opens its writer.
const PRAGMAS: &str = "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;
                       pragma cache_size = -16384; pragma wal_autocheckpoint = 8192;";

/// Posts the batches of `db` to `url`, so many at once, and does nothing else. The bodies are made
/// before the clock starts.
pub(crate) fn post(db: &str, url: &str, in_flight: &str) -> anyhow::Result<()> {
    let bodies = Arc::new(bodies(Path::new(db))?);
    let (route, in_flight) = (format!("{url}/user/audience/import"), in_flight.parse()?);
    Runtime::new()?.block_on(async {
        let client = client()?;
        let next = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let posters: Vec<_> = (0..in_flight)
            .map(|_| {
                let (client, bodies, next) = (client.clone(), Arc::clone(&bodies), Arc::clone(&next));
                let route = route.clone();
                tokio::spawn(async move {
                    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let request = client.post(&route).header("content-type", "application/json");
                        let request = request.header("x-luma-api-key", Options::default().key);
                        request.body(body.clone()).send().await?.error_for_status()?.bytes().await?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for poster in posters {
            poster.await??;
        }
        tell(&[("seconds", started.elapsed().as_secs_f64()), ("requests", count(bodies.len() as u64))])
    })
}

#[expect(clippy::disallowed_methods, reason = "the floor is what the product's own client stands on")]
fn client() -> anyhow::Result<reqwest::Client> {
    // Fails only where a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(30)).build()?)
}

fn bodies(db: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let db = Connection::open(db)?;
    let mut batches =
        db.prepare("select b.id, t.tags from batches b join tag_sets t on t.id = b.tag_set_id")?;
    let mut emails =
        db.prepare("select coalesce(address, email) from member_queue where batch_id = ? order by id")?;
    let mut bodies = Vec::new();
    let mut rows = batches.query([])?;
    while let Some(row) = rows.next()? {
        let (id, tags): (i64, String) = (row.get(0)?, row.get(1)?);
        let emails = emails.query_map([id], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        let body = if tags.is_empty() {
            json!({ "emails": emails })
        } else {
            json!({ "emails": emails, "member_tag_api_ids": tags.split(';').collect::<Vec<_>>() })
        };
        bodies.push(serde_json::to_vec(&body)?);
    }
    Ok(bodies)
}

/// Claims and settles every batch of `db`, writing what the product writes, `at_once` of them in a
/// transaction: so many are settled and as many claimed.
pub(crate) fn write(db: &str, at_once: &str) -> anyhow::Result<()> {
    let db = Connection::open(db)?;
    db.execute_batch(PRAGMAS)?;
    let at_once: i64 = at_once.parse()?;
    let clock = Clock::system();
    let started = Instant::now();
    let mut loops = Loop::new(&db)?;
    let (mut settled, mut claimed) = (0, Vec::new());
    loop {
        let now = clock.now().to_string();
        db.execute_batch("begin immediate")?;
        for claim in &claimed {
            settled += loops.settle(claim, &now)?;
        }
        claimed = loops.claim(at_once, &now)?;
        db.execute_batch("commit")?;
        if claimed.is_empty() {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    tell(&[("seconds", seconds), ("rows", count(settled as u64))])
}

/// A batch that was claimed: its number and the claim's.
struct Claim {
    batch: i64,
    attempt: i64,
}

/// The statements, prepared once.
struct Loop<'a> {
    due: Statement<'a>,
    recipients: Statement<'a>,
    begin_attempt: Statement<'a>,
    take: Statement<'a>,
    end_claim: Statement<'a>,
    end_attempt: Statement<'a>,
    deliver: Statement<'a>,
    enter: Statement<'a>,
    count: Statement<'a>,
}

impl<'a> Loop<'a> {
    fn new(db: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            due: db.prepare(
                "select b.id, b.run_id, b.row_count from batches b
                   join runs r on r.id = b.run_id
                   join tag_sets t on t.id = b.tag_set_id
                  where b.account = 'main' and b.state = 'pending' and b.due_at <= ?
                    and r.status = 'running'
                  order by b.priority, b.id limit ?",
            )?,
            recipients: db.prepare(
                "select string_agg(id || ' ' || coalesce(address, email), char(10))
                   from (select id, address, email from member_queue
                          where batch_id = ? and state = 'pending' order by id)",
            )?,
            begin_attempt: db.prepare(
                "insert into attempts (account, worker_id, batch_id, run_id, route, row_count, started_at)
                 values ('main', 1, ?, ?, 'POST /user/audience/import', ?, ?) returning id",
            )?,
            take: db.prepare(
                "update batches set state = 'in_flight', claim_id = ?2, worker_id = 1
                  where id = ?1 and state = 'pending'",
            )?,
            end_claim: db.prepare(
                "update batches set state = 'delivered', settled_at = ?3, attempts = attempts + 1,
                        claim_id = null, worker_id = null
                  where id = ?1 and claim_id = ?2 and state = 'in_flight'",
            )?,
            end_attempt: db.prepare(
                "update attempts set finished_at = ?2, status = 200, verdict = 'accepted'
                  where id = ?1 and verdict is null",
            )?,
            deliver: db.prepare(
                "update member_queue set state = 'delivered', attempts = 1, settled_at = ?2
                  where batch_id = ?1 and state = 'pending'",
            )?,
            enter: db.prepare(
                "insert into ledger (account, key_hash, email_key, tag_set_id, run_id)
                 select account, key_hash, lower(coalesce(address, email)), tag_set_id, run_id
                   from member_queue where batch_id = ? and state = 'delivered'
                 on conflict do nothing",
            )?,
            count: db.prepare("update accounts set members = members + ? where name = 'main'")?,
        })
    }

    fn claim(&mut self, at_once: i64, now: &str) -> anyhow::Result<Vec<Claim>> {
        let due = self.due.query_map((now, at_once), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let due = due.collect::<Result<Vec<(i64, i64, i64)>, _>>()?;
        let mut claims = Vec::with_capacity(due.len());
        for (batch, run, rows) in due {
            let packed: Option<String> = self.recipients.query_row([batch], |row| row.get(0))?;
            let packed = packed.context("a batch without rows")?;
            anyhow::ensure!(packed.lines().count() == usize::try_from(rows)?, "rows of a batch are missing");
            let attempt = self.begin_attempt.query_row((batch, run, rows, now), |row| row.get(0))?;
            self.take.execute((batch, attempt))?;
            claims.push(Claim { batch, attempt });
        }
        Ok(claims)
    }

    /// The rows that were settled.
    fn settle(&mut self, claim: &Claim, now: &str) -> anyhow::Result<usize> {
        let held = self.end_claim.execute((claim.batch, claim.attempt, now))?;
        anyhow::ensure!(held == 1, "a claim was lost");
        self.end_attempt.execute((claim.attempt, now))?;
        let rows = self.deliver.execute((claim.batch, now))?;
        let entered = self.enter.execute([claim.batch])?;
        self.count.execute([i64::try_from(entered)?])?;
        Ok(rows)
    }
}
