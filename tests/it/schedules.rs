//! Schedules under a clock that the test moves: downtime, fires that overlap, clocks that are put right.

use std::time::Duration;

use lumasync::clock::{Clock, Time};
use lumasync::domain::cron::{Cron, Timetable};
use lumasync::domain::expect::{Expectation, Standing};
use lumasync::domain::schedule::{FireState, Missed, Overlap, Policy, Schedule};
use lumasync::engine::{Engine, Scheduler, Stop, Stopper};
use lumasync::store::Fire;

use crate::support::{Scratch, Told, fleet};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const GRACE: Duration = Duration::from_mins(10);

fn schedule(name: &str, cron: &str, missed: Missed, overlap: Overlap) -> Schedule {
    Schedule {
        name: name.to_owned(),
        cron: cron.to_owned(),
        zone: "UTC".to_owned(),
        timetable: Timetable::new(Cron::parse(cron).expect(cron), "UTC").expect("a zone"),
        sources: vec!["folder".to_owned()],
        policy: Policy { missed, grace: GRACE, overlap },
    }
}

fn time(text: &str) -> Time {
    Time::parse(text).expect(text)
}

/// One service, its clock and its folder.
struct World {
    scratch: Scratch,
    clock: Clock,
    engine: Engine,
    scheduler: Scheduler,
    stop: Stop,
    _stopper: Stopper,
}

impl World {
    /// A service that starts at noon on the first day and looks once.
    async fn new(schedules: &[Schedule]) -> Self {
        let told = Told { schedules: schedules.to_vec(), ..Told::default() };
        let mut world = Self::with(Scratch::new(), "2026-05-01T12:00:00Z", told).await;
        world.look().await;
        world
    }

    async fn with(scratch: Scratch, now: &str, told: Told) -> Self {
        let clock = Clock::manual(time(now));
        let fleet = fleet(&scratch, &clock, told).await;
        let engine = fleet.engines().next().expect("an engine").clone();
        let (stopper, stop) = Stopper::new();
        Self { scheduler: Scheduler::new(fleet), scratch, clock, engine, stop, _stopper: stopper }
    }

    /// The same place, found by a service with another clock or other schedules.
    async fn restart(self, now: &str, schedules: &[Schedule]) -> Self {
        let told = Told { schedules: schedules.to_vec(), ..Told::default() };
        self.engine.end().await.expect("ended");
        self.engine.store().close().await;
        let mut world = Self::with(self.scratch, now, told).await;
        world.look().await;
        world
    }

    async fn look(&mut self) {
        self.scheduler.look(&self.stop).await.expect("looked");
        self.scheduler.rest().await;
    }

    async fn look_after(&mut self, wait: Duration) {
        self.clock.advance(wait);
        self.look().await;
    }

    fn drop_list(&self, name: &str) {
        self.scratch.write(&format!("drop/members/{name}.csv"), format!("email\n{name}@example.org\n"));
    }

    /// `(due, state, earlier)` of every fire, oldest first.
    async fn fires(&self, schedule: &str) -> Vec<(String, FireState, u64)> {
        let mut fires = self.all(schedule).await;
        fires.reverse();
        fires
            .iter()
            .map(|fire| (fire.due_at.to_string()[5..16].to_owned(), fire.state, fire.earlier))
            .collect()
    }

    async fn all(&self, schedule: &str) -> Vec<Fire> {
        self.engine.store().last_fires(schedule, 1_000).await.expect("fires")
    }
}

fn fired(due: &str, state: FireState, earlier: u64) -> (String, FireState, u64) {
    (due.to_owned(), state, earlier)
}

#[tokio::test]
async fn a_schedule_fires_when_it_is_due_and_once() {
    let mut world = World::new(&[schedule("a", "0 13 * * *", Missed::Skip, Overlap::Skip)]).await;
    world.look_after(Duration::from_micros(3_599_999_999)).await;
    assert_eq!(world.fires("a").await, [], "what was due before it was known is not");
    world.look_after(Duration::from_micros(1)).await;
    world.look_after(HOUR).await;
    let once = [fired("05-01T13:00", FireState::Succeeded, 0)];
    assert_eq!(world.fires("a").await, once);
    let world = world
        .restart("2026-05-01T15:00:00Z", &[schedule("a", "0 13 * * *", Missed::RunOnce, Overlap::Skip)])
        .await;
    assert_eq!(world.fires("a").await, once);
}

