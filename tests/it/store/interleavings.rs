//! Any order of intake, claims, answers, crashes, lapsed leases, retries and restarts: no row is
//! lost, none is delivered but by an answer to a request that held it, and the numbers add up.

use std::time::Duration;

use lumasync::store::{Claim, Input, Intake, StoreError, UnkeptLines};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::fixture::{
    ACCOUNT, FREE, Fixture, LEASE, claims, identity, on_postgres, on_sqlite, pending_rows, people,
};
use super::model::{Answer, Model, Unsent, settlement_for};

const TAGS: [&str; 4] = ["", "tag-vip", "tag-press", "tag-gold;tag-vip"];

#[derive(Clone, Debug)]
enum Step {
    Take {
        people: Vec<usize>,
        tags: usize,
        unsent: Unsent,
    },
    Claim {
        worker: usize,
        limit: usize,
    },
    /// Answers that came in together, and a request for more work.
    Answer {
        which: usize,
        answers: Vec<Answer>,
        worker: usize,
    },
    Die {
        worker: usize,
    },
    Lapse {
        worker: usize,
    },
    Retry,
    Wait {
        micros: u64,
    },
    Restart,
}

fn answers() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Accepted),
        1 => Just(Answer::Throttled),
        2 => Just(Answer::Fault),
        2 => Just(Answer::LastFault),
        2 => (1_u8..).prop_map(Answer::Refused),
        1 => Just(Answer::RefusedAlone),
        2 => Just(Answer::TooLarge),
        1 => Just(Answer::NeverSent),
        1 => Just(Answer::Interrupted),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let unsent = (0_u8..3, 0_u8..3).prop_map(|(duplicates, unchanged)| Unsent { duplicates, unchanged });
    prop_oneof![
        3 => (btree_set(0_usize..12, 0..9), 0..TAGS.len(), unsent)
            .prop_map(|(people, tags, unsent)| Step::Take { people: people.into_iter().collect(), tags, unsent }),
        6 => (0_usize..3, 1_usize..4).prop_map(|(worker, limit)| Step::Claim { worker, limit }),
        9 => (any::<usize>(), vec(answers(), 1..5), 0_usize..3)
            .prop_map(|(which, answers, worker)| Step::Answer { which, answers, worker }),
        1 => (0_usize..3).prop_map(|worker| Step::Die { worker }),
        1 => (0_usize..3).prop_map(|worker| Step::Lapse { worker }),
        1 => Just(Step::Retry),
        1 => (0_u64..5_000_000).prop_map(|micros| Step::Wait { micros }),
        1 => Just(Step::Restart),
    ]
}

struct World {
    db: Fixture,
    model: Model,
    workers: [i64; 3],
    everybody: Vec<String>,
}

impl World {
    async fn new(db: Fixture) -> Self {
        let workers = [db.worker().await, db.worker().await, db.worker().await];
        Self { db, model: Model::default(), workers, everybody: people(0..12) }
    }

    async fn go(&mut self, step: &Step) {
        let db = &self.db;
        match step {
            Step::Take { people, tags, unsent } => {
                let people: Vec<&str> = people.iter().map(|at| self.everybody[*at].as_str()).collect();
                let run = self.take(&people, TAGS[*tags], *unsent).await;
                self.model.took(run, &people, *unsent);
            }
            Step::Claim { worker, limit } => {
                let worker = self.workers[*worker];
                match db.ask(worker, *limit, FREE).await {
                    Claim::Batches(batches) => self.model.claimed(worker, batches),
                    Claim::Wait(..) => {}
                    Claim::Idle | Claim::Unknown => {
                        let held = self.model.held.iter().filter(|held| held.is_ours);
                        let held: usize = held.map(|held| held.batch.recipients.len()).sum();
                        assert_eq!(
                            self.model.rows_that_are("pending"),
                            held,
                            "nothing is called idle in vain"
                        );
                    }
                }
            }
            Step::Answer { which, answers, worker } => {
                self.answer(*which, answers, self.workers[*worker]).await;
            }
            Step::Die { worker } => self.end(*worker, false).await,
            Step::Lapse { worker } => {
                db.clock.advance(LEASE);
                for (at, id) in self.workers.iter().enumerate().filter(|(at, _)| at != worker) {
                    let (now, until) = (db.now(), db.now().plus(LEASE));
                    db.store.renew_worker(*id, &identity(), now, until).await.expect("renewed");
                    let spared = db.store.end_worker(*id, now, Some(now)).await.expect("asked");
                    assert_eq!(spared, 0, "worker {at} is alive");
                }
                self.end(*worker, true).await;
            }
            Step::Retry => {
                let (rows, _) =
                    db.store.retry_failed(None, None, [db.now(); 2], false).await.expect("retried");
                assert_eq!(rows, self.model.retried());
            }
            Step::Wait { micros } => db.clock.advance(Duration::from_micros(*micros)),
            Step::Restart => self.db.restart().await,
        }
    }

