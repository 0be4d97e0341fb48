//! Parts of an input on their way into the queue, whether it was a file or somebody else's database.
//!
//! Reading a part, looking it up in the ledger and writing the one before go on at the same time.
//! Knows nothing of where the rows come from.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::ahead::LedgerAhead;
use super::awaited::Awaited;
use super::diff::{Changed, Diff, KnownSets, Wanted, diff};
use super::lines::{UnkeptLine, pack};
use super::survey::Survey;
use super::{Engine, EngineError, Stop};
use crate::domain::batch::{BatchLimits, BatchPlanner};
use crate::domain::code::Code;
use crate::domain::suppression::Screen;
use crate::domain::tag::{TagSet, TagSets};
use crate::ingest::spill::{Part, Spill};
use crate::luma::Contact;
use crate::store::{BadInput, Input, Intake, LedgerSlice, PendingRow, UnkeptLines};

/// What is taken in part by part, and how far it is.
pub(super) struct Lot {
    pub(super) input: Input,
    pub(super) run_id: i64,
    pub(super) parts: u32,
    pub(super) parts_done: u32,
    /// Result files will tell of every line, also of those that are unchanged.
    pub(super) tells_all: bool,
}

/// One part, ready to be written.
pub(super) struct Prepared {
    pub(super) part: Part,
    pub(super) diff: Diff,
}

/// Parts that are prepared while one is written.
const AHEAD: usize = 3;

impl Engine {
    /// Puts the parts of a lot that are left into the queue, one after the other. Who is `awaited` is not
    /// sent again.
    pub(super) async fn take_parts(
        &self,
        lot: &Lot,
        survey: Survey,
        mut ledger: LedgerAhead,
        awaited: Option<Arc<Awaited>>,
        stop: &Stop,
    ) -> Result<(), EngineError> {
        let sets = Arc::new(self.known_sets(survey.sets).await?);
        let spill = Arc::new(survey.spill);
        // Who comes on the list meanwhile is left out when the rows are claimed.
        let screen = self.store.screen(&self.settings.account).await?;
        let open = self.store.open_batches(lot.run_id, self.settings.limits.max_rows).await?;
        let account = self.store.account(&self.settings.account).await?;
        let now = self.clock.now();
        let learnt = account.and_then(|account| account.max_body).filter(|(_, until)| *until > now);
        let max_bytes = learnt.map_or(usize::MAX, |(bytes, _)| bytes).min(self.settings.limits.max_bytes);
        let mut planner = BatchPlanner::new(BatchLimits { max_bytes, ..self.settings.limits }, open);
        let mut to_prepare = lot.parts_done..lot.parts;
        let mut ahead = VecDeque::with_capacity(AHEAD);
        for part in lot.parts_done..lot.parts {
            for next in to_prepare.by_ref().take(AHEAD - ahead.len()) {
                let slice = ledger.next().await?;
                ahead.push_back(self.prepare(next, slice, &spill, &sets, &screen, awaited.as_ref()));
            }
            let Some(ready) = ahead.pop_front() else { break };
            let prepared: Prepared = ready.await??;
            if stop.is_requested() {
                return Err(EngineError::Stopped);
            }
            self.write_part(lot, part, &prepared, &sets, &mut planner).await?;
        }
        self.release(lot.run_id).await
    }

    async fn known_sets(&self, local: TagSets) -> Result<KnownSets, EngineError> {
        let ids = self.store.intern_tag_sets(&local.iter().cloned().collect::<Vec<_>>()).await?;
        let stored = self.store.tag_sets().await?;
        Ok(KnownSets { local, ids, stored })
    }

