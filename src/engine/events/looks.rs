//! Looking for events in doubt: what Luma shows of them ends the doubt without a person.
//!
//! Questions, which may be repeated: within the quota, and on record like all requests. A look that is not
//! answered shows nothing; it is put off. What looks prove is the rule's affair, when they are due the
//! database's, so a pause is as long whoever looks next.

use std::time::Duration;

use crate::clock::Time;
use crate::domain::event::{
    Likeness, LookEnd, LookUp, OtherRows, PAUSE, Resolution, Shown, Sighting, settle_by_look,
};
use crate::domain::verdict::Verdict;
use crate::engine::drain::LOOK_AGAIN;
use crate::engine::error::chain;
use crate::engine::service::HOUSEKEEPING;
use crate::engine::{Engine, EngineError, Progress, Stop};
use crate::luma::{Reply, likeness_of};
use crate::store::{DueLook, Scope};

/// Events that are looked for together.
const AT_A_TIME: u32 = 100;
/// Pages of events that begin at one moment; more than that is no list that ends.
const MOST_PAGES: usize = 200;

/// An event in doubt and what it looks like.
type Wanted = (DueLook, Likeness);

impl Engine {
    /// Looks for events in doubt until told to stop.
    pub(in crate::engine) async fn look_for_all(&self, stop: &Stop) {
        while self.client.routes().can_look_up() && !stop.is_requested() {
            match self.look_for_doubts(Scope::All, stop).await {
                Ok(_) | Err(EngineError::Stopped) => {}
                Err(error) if error.is_passing() => tracing::debug!(%error, "events are looked for again"),
                Err(error) => {
                    tracing::error!(error = %chain(&error), "events in doubt could not be looked for");
                }
            }
            self.pause_or_stop(HOUSEKEEPING, stop).await;
        }
    }

    /// Looks for events in doubt, and waits for second looks, until there is something to create. Whether
    /// there may be; not where nothing is left to be looked for.
    pub(super) async fn see_doubts_out(&self, scope: Scope, stop: &Stop) -> Result<bool, EngineError> {
        while self.client.routes().can_look_up() {
            let looked = match self.look_for_doubts(scope, stop).await {
                Err(EngineError::Stopped) => return Ok(true),
                Err(error) if error.is_passing() => false,
                looked => looked?,
            };
            if looked || stop.is_requested() {
                return Ok(true);
            }
            let patience = Some(self.settings.retry.max_attempts);
            let now = self.clock.now();
            let left = self.store.looks_left(&self.settings.account, run_of(scope), now, patience).await;
            let until = match left {
                Ok(left) if left.events == 0 => return Ok(false),
                Ok(left) => left.next.unwrap_or(now).max(now),
                Err(error) if error.is_passing() => now.plus(LOOK_AGAIN),
                Err(error) => return Err(error.into()),
            };
            // However long: another process may be at it, and clocks are put right.
            match self.pause(until, LOOK_AGAIN, "a second look for events in doubt", stop).await {
                Err(EngineError::Stopped) => return Ok(true),
                paused => paused?,
            }
        }
        Ok(false)
    }

    /// Events in doubt of a run that are still to be looked for.
    pub async fn looks_left(&self, run: i64) -> Result<u64, EngineError> {
        if !self.client.routes().can_look_up() {
            return Ok(0);
        }
        let (account, now) = (&self.settings.account, self.clock.now());
        Ok(self.store.looks_left(account, Some(run), now, None).await?.events)
    }

    /// The runs with events that are still to be looked for.
    pub async fn runs_to_look_for(&self) -> Result<Vec<i64>, EngineError> {
        if !self.client.routes().can_look_up() {
            return Ok(Vec::new());
        }
        Ok(self.store.runs_to_look_for(&self.settings.account).await?)
    }

    /// Looks for the events in doubt whose time has come. Whether any of them is to be asked for again.
    async fn look_for_doubts(&self, scope: Scope, stop: &Stop) -> Result<bool, EngineError> {
        let mut is_any_pending = false;
        loop {
            let now = self.clock.now();
            let (account, run) = (&self.settings.account, run_of(scope));
            let due = self.store.due_looks(account, run, now, AT_A_TIME).await?;
            if due.is_empty() {
                return Ok(is_any_pending);
            }
            for (start, wanted) in self.by_start(due).await? {
                if stop.is_requested() {
                    return Err(EngineError::Stopped);
                }
                is_any_pending |= self.look_at(start, wanted, stop).await?;
            }
        }
    }

