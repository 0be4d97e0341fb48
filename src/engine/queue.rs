//! Rows that other programs insert: parsed, held against the ledger, laid into batches.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::{Engine, EngineError, MAIN_ACCOUNT, Stop};
use crate::domain::batch::BatchPlanner;
use crate::domain::code::Code;
use crate::domain::email::Address;
use crate::domain::proof::Verify;
use crate::domain::state::{Kind, RowState, RunStatus};
use crate::domain::suppression::Screen;
use crate::domain::tag::{TagBook, TagSet, TagSets};
use crate::luma::Contact;
use crate::store::{LedgerEntry, NewRow, NewRun, QueueOutcome, QueueRow, RunSource};

/// A row that may have something to send.
struct Candidate<'a> {
    row: &'a NewRow,
    address: Address<'a>,
    tags: TagSet,
}

impl Engine {
    /// Takes in rows of the queue, at most as many as the settings say; how many there were. Batches
    /// that are not full wait `hold` for more.
    pub async fn take_queue(&self, hold: Duration, stop: &Stop) -> Result<u64, EngineError> {
        let (account, most) = (&self.settings.account, self.settings.queue_rows);
        let mut rows = self.store.new_rows(account, most).await?;
        if rows.is_empty() && self.tells_strays() {
            rows = self.store.stray_rows(most).await?;
        }
        if rows.is_empty() {
            return Ok(0);
        }
        let run_id = self.queue_run(Kind::Members).await?;
        self.list_tags(stop).await?;
        if self.find_tags(&unknown(&self.tag_book(), &rows), stop).await? {
            tracing::info!("the queue names tags that have come since");
        }
        let book = self.tag_book();
        let screen = self.store.screen(account).await?;
        let (mut taken, candidates) = self.parse(&rows, &book, &screen);
        let hashes = sorted(candidates.iter().map(|candidate| candidate.address.key_hash()));
        let ledger = self.store.ledger_lookup(&self.settings.account, &hashes).await?;
        let stored = self.store.tag_sets().await?;
        let delivered: HashMap<&str, &TagSet> = ledger
            .entries()?
            .iter()
            .filter_map(|LedgerEntry { email_key, tag_set, .. }| Some((*email_key, stored.get(tag_set)?)))
            .collect();
        let wanted: Vec<TagSet> = candidates
            .iter()
            .map(|candidate| candidate.tags.clone())
            .collect::<HashSet<_>>()
            .into_iter()
            .collect();
        let ids = self.store.intern_tag_sets(&wanted).await?;
        let ids: HashMap<TagSet, i64> = wanted.into_iter().zip(ids).collect();

        let open = self.store.open_batches(run_id, self.settings.limits.max_rows).await?;
        let mut planner = BatchPlanner::new(self.settings.limits, open);
        for candidate in &candidates {
            let known = delivered.get(candidate.address.key());
            taken.push(QueueRow {
                id: candidate.row.id,
                outcome: if known.is_some_and(|known| candidate.tags.is_subset(known)) {
                    ended(RowState::Unchanged, Code::Unchanged, "already delivered with these tags".into())
                } else {
                    let bytes = self.client.contact_bytes(&candidate.contact());
                    candidate.pending(planner.place(ids[&candidate.tags], bytes), ids[&candidate.tags])
                },
            });
        }
        let now = self.clock.now();
        let limits = (self.settings.limits.max_rows, now.plus(hold));
        self.store.take_rows(&self.settings.account, run_id, &taken, planner.touched(), limits, now).await?;
        tracing::info!(run = run_id, rows = taken.len(), "took rows from the queue");
        Ok(taken.len() as u64)
    }

    /// Whether it tells rows apart that name an account that nobody knows: one of them has to.
    pub(super) fn tells_strays(&self) -> bool {
        self.settings.account == MAIN_ACCOUNT
    }

