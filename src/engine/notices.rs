//! Telling people outside: changes that the database has noted become notices, and are posted one after the other.
//!
//! A task of its own with a client of its own, so work never waits for a receiver; what it cannot tell now is told
//! by whoever comes next. Knows no JSON, and no more of a run than its numbers.

use std::sync::Mutex;
use std::time::Duration;

use super::error::chain;
use super::{Engine, EngineError, Fleet, Stop};
use crate::clock::{Clock, Time};
use crate::domain::code::Code;
use crate::domain::event::OnUnknown;
use crate::domain::notice::{Fate, Topic, Trouble, subject};
use crate::domain::state::RunStatus;
use crate::hook::{About, Hook, Message, Reply, RunFacts, SourceFacts};
use crate::store::{Change, HookClaim, Notice, Posted, Run, RunCounts, Store};

/// How often it is looked whether there is something to tell.
const LOOK: Duration = Duration::from_secs(1);
/// How often what was told long ago is forgotten.
const PRUNE: Duration = Duration::from_hours(1);
/// How long the end of a process waits for a receiver.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long it waits before it asks again whether another process has told all.
const MOMENT: Duration = Duration::from_millis(50);

/// Who is told, and of what.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Where notices are posted.
    pub hook: Hook,
    /// What is told.
    pub topics: Vec<Topic>,
}

/// What posts the notices of one process.
#[derive(Debug)]
pub struct Notifier {
    store: Store,
    clock: Clock,
    engines: Vec<Engine>,
    receiver: Option<Receiver>,
    rng: Mutex<fastrand::Rng>,
}

/// How a look at what is to be told ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Nothing is left.
    All,
    /// Another process is at it, or the receiver is left alone for a while.
    NotNow,
    /// The receiver did not answer well.
    PutOff,
}

/// What becomes of one change.
struct Worded {
    message: Option<(Topic, String)>,
    trouble: Option<(String, i64, Trouble)>,
}