    /// Loads one part and compares it with the ledger's side of it, in the background.
    pub(super) fn prepare(
        &self,
        part: u32,
        ledger: Option<LedgerSlice>,
        spill: &Arc<Spill>,
        sets: &Arc<KnownSets>,
        screen: &Screen,
        awaited: Option<&Arc<Awaited>>,
    ) -> JoinHandle<Result<Prepared, EngineError>> {
        let (store, account) = (self.store.clone(), self.settings.account.clone());
        let (spill, sets) = (Arc::clone(spill), Arc::clone(sets));
        let (screen, awaited) = (screen.clone(), awaited.cloned());
        let dir = self.settings.spill_dir.clone();
        tokio::spawn(async move {
            let loaded = tokio::task::spawn_blocking(move || spill.load(part)).await?;
            let part_rows = loaded.map_err(EngineError::io("read back rows from", &dir))?;
            let mut ledger = match ledger {
                Some(slice) => slice,
                None => store.ledger_lookup(&account, &part_rows.hashes().collect::<Vec<_>>()).await?,
            };
            tokio::task::spawn_blocking(move || {
                if let Some(awaited) = awaited {
                    awaited
                        .add_to(&mut ledger, part)
                        .map_err(EngineError::io("read back rows from", &awaited.dir))?;
                }
                let diff = diff(&part_rows, &ledger.entries()?, &sets, &screen);
                Ok(Prepared { part: part_rows, diff })
            })
            .await?
        })
    }

    async fn write_part(
        &self,
        lot: &Lot,
        part: u32,
        prepared: &Prepared,
        sets: &KnownSets,
        planner: &mut BatchPlanner,
    ) -> Result<(), EngineError> {
        let unions = self.union_ids(&prepared.diff.changed).await?;
        let rows = &prepared.part;
        let id_of = |wanted: &Wanted| match wanted {
            Wanted::Set(set) => sets.ids[*set as usize],
            Wanted::Union(set) => unions[set],
        };
        let mut changed: Vec<(i64, &Changed)> =
            prepared.diff.changed.iter().map(|changed| (id_of(&changed.wanted), changed)).collect();
        // The rows of a batch lie side by side then, and its settle touches few pages.
        changed.sort_by_key(|(tag_set, _)| *tag_set);
        let pending: Vec<PendingRow<'_>> = changed
            .into_iter()
            .map(|(tag_set, changed)| {
                let (row, name) = (rows.row(changed.row), rows.row(changed.named).name());
                let (email, name) = (row.email(), (!name.is_empty()).then_some(name));
                PendingRow {
                    email,
                    name,
                    line: row.line.cast_signed(),
                    key_hash: row.hash,
                    tag_set,
                    batch: planner.place(tag_set, self.client.contact_bytes(&Contact { email, name })),
                }
            })
            .collect();
        let bad = rows.bad().map(|row| BadInput {
            email: row.email,
            line: row.line.cast_signed(),
            code: row.code,
            reason: row.reason,
        });
        let suppressed = prepared.diff.suppressed.iter().map(|(place, reason)| BadInput {
            email: rows.row(*place).email(),
            line: rows.row(*place).line.cast_signed(),
            code: Code::Suppressed,
            reason,
        });
        let invalid: Vec<BadInput<'_>> = bad.chain(suppressed).collect();
        let ids = self
            .store
            .add_part(&Intake {
                account: &self.settings.account,
                run_id: lot.run_id,
                input: lot.input,
                part,
                is_last: part + 1 == lot.parts,
                pending: &pending,
                new_members: prepared.diff.new_members(),
                invalid: &invalid,
                unkept: &unkept(&prepared.diff, lot.tells_all),
                batches: planner.touched(),
                now: self.clock.now(),
            })
            .await?;
        planner.end_part(&ids);
        Ok(())
    }

    async fn union_ids(&self, changed: &[Changed]) -> Result<HashMap<TagSet, i64>, EngineError> {
        let mut unions: Vec<TagSet> = changed
            .iter()
            .filter_map(|changed| match &changed.wanted {
                Wanted::Set(_) => None,
                Wanted::Union(set) => Some(set.clone()),
            })
            .collect();
        unions.sort_unstable();
        unions.dedup();
        if unions.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = self.store.intern_tag_sets(&unions).await?;
        Ok(unions.into_iter().zip(ids).collect())
    }
}

/// Where there are no result files, only the duplicates are worth remembering.
fn unkept(diff: &Diff, tells_all: bool) -> UnkeptLines {
    let is_worth_it = |line: &&UnkeptLine| tells_all || line.twin > 0;
    let mut lines: Vec<UnkeptLine> = diff.unkept.iter().filter(is_worth_it).copied().collect();
    lines.sort_unstable();
    let unchanged = diff.unkept.len() as u64 - diff.duplicates;
    UnkeptLines { chunks: pack(&lines), duplicates: diff.duplicates, unchanged }
}