#[tokio::test]
async fn a_downtime_is_made_up_for_once_or_not_at_all() {
    let both = [
        schedule("once", "0 13 * * *", Missed::RunOnce, Overlap::Skip),
        schedule("skip", "0 13 * * *", Missed::Skip, Overlap::Skip),
    ];
    let mut world = World::new(&both).await;
    world.drop_list("ana");
    world.look_after(3 * DAY + 2 * HOUR).await;
    world.look_after(HOUR).await;
    assert_eq!(world.fires("once").await, [fired("05-04T13:00", FireState::Running, 3)]);
    assert_eq!(world.fires("skip").await, [fired("05-04T13:00", FireState::Skipped, 3)]);
    let fire = world.all("once").await.remove(0);
    assert_eq!(
        world.engine.store().fire_runs(fire.id).await.expect("runs").len(),
        1,
        "the folder was taken in"
    );

    // As late as the grace allows is on time.
    let mut world = world.restart("2026-05-05T13:10:00Z", &both).await;
    assert_eq!(world.fires("skip").await[1], fired("05-05T13:00", FireState::Succeeded, 0));
    world.look_after(DAY + Duration::from_micros(1)).await;
    assert_eq!(world.fires("skip").await[2], fired("05-06T13:00", FireState::Skipped, 0));
}

#[tokio::test]
async fn a_fire_is_not_over_before_its_runs_and_the_next_is_skipped_or_waits() {
    let both = [
        schedule("queue", "0 * * * *", Missed::Skip, Overlap::Queue),
        schedule("skip", "0 * * * *", Missed::Skip, Overlap::Skip),
    ];
    let mut world = World::new(&both[..1]).await;
    world.drop_list("ana");
    world.look_after(HOUR).await;
    for _ in 0..3 {
        world.look_after(HOUR).await;
    }
    let (running, queued, skipped) = (FireState::Running, FireState::Queued, FireState::Skipped);
    let states =
        |fires: Vec<(String, FireState, u64)>| fires.into_iter().map(|fire| fire.1).collect::<Vec<_>>();
    assert_eq!(states(world.fires("queue").await), [running, queued, skipped, skipped]);
    world.drop_list("bo");
    cancel_runs(&world).await;
    world.look().await;
    assert_eq!(states(world.fires("queue").await), [FireState::Partial, running, skipped, skipped]);
    let second = &world.all("queue").await[2];
    assert_eq!(
        world.engine.store().fire_runs(second.id).await.expect("runs").len(),
        1,
        "the list dropped meanwhile"
    );
    cancel_runs(&world).await;

    let mut world = world.restart("2026-05-02T00:00:00Z", &both[1..]).await;
    world.drop_list("cy");
    world.look_after(HOUR).await;
    world.look_after(HOUR).await;
    assert_eq!(states(world.fires("skip").await), [running, skipped]);
    cancel_runs(&world).await;
    world.look_after(HOUR).await;
    assert_eq!(states(world.fires("skip").await), [FireState::Partial, skipped, FireState::Succeeded]);
}

async fn cancel_runs(world: &World) {
    let store = world.engine.store();
    for run in store.open_runs().await.expect("runs") {
        store.cancel_run(run.id, "canceled by hand", world.clock.now()).await.expect("canceled");
    }
}

#[tokio::test]
async fn a_clock_put_back_fires_nothing_twice_and_a_clock_far_ahead_is_forgiven() {
    let hourly = [schedule("a", "0 * * * *", Missed::RunOnce, Overlap::Skip)];
    let mut world = World::new(&hourly).await;
    world.look_after(2 * HOUR).await;
    let first = fired("05-01T14:00", FireState::Succeeded, 1);
    assert_eq!(world.fires("a").await, std::slice::from_ref(&first));

    let mut world = world.restart("2026-05-01T13:58:00Z", &hourly).await;
    world.look_after(Duration::from_mins(4)).await;
    assert_eq!(world.fires("a").await, std::slice::from_ref(&first), "14:00 came again");
    world.look_after(HOUR).await;
    let second = fired("05-01T15:00", FireState::Succeeded, 0);
    assert_eq!(world.fires("a").await, [first, second]);

    let world = world.restart("2028-05-01T12:30:00Z", &hourly).await;
    assert_eq!(world.fires("a").await.len(), 3, "once, however many there were");
    let mut world = world.restart("2026-05-01T15:30:00Z", &hourly).await;
    world.look_after(HOUR).await;
    let fires = world.fires("a").await;
    assert_eq!((fires.len(), &fires[3]), (4, &fired("05-01T16:00", FireState::Succeeded, 0)));
}

#[tokio::test]
async fn a_clock_put_forward_is_a_downtime() {
    let hourly = [schedule("a", "0 * * * *", Missed::RunOnce, Overlap::Skip)];
    let mut world = World::new(&hourly).await;
    world.look_after(5 * HOUR + GRACE).await;
    assert_eq!(world.fires("a").await, [fired("05-01T17:00", FireState::Succeeded, 4)]);
}