impl Notifier {
    /// One for the accounts of a fleet. Without a receiver it only sees to it that changes do not pile up.
    #[must_use]
    pub fn new(fleet: &Fleet, receiver: Option<Receiver>, seed: u64) -> Self {
        let first = fleet.first();
        Self {
            store: first.store.clone(),
            clock: first.clock.clone(),
            engines: fleet.engines().cloned().collect(),
            receiver,
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// Makes the receiver known, so that what changes from now on is told.
    pub async fn meet(&self) -> Result<(), EngineError> {
        if self.receiver.is_some() {
            self.store.meet_hook().await?;
        }
        Ok(())
    }

    /// Tells what there is to tell until told to stop, and then for a moment what is left.
    pub async fn run(&self, stop: &Stop) {
        let mut prune_at = self.clock.now();
        while !stop.is_requested() {
            if prune_at <= self.clock.now() {
                prune_at = self.clock.now().plus(PRUNE);
                if let Err(error) = self.store.prune_notices(self.clock.now()).await {
                    tracing::debug!(error = %chain(&error), "old notices stay for now");
                }
            }
            self.look(stop, None).await;
            tokio::select! {
                () = self.clock.sleep(LOOK) => {}
                () = stop.requested() => {}
            }
        }
        self.say_farewell(stop).await;
    }

    async fn say_farewell(&self, stop: &Stop) {
        if self.receiver.is_none() {
            return;
        }
        let until = self.clock.now().plus(FAREWELL);
        // A pass by hand is over before anybody has looked at what is expected.
        if let Some(first) = self.engines.first()
            && let Err(error) = first.check_expectations().await
        {
            tracing::debug!(error = %chain(&error), "what is expected of sources could not be looked at");
        }
        while self.look(stop, Some(until)).await == Told::NotNow && self.clock.now() < until {
            match self.store.is_hook_due(self.clock.now()).await {
                Ok(true) => self.clock.sleep(MOMENT).await,
                Ok(false) | Err(_) => return,
            }
        }
    }

    /// Tells what there is to tell; a failure is looked at again the next time.
    async fn look(&self, stop: &Stop, until: Option<Time>) -> Told {
        let Some(receiver) = &self.receiver else { return Told::All };
        match self.tell_all(receiver, stop, until).await {
            Ok(told) => told,
            // Another process has taken over, or the database is busy.
            Err(error) if error.is_passing() => {
                tracing::debug!(error = %chain(&error), "notices are looked at again");
                Told::NotNow
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "notices could not be posted");
                Told::PutOff
            }
        }
    }

    async fn tell_all(
        &self,
        receiver: &Receiver,
        stop: &Stop,
        until: Option<Time>,
    ) -> Result<Told, EngineError> {
        if receiver.topics.contains(&Topic::Unknown) {
            for engine in &self.engines {
                engine.note_doubts().await?;
            }
        }
        if !self.store.has_notices().await? {
            return Ok(Told::All);
        }
        // Asked first: the claim itself is a write.
        if !self.store.is_hook_due(self.clock.now()).await? {
            return Ok(Told::NotNow);
        }
        let Some(claim) = self.store.claim_hook(self.clock.now()).await? else { return Ok(Told::NotNow) };
        let told = self.tell_as(claim, receiver, stop, until).await;
        self.store.let_go_of_hook(claim).await?;
        told
    }

    /// Posts one after the other, for as long as the receiver answers well.
    async fn tell_as(
        &self,
        mut claim: HookClaim,
        receiver: &Receiver,
        stop: &Stop,
        until: Option<Time>,
    ) -> Result<Told, EngineError> {
        while let Some(notice) = self.store.next_notice().await? {
            if until.map_or_else(|| stop.is_requested(), |until| until <= self.clock.now()) {
                return Ok(Told::NotNow);
            }
            let Some((topic, body)) = self.worded(receiver, claim, &notice).await? else { continue };
            let reply = tokio::select! {
                reply = receiver.hook.post(body) => reply,
                () = self.end_of_patience(stop, until) => Reply::cut_off(),
            };
            if !self.settle(claim, &notice, topic, &reply).await? {
                return Ok(Told::PutOff);
            }
            claim.faults = 0;
        }
        Ok(Told::All)
    }

    /// Waits until not even a post under way is waited for.
    async fn end_of_patience(&self, stop: &Stop, until: Option<Time>) {
        if let Some(until) = until {
            return self.clock.sleep_until(until).await;
        }
        stop.requested().await;
        self.clock.sleep(FAREWELL).await;
    }

    /// What is to be posted of a change, which is on record before it is; nothing where it is not to be told.
    async fn worded(
        &self,
        receiver: &Receiver,
        claim: HookClaim,
        notice: &Notice,
    ) -> Result<Option<(Topic, String)>, EngineError> {
        if let Some(worded) = &notice.worded {
            return Ok(Some(worded.clone()));
        }
        let Worded { message, trouble } = self.put_into_words(notice).await?;
        let message = message.filter(|(topic, _)| receiver.topics.contains(topic));
        let said = message.as_ref().map(|(topic, body)| (*topic, body.as_str()));
        let trouble = trouble.as_ref().map(|(subject, run, trouble)| (subject.as_str(), *run, *trouble));
        self.store.word_notice(claim, notice.id, said, trouble, self.clock.now()).await?;
        Ok(message)
    }

    async fn put_into_words(&self, notice: &Notice) -> Result<Worded, EngineError> {
        let (topic, about, trouble) = match &notice.change {
            Change::Run(run, status) => self.run_in_words(*run, *status).await?,
            Change::Source(name, standing) => {
                let known =
                    self.store.expected_sources().await?.into_iter().find(|known| known.source == *name);
                let last = known.and_then(|known| known.last).map(|pass| (pass.at, pass.rows));
                let facts = SourceFacts { name: name.clone(), standing: *standing, last };
                (Some(Topic::of_source(*standing)), Some(About::Source(facts)), None)
            }
            Change::Doubts(account, ids) => {
                let about = About::Events { account: account.clone(), ids: ids.clone() };
                (Some(Topic::Unknown), Some(about), None)
            }
        };
        let message = topic.zip(about).map(|(topic, about)| {
            let message = Message { topic: Some(topic), at: notice.noted_at, number: notice.id, about };
            (topic, message.body())
        });
        Ok(Worded { message, trouble })
    }

    async fn run_in_words(
        &self,
        run_id: i64,
        status: RunStatus,
    ) -> Result<(Option<Topic>, Option<About>, Option<(String, i64, Trouble)>), EngineError> {
        let Some(run) = self.store.run(run_id).await? else { return Ok((None, None, None)) };
        let subject = subject([&run.account, run.kind.as_str(), run.source.as_str(), &run.label]);
        let before = self.store.trouble(&subject).await?;
        let stands = match before {
            // Of itself it is only known how it stands now.
            Some(before) if before != run_id => self.store.run(before).await?.map(|run| run.status),
            _ => before.map(|_| RunStatus::Partial),
        };
        let is_same = |other: &Run| {
            (other.status, other.kind, other.source) == (RunStatus::Held, run.kind, run.source)
                && (&other.account, &other.label) == (&run.account, &run.label)
        };
        let is_one_held = self.store.open_runs().await?.iter().any(is_same);
        let (topic, trouble) = Topic::of_run(status, stands, is_one_held);
        let trouble = Some((subject, run_id, trouble));
        if topic.is_none() {
            return Ok((None, None, trouble));
        }
        let counts = self.store.run_counts(&run).await?;
        let codes = self.store.code_counts(run_id).await?;
        let facts = RunFacts {
            id: run_id,
            account: run.account,
            label: run.label,
            kind: run.kind.as_str(),
            source: run.source.as_str(),
            status,
            rows: rows_of(&counts),
            // Other programs write to the tables of rows too.
            codes: codes.into_iter().filter(|(code, _)| Code::parse(code).is_some()).collect(),
            after: before.filter(|_| topic == Some(Topic::Recovered)),
        };
        Ok((topic, Some(About::Run(facts)), trouble))
    }

    /// Writes down what a post came to. Whether the receiver has it, or never will: then the next one may go.
    async fn settle(
        &self,
        claim: HookClaim,
        notice: &Notice,
        topic: Topic,
        reply: &Reply,
    ) -> Result<bool, EngineError> {
        let now = self.clock.now();
        let jitter = self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner).f64();
        let faults = claim.faults.saturating_add(1);
        let fate = Fate::of(reply.heard, faults, now.since(notice.noted_at), jitter);
        let (id, said) = (notice.id, reply.said.clone());
        let posted = match fate {
            Fate::Delivered => {
                tracing::info!(notice = id, %topic, "a notice is delivered");
                Posted::Delivered
            }
            Fate::Later(wait) => {
                if claim.faults == 0 {
                    tracing::warn!(notice = id, %topic, "notices wait for their receiver: {said}");
                }
                Posted::Later(now.plus(wait), said)
            }
            Fate::GivenUp => {
                tracing::error!(notice = id, %topic, "a notice is given up: {said}");
                Posted::GivenUp(said)
            }
        };
        let until = now.plus(FAREWELL);
        // What the receiver has is not to be told again because the database was busy.
        while let Err(error) = self.store.settle_notice(claim, id, &posted, self.clock.now()).await {
            if !error.is_passing() || self.clock.now() >= until {
                return Err(error.into());
            }
            self.clock.sleep(MOMENT).await;
        }
        Ok(!matches!(posted, Posted::Later(..)))
    }
}