    /// Those that can be looked for, by when they begin: one list shows them all.
    async fn by_start(&self, due: Vec<DueLook>) -> Result<Vec<(Time, Vec<Wanted>)>, EngineError> {
        let mut groups: Vec<(Time, Vec<Wanted>)> = Vec::new();
        for look in due {
            let Some(likeness) = likeness_of(&look.body) else {
                let reason = "it was read for a dialect in which events have no address, so only a person can \
                              look for it";
                let end = LookEnd::Person { reason: reason.to_owned() };
                let now = self.clock.now();
                if self.store.begin_event_look(&look, now, now.plus(PAUSE)).await? {
                    self.store
                        .settle_event_look(&look, look.looked, &end, &self.settings.account, now)
                        .await?;
                }
                continue;
            };
            match groups.iter_mut().find(|(start, _)| *start == likeness.start_at) {
                Some((_, group)) => group.push((look, likeness)),
                None => groups.push((likeness.start_at, vec![(look, likeness)])),
            }
        }
        Ok(groups)
    }

    /// Looks for events that begin at one moment. Whether any of them is to be asked for again.
    async fn look_at(&self, start: Time, due: Vec<Wanted>, stop: &Stop) -> Result<bool, EngineError> {
        let mut wanted = Vec::with_capacity(due.len());
        for (look, likeness) in due {
            let now = self.clock.now();
            if self.store.begin_event_look(&look, now, now.plus(PAUSE)).await? {
                wanted.push((look, likeness));
            }
        }
        if wanted.is_empty() {
            return Ok(false);
        }
        let on_calendar = match self.events_of(start, stop).await? {
            Ok(events) => events,
            Err(reply) => return self.put_off(&wanted, &reply).await.map(|()| false),
        };
        // Asked after the list: whatever is in it has been asked for by then.
        let asked_for = self.store.asked_for(&self.settings.account).await?;
        let asked_for: Vec<(i64, String)> =
            asked_for.iter().filter_map(|(row, body)| Some((*row, likeness_of(body)?.slug))).collect();
        let known = self.rows_of(&on_calendar).await?;
        let mut is_any_pending = false;
        for (place, (look, likeness)) in wanted.iter().enumerate() {
            let mut others = known.clone();
            for (row, slug) in asked_for.iter().filter(|(row, _)| *row != look.id) {
                others.add_asked_for(slug, *row);
            }
            let mut sighting = Sighting::of(likeness, &on_calendar, None, &others);
            if !sighting.is_found() {
                let there = match self.event_under(&likeness.slug, stop).await? {
                    Ok(there) => there,
                    // The others would meet the same.
                    Err(reply) => {
                        self.put_off(&wanted[place..], &reply).await?;
                        break;
                    }
                };
                if let Some(there) = &there {
                    for (id, row) in self.store.rows_of(&self.settings.account, &[&there.id]).await? {
                        others.add_created(id, row);
                    }
                }
                sighting = Sighting::of(likeness, &on_calendar, there.as_ref(), &others);
            }
            is_any_pending |= self.conclude(look, &sighting).await?;
        }
        Ok(is_any_pending)
    }

    /// Writes what a look has come to. Whether the event is to be asked for again.
    async fn conclude(&self, look: &DueLook, sighting: &Sighting) -> Result<bool, EngineError> {
        let (mut looked, now) = (look.looked, self.clock.now());
        let look_up = looked.saw(sighting, &look.doubted, now);
        let is_absent = look_up == LookUp::AbsentTwice;
        let attempts_left = !self.settings.retry.is_exhausted(look.attempts);
        let end = settle_by_look(look_up, &look.doubted, attempts_left);
        if !self.store.settle_event_look(look, looked, &end, &self.settings.account, now).await? {
            tracing::debug!(event = look.id, "somebody else has decided about an event in doubt");
            return Ok(false);
        }
        let (event, run) = (look.id, look.run_id);
        match &end {
            LookEnd::Decided(Resolution::Created(api_id)) => {
                Progress::add(&self.progress.created, 1);
                Progress::add(&self.progress.settled, 1);
                tracing::info!(event, run, %api_id, "an event in doubt was found on Luma: it is created");
            }
            LookEnd::Decided(Resolution::SendAgain) => {
                tracing::info!(event, run, "an event in doubt is not on Luma: it is asked for again");
                return Ok(true);
            }
            LookEnd::Rejected { reason } | LookEnd::Failed { reason } => {
                Progress::add(&self.progress.settled, 1);
                tracing::info!(event, run, is_absent, "an event in doubt is not created");
                // The words of Luma may hold an address.
                tracing::debug!(event, %reason, "why it is not");
            }
            LookEnd::LookAgain => {
                tracing::info!(event, run, "an event in doubt is not on Luma; it is looked for once more");
            }
            LookEnd::Person { reason } => tracing::error!(
                event,
                run,
                %reason,
                "an event in doubt takes a person: see `lumasync events show {event}`"
            ),
        }
        Ok(false)
    }