    /// The run of this kind of queue rows: the one that is open, or a new one.
    pub(super) async fn queue_run(&self, kind: Kind) -> Result<i64, EngineError> {
        let account = &self.settings.account;
        let is_ours = |run: &crate::store::Run| {
            (run.source, run.kind, run.status) == (RunSource::Queue, kind, RunStatus::Running)
                && run.account == *account
        };
        for run in self.store.open_runs().await?.iter().filter(|run| is_ours(run)) {
            // One that only waits for its proof is not made to wait for more.
            if run.verify == Verify::None || !self.store.is_only_proving(run.id).await? {
                return Ok(run.id);
            }
        }
        let label = match kind {
            Kind::Members => "member_queue",
            Kind::Events => "event_queue",
        };
        let source = RunSource::Queue;
        let (trigger, now) = (source.trigger(), self.clock.now());
        let verify = match kind {
            Kind::Members => self.settings.verify,
            Kind::Events => Verify::None,
        };
        let run = NewRun { account, kind, source, trigger, fire: None, verify, label, now };
        Ok(self.store.begin_running(run).await?)
    }

    /// Divides rows into those that end here and those that may have something to send.
    fn parse<'a>(
        &self,
        rows: &'a [NewRow],
        book: &TagBook,
        screen: &Screen,
    ) -> (Vec<QueueRow>, Vec<Candidate<'a>>) {
        let mut taken = Vec::with_capacity(rows.len());
        let mut candidates: Vec<Candidate<'a>> = Vec::with_capacity(rows.len());
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for row in rows {
            let candidate = match self.candidate(row, book, screen) {
                Ok(candidate) => candidate,
                Err((code, reason)) => {
                    taken.push(QueueRow { id: row.id, outcome: ended(code.state_at_intake(), code, reason) });
                    continue;
                }
            };
            let others = places.entry(candidate.address.key().to_owned()).or_default();
            let mut twins = others.iter().map(|place| &candidates[*place]);
            if let Some(twin) = twins.find(|twin| candidate.tags.is_subset(&twin.tags)) {
                let reason = format!("same person as row {}", twin.row.id);
                let outcome = ended(RowState::Duplicate, Code::Duplicate, reason);
                taken.push(QueueRow { id: row.id, outcome });
            } else {
                others.push(candidates.len());
                candidates.push(candidate);
            }
        }
        (taken, candidates)
    }

    fn candidate<'a>(
        &self,
        row: &'a NewRow,
        book: &TagBook,
        screen: &Screen,
    ) -> Result<Candidate<'a>, (Code, String)> {
        if row.account != self.settings.account {
            let name: String = row.account.chars().take(80).collect();
            return Err((Code::AccountUnknown, format!("there is no account `{name}`")));
        }
        if row.email.contains(char::REPLACEMENT_CHARACTER) {
            return Err((Code::EncodingInvalid, "the address holds bytes that are no text".to_owned()));
        }
        if row.email.trim().is_empty() {
            return Err((Code::EmailMissing, "no address".to_owned()));
        }
        let address = Address::parse(&row.email).map_err(|error| (Code::EmailInvalid, error.to_string()))?;
        if let Some(reason) = screen.reason(address.canonical()) {
            return Err((Code::Suppressed, reason.to_string()));
        }
        let tags = row.tags.as_deref().unwrap_or_default();
        let tags = book.resolve_cell(tags).map_err(|error| (Code::TagUnknown, error.to_string()))?;
        Ok(Candidate { row, address, tags })
    }
}

impl Candidate<'_> {
    fn contact(&self) -> Contact<'_> {
        Contact { email: self.address.canonical(), name: self.row.name.as_deref() }
    }

    fn pending(&self, batch: usize, tag_set: i64) -> QueueOutcome {
        let canonical = self.address.canonical();
        QueueOutcome::Pending {
            address: (canonical != self.row.email).then(|| canonical.to_owned()),
            key_hash: self.address.key_hash(),
            tag_set,
            batch,
        }
    }
}

/// What rows name that is no tag, as far as is known.
fn unknown(book: &TagBook, rows: &[NewRow]) -> BTreeSet<String> {
    let mut sets = TagSets::default();
    for cell in rows.iter().filter_map(|row| row.tags.as_deref()) {
        sets.note_unknown(book, cell);
    }
    sets.unknown().clone()
}

fn ended(state: RowState, code: Code, reason: String) -> QueueOutcome {
    QueueOutcome::Ended { state, code, reason }
}

fn sorted(hashes: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut hashes: Vec<i64> = hashes.collect();
    hashes.sort_unstable();
    hashes
}