impl Engine {
    /// Notes which events in doubt have come to need a person.
    async fn note_doubts(&self) -> Result<(), EngineError> {
        let can_look_up = self.client.routes().can_look_up();
        let asked_again_until = match self.settings.on_unknown {
            OnUnknown::Hold => None,
            OnUnknown::SendAgain => Some(self.settings.retry.max_attempts),
        };
        self.store.note_doubts(&self.settings.account, can_look_up, asked_again_until).await?;
        Ok(())
    }
}

/// The rows that there are, by where they stand.
fn rows_of(counts: &RunCounts) -> Vec<(&'static str, u64)> {
    let rows = [
        ("read", counts.read),
        ("pending", counts.pending),
        ("in_flight", counts.in_flight),
        ("delivered", counts.delivered),
        ("verified", counts.verified),
        ("missing", counts.missing),
        ("created", counts.created),
        ("unknown", counts.unknown),
        ("rejected", counts.rejected),
        ("failed", counts.failed),
        ("invalid", counts.invalid),
        ("duplicate", counts.duplicate),
        ("unchanged", counts.unchanged),
        ("suppressed", counts.suppressed),
        ("held", counts.held),
        ("canceled", counts.canceled),
    ];
    rows.into_iter().filter(|(state, rows)| *rows > 0 || *state == "read").collect()
}