    /// The events of the calendar that begin at a moment, all pages of them; the reply that is no answer.
    async fn events_of(&self, start: Time, stop: &Stop) -> Result<Result<Vec<Shown>, Reply>, EngineError> {
        let Some(route) = self.client.routes().events else { return Ok(Ok(Vec::new())) };
        let (mut events, mut cursor): (Vec<Shown>, Option<String>) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page =
                match self.ask_behind(route, self.client.events_at(start, cursor.as_deref()), stop).await? {
                    Ok((page, _)) => page,
                    Err(reply) => return Ok(Err(reply)),
                };
            events.extend(page.events);
            match page.next {
                None => return Ok(Ok(events)),
                next if next == cursor => break,
                next => cursor = next,
            }
        }
        Ok(Err(Reply::endless()))
    }

    /// What stands under an address. Nothing too where Luma has no route that says so: then the calendar's
    /// list alone decides.
    async fn event_under(
        &self,
        slug: &str,
        stop: &Stop,
    ) -> Result<Result<Option<Shown>, Reply>, EngineError> {
        while let Some(route) = self.client.slug_route() {
            match self.ask_behind(route, self.client.find_event(slug), stop).await? {
                Ok((there, _)) => return Ok(Ok(there)),
                // That route is not there: another one is asked, or none.
                Err(_) if self.client.slug_route() != Some(route) => {}
                Err(reply) => return Ok(Err(reply)),
            }
        }
        Ok(Ok(None))
    }

    /// Which of these events are those of rows.
    async fn rows_of(&self, events: &[Shown]) -> Result<OtherRows, EngineError> {
        let ids: Vec<_> = events.iter().map(|event| &event.id).collect();
        let mut others = OtherRows::default();
        for (id, row) in self.store.rows_of(&self.settings.account, &ids).await? {
            others.add_created(id, row);
        }
        Ok(others)
    }

    /// Puts looks off whose question was not answered.
    async fn put_off(&self, wanted: &[Wanted], reply: &Reply) -> Result<(), EngineError> {
        let now = self.clock.now();
        let (is_fault, asked) = match &reply.verdict {
            Verdict::Interrupted => (false, Some(Duration::ZERO)),
            Verdict::Throttled { retry_after } => {
                self.note_block(*retry_after).await?;
                Progress::add(&self.progress.throttled, 1);
                (false, Some(retry_after.unwrap_or(self.settings.allowance.window)))
            }
            Verdict::Transient { retry_after, .. } => (true, *retry_after),
            Verdict::Accepted
            | Verdict::Refused { .. }
            | Verdict::TooLarge { .. }
            | Verdict::Halted { .. } => (true, None),
        };
        for (look, _) in wanted {
            let wait = if is_fault {
                self.settings.retry.backoff(look.faults.saturating_add(1), self.chance(), asked)
            } else {
                asked.unwrap_or_default()
            };
            self.store.put_off_look(look, is_fault, now.plus(wait), now).await?;
        }
        if is_fault {
            Progress::add(&self.progress.faults, 1);
            let (events, status, verdict) = (wanted.len(), reply.status, reply.verdict.as_str());
            tracing::warn!(events, status, verdict, "events in doubt could not be looked for; trying again");
            tracing::debug!(detail = reply.verdict.detail(), "what was seen");
        }
        Ok(())
    }
}

const fn run_of(scope: Scope) -> Option<i64> {
    match scope {
        Scope::All => None,
        Scope::Run(run) => Some(run),
    }
}