#[tokio::test]
async fn what_was_due_by_another_rule_or_in_a_pause_was_not_missed() {
    let at = |hour: u32| [schedule("a", &format!("0 {hour} * * *"), Missed::RunOnce, Overlap::Skip)];
    let world = World::new(&at(20)).await;
    let world = world.restart("2026-05-02T12:00:00Z", &at(11)).await;
    assert_eq!(world.fires("a").await, []);
    let store = world.engine.store().clone();
    store.pause_schedule("a", "ana", world.clock.now()).await.expect("paused");
    let mut world = world;
    world.look_after(2 * DAY).await;
    assert_eq!(world.fires("a").await, []);
    store.resume_schedule("a", "ana", world.clock.now()).await.expect("resumed");
    world.look_after(HOUR).await;
    assert_eq!(world.fires("a").await, []);
    world.look_after(23 * HOUR).await;
    assert_eq!(world.fires("a").await, [fired("05-05T11:00", FireState::Succeeded, 0)]);
}

#[tokio::test]
async fn a_source_that_is_gone_fails_the_fire_and_holds_up_no_other() {
    let mut broken = schedule("a", "0 13 * * *", Missed::Skip, Overlap::Skip);
    broken.sources = vec!["crm".to_owned(), "folder".to_owned()];
    let mut world = World::new(&[broken]).await;
    world.look_after(HOUR).await;
    assert_eq!(world.fires("a").await, [fired("05-01T13:00", FireState::Failed, 0)]);
    let fire = world.all("a").await.remove(0);
    let sources = world.engine.store().fire_sources(fire.id).await.expect("sources");
    let told: Vec<_> = sources.iter().map(|source| source.reason.as_deref()).collect();
    assert_eq!(told, [Some("`crm` is no longer configured, or its `url` is not to be had"), None]);
}

#[tokio::test]
async fn a_fire_left_by_a_dead_worker_goes_on_and_takes_nothing_in_twice() {
    let daily = [schedule("a", "0 13 * * *", Missed::Skip, Overlap::Skip)];
    let mut world = World::new(&daily).await;
    world.drop_list("ana");
    world.look_after(HOUR).await;
    let fire = world.all("a").await.remove(0);
    // As if the process had died when the list was in and before that was noted.
    let before = "update schedule_fires set taken_at = null, worker_id = 999 where state = 'running';
                  update schedule_fire_sources set taken_at = null";
    let database = world.scratch.path("t.db");
    tokio::task::spawn_blocking(move || crate::support::Db::open_to_write(&database).execute(before))
        .await
        .expect("done");
    let mut world = world.restart("2026-05-01T13:00:10Z", &daily).await;
    let store = world.engine.store().clone();
    let again = world.all("a").await;
    assert_eq!((again.len(), again[0].claim), (1, fire.claim + 1));
    assert_eq!(store.fire_runs(fire.id).await.expect("runs").len(), 1);
    cancel_runs(&world).await;
    world.look().await;
    assert_eq!(world.fires("a").await, [fired("05-01T13:00", FireState::Partial, 0)]);
}

#[tokio::test]
async fn a_list_that_stays_away_or_shrinks_is_told_until_it_is_well_again() {
    let expected = Expectation { every: Some(26 * HOUR), min_rows: Some(2) };
    let told = Told { expectations: vec![("folder".to_owned(), expected)], ..Told::default() };
    let world = World::with(Scratch::new(), "2026-05-01T12:00:00Z", told).await;
    let store = world.engine.store();
    let standing = async || {
        world.engine.check_expectations().await.expect("checked");
        store.expected_sources().await.expect("sources")[0].standing
    };
    let take = async |rows: &str| {
        world.scratch.write(&format!("drop/members/{}.csv", rows.len()), format!("email\n{rows}"));
        let settings = world.engine.folder_settings().expect("a folder");
        let mut folder = lumasync::engine::DropFolder::open(settings).expect("opened").expect("free");
        world.engine.folder_pass(&mut folder, &world.stop).await.expect("looked");
    };
    assert_eq!(standing().await, Standing::Met);
    world.clock.advance(26 * HOUR + Duration::from_secs(1));
    assert_eq!(standing().await, Standing::Late);
    take("ana@example.org\n").await;
    assert_eq!(standing().await, Standing::Short);
    take("ana@example.org\nbo@example.org\n").await;
    assert_eq!(standing().await, Standing::Met);
    world.clock.advance(27 * HOUR);
    assert_eq!(standing().await, Standing::Late);
    // The same bytes again send nothing, and are no silence.
    take("ana@example.org\nbo@example.org\n").await;
    assert_eq!(standing().await, Standing::Met);
}