    /// Settles in one turn what is held, from the place `which` on, and claims for a worker.
    async fn answer(&mut self, which: usize, answers: &[Answer], worker_id: i64) {
        let held = &mut self.model.held;
        let at = which % held.len().max(1);
        let count = answers.len().min(held.len() - at);
        let answered: Vec<_> = held.drain(at..at + count).zip(answers).collect();
        let settlements: Vec<_> =
            answered.iter().map(|(held, answer)| settlement_for(&held.batch, **answer, &self.db)).collect();
        let claims = claims(worker_id, 2, FREE);
        let turned = self.db.store.turn(&settlements, Some(&claims), &self.db.clock).await;
        if answered.iter().all(|(held, _)| held.is_ours) {
            for (held, answer) in answered {
                self.model.answered(&held.batch, *answer);
            }
            if let Some(Claim::Batches(batches)) = turned.expect("all of them are ours") {
                self.model.claimed(worker_id, batches);
            }
        } else {
            // One that is lost spoils the turn for all; the others go on.
            assert!(matches!(turned, Err(StoreError::Lost { .. })), "{turned:?}");
            self.model.held.extend(answered.into_iter().map(|(held, _)| held).filter(|held| held.is_ours));
        }
    }

    async fn end(&mut self, worker: usize, by_lease: bool) {
        let (db, id) = (&self.db, self.workers[worker]);
        let freed = db.store.end_worker(id, db.now(), by_lease.then_some(db.now())).await.expect("ended");
        assert_eq!(freed, self.model.died(id));
        self.workers[worker] = db.worker().await;
    }

    async fn take(&self, people: &[&str], tags: &str, unsent: Unsent) -> i64 {
        use lumasync::domain::batch::{BatchLimits, BatchPlanner};
        let db = &self.db;
        let known = db.count("select count(*) from input_files").await;
        let (file, _) = db.file(&format!("list {known}"), 1).await;
        let tag_set = db.tag_set(tags).await;
        let mut planner = BatchPlanner::new(BatchLimits { max_rows: 3, max_bytes: 1_000 }, []);
        let pending = pending_rows(people, tag_set, &mut planner);
        let unkept = UnkeptLines {
            chunks: Vec::new(),
            duplicates: unsent.duplicates.into(),
            unchanged: unsent.unchanged.into(),
        };
        let intake = Intake {
            account: ACCOUNT,
            run_id: file.run_id,
            input: Input::File(file.id),
            part: 0,
            is_last: true,
            pending: &pending,
            new_members: 0,
            invalid: &[],
            unkept: &unkept,
            batches: planner.touched(),
            now: db.now(),
        };
        db.store.add_part(&intake).await.expect("taken in");
        db.store.release_run(file.run_id).await.expect("released");
        file.run_id
    }

    /// Whatever has happened: the rest can be delivered, and every run can end.
    async fn finish(&mut self) {
        for worker in 0..self.workers.len() {
            self.end(worker, false).await;
        }
        self.db.clock.advance(Duration::from_hours(1));
        let worker = self.db.worker().await;
        loop {
            match self.db.ask(worker, 5, FREE).await {
                Claim::Batches(batches) => {
                    for batch in batches {
                        self.db.deliver(&batch).await;
                        self.model.answered(&batch, Answer::Accepted);
                    }
                }
                Claim::Idle => break,
                Claim::Wait(until, why) => panic!("{why} until {until}"),
                Claim::Unknown => panic!("the database went away"),
            }
        }
        assert_eq!(self.model.rows_that_are("pending"), 0, "no row is stuck");
        for run in self.db.store.open_runs().await.expect("read") {
            let counts = self.db.store.count_rows(&run).await.expect("counted");
            let now = self.db.now();
            let ended = self.db.store.end_run(run.id, counts.status(), None, counts.read, now).await;
            assert!(ended.expect("asked"), "{run:?}");
        }
    }
}

#[test]
fn rows_are_accounted_for_after_any_interleaving_on_sqlite() {
    any_interleaving(48, |steps| on_sqlite(async |db| go_through(db, steps).await));
}

#[test]
fn rows_are_accounted_for_after_any_interleaving_on_postgres() {
    // Each case makes a database of its own, which takes longer there.
    any_interleaving(12, |steps| on_postgres(async |db| go_through(db, steps).await));
}

async fn go_through(db: Fixture, steps: &[Step]) {
    let mut world = World::new(db).await;
    for step in steps {
        world.go(step).await;
        world.model.hold_against(&world.db).await;
    }
    world.finish().await;
    world.model.hold_against(&world.db).await;
}

fn any_interleaving(cases: u32, test: impl Fn(&[Step])) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let ran = TestRunner::new(config).run(&vec(steps(), 1..50), |steps| {
        test(&steps);
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
}
