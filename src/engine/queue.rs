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
use crate::store::{LedgerEntry, NewRow, NewRun, QueueOutcome, QueueRow, QueueRun, RunSource};

/// A row that may have something to send.
pub(super) struct Candidate<'a> {
    pub(super) row: &'a NewRow,
    pub(super) address: Address<'a>,
    pub(super) tags: TagSet,
}

impl Engine {
    /// Takes in rows of the queue, at most as many as the settings say; how many there were. Batches
    /// that are not full wait `hold` for more.
    pub async fn take_queue(&self, hold: Duration, stop: &Stop) -> Result<u64, EngineError> {
        let (account, most) = (&self.settings.account, self.settings.queue_rows);
        let mut rows = self.store.new_rows(account, most).await?;
        let has_own = !rows.is_empty();
        if !has_own && self.tells_strays() {
            rows = self.store.stray_rows(most).await?;
        }
        let mut filling = self.store.filling_run(account).await?;
        if !has_own {
            self.end_rush(filling.take()).await?;
        }
        if rows.is_empty() {
            return Ok(0);
        }
        let rush = if has_own { self.rush(filling).await? } else { None };
        let (run_id, status) = match rush {
            Some(run) => (run, RunStatus::Queued),
            None => (self.queue_run(Kind::Members).await?, RunStatus::Running),
        };
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
            taken.push(QueueRow {
                id: candidate.row.id,
                outcome: if is_covered(candidate, &delivered) {
                    ended(RowState::Unchanged, Code::Unchanged, "already delivered with these tags".into())
                } else {
                    let bytes = self.client.contact_bytes(&candidate.contact());
                    candidate.pending(planner.place(ids[&candidate.tags], bytes), ids[&candidate.tags])
                },
            });
        }
        let now = self.clock.now();
        let limits = (self.settings.limits.max_rows, now.plus(hold));
        let new_members = count_new(&candidates, &delivered);
        let run = QueueRun { account, id: run_id, status, new_members };
        self.store.take_rows(run, &taken, planner.touched(), limits, now).await?;
        tracing::info!(run = run_id, rows = taken.len(), "took rows from the queue");
        if taken.len() < most as usize {
            self.end_rush(rush).await?;
        }
        Ok(taken.len() as u64)
    }

    /// The run that rows go to which wait in larger numbers than may go out unseen: nothing of it is sent before
    /// all of them are in it. Whoever comes later and is few goes another way.
    async fn rush(&self, filling: Option<i64>) -> Result<Option<i64>, EngineError> {
        if filling.is_some() || !self.is_rush().await? {
            return Ok(filling);
        }
        Ok(Some(self.store.begin_filling(self.new_queue_run(Kind::Members)).await?))
    }

    /// Whether more new people wait in the queue than may go out unseen.
    pub(super) async fn is_rush(&self) -> Result<bool, EngineError> {
        let Some(most) = self.settings.guards.max_new_members else { return Ok(false) };
        let waiting = self.store.queue_waiting(&self.settings.account, most.saturating_add(1)).await?;
        Ok(waiting > most)
    }

    /// The rush is over with the first look that does not find as many rows as it may take.
    async fn end_rush(&self, filling: Option<i64>) -> Result<(), EngineError> {
        match filling {
            Some(run) => self.release_filled(run).await,
            None => Ok(()),
        }
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
                // What was approved is what was seen.
                && run.approved.is_none()
        };
        for run in self.store.open_runs().await?.iter().filter(|run| is_ours(run)) {
            // One that only waits for its proof is not made to wait for more.
            if run.verify == Verify::None || !self.store.is_only_proving(run.id).await? {
                return Ok(run.id);
            }
        }
        Ok(self.store.begin_running(self.new_queue_run(kind)).await?)
    }

    fn new_queue_run(&self, kind: Kind) -> NewRun<'_> {
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
        let account = &self.settings.account;
        NewRun { account, kind, source, trigger, fire: None, verify, planned: false, label, now }
    }

    /// Divides rows into those that end here and those that may have something to send.
    pub(super) fn parse<'a>(
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
    pub(super) fn contact(&self) -> Contact<'_> {
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

/// Whether all that is wanted was delivered.
pub(super) fn is_covered(candidate: &Candidate<'_>, delivered: &HashMap<&str, &TagSet>) -> bool {
    let known = delivered.get(candidate.address.key());
    known.is_some_and(|known| candidate.tags.is_subset(known))
}

/// People with something to send of whom nothing was delivered.
fn count_new(candidates: &[Candidate<'_>], delivered: &HashMap<&str, &TagSet>) -> u64 {
    let keys = candidates.iter().map(|candidate| candidate.address.key());
    keys.filter(|key| !delivered.contains_key(key)).collect::<HashSet<_>>().len() as u64
}

/// What rows name that is no tag, as far as is known.
pub(super) fn unknown(book: &TagBook, rows: &[NewRow]) -> BTreeSet<String> {
    let mut sets = TagSets::default();
    for cell in rows.iter().filter_map(|row| row.tags.as_deref()) {
        sets.note_unknown(book, cell);
    }
    sets.unknown().clone()
}

fn ended(state: RowState, code: Code, reason: String) -> QueueOutcome {
    QueueOutcome::Ended { state, code, reason }
}

pub(super) fn sorted(hashes: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut hashes: Vec<i64> = hashes.collect();
    hashes.sort_unstable();
    hashes
}
