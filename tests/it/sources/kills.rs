//! `kill -9` at any moment of a pass: nobody is lost, nobody is sent twice in vain, and no position is ahead
//! of what Luma holds.

use std::time::{Duration, Instant};

use fastrand::Rng;
use lumasync::sandbox::Options;

use super::world::{World, moment, on_every_source};
use crate::support::{Luma, PATIENCE, faulty, wait_until, within};

on_every_source! {
    a_pass_killed_between_its_parts_is_sent_as_far_as_it_came_and_the_next_one_reads_the_rest,
    kills_at_random_moments_lose_nobody_and_no_position_is_ahead_of_luma,
    a_source_is_taken_in_by_one_process_at_a_time,
}

const CURSOR: &str = "cursor = \"updated_at\"\nkey = \"id\"\noverlap = \"0s\"";

fn a_pass_killed_between_its_parts_is_sent_as_far_as_it_came_and_the_next_one_reads_the_rest(world: &World) {
    const PEOPLE: u64 = 300_000;
    world.people(0..PEOPLE);
    world.source("crm", "select id, email, updated_at from people", CURSOR);
    let running = world.bench.sync(["--source", "crm"]).spawn();
    let parts =
        "select count(*) from source_passes where state = 'taking' and parts_done between 1 and parts - 2";
    wait_until(PATIENCE, "a part", || world.has_passes() && world.bench.db().count(parts) == 1);
    running.suspend();
    assert_eq!(world.bench.db().count(parts), 1, "the test is too small: all parts are in");
    running.kill();
    assert_eq!(world.bench.luma.snapshot().imports, 0, "nothing is sent before all parts are in");
    let taken = world.bench.db().count("select count(*) from member_queue where state = 'pending'");

    let ended = world.bench.sync(["--source", "crm"]).run().with_code(1);
    let reports = ended.reports();
    assert_eq!(reports.len(), 2, "{ended}");
    assert_eq!(reports[0].text("status"), "failed", "{ended}");
    assert!(reports[0].text("reason").starts_with("broke off after "), "{ended}");
    assert_eq!(reports[0].rows("delivered"), taken.unsigned_abs(), "{ended}");
    assert_eq!((reports[1].rows("read"), reports[1].rows("unchanged")), (PEOPLE, taken.unsigned_abs()));
    assert_eq!(reports[1].rows("delivered"), PEOPLE - taken.unsigned_abs(), "{ended}");
    assert_eq!(world.bench.luma.members().len() as u64, PEOPLE);
    assert_eq!(world.bench.luma.snapshot().repeats, 0, "nobody is sent twice\n{ended}");
    let last = world.bench.db().rows("select position from source_positions");
    assert!(last[0][0].contains(&moment(PEOPLE - 1)), "{last:?}");
}

fn kills_at_random_moments_lose_nobody_and_no_position_is_ahead_of_luma(world: &mut World) {
    let options = Options { limit: None, seed: 5, ..faulty("500@10%,reset@5%,reset-after@5%,slow=10ms") };
    world.bench.luma = Luma::start(options);
    let fast = "batch.max_rows = 20\nretry.max_attempts = 50\nretry.max_backoff = \"20ms\"";
    world.configure(&format!("{fast}\nluma.rate_limit.per_second = 10"));
    world.people(0..1);
    world.source("crm", "select id, email, updated_at from people", CURSOR);
    let mut rng = Rng::with_seed(17);
    let (mut people, mut kills) = (1, 0);
    while kills < 15 {
        world.people(people..people + 700);
        people += 700;
        let wait = Duration::from_millis(rng.u64(30..500));
        let running = world.bench.sync(["--source", "crm"]).spawn();
        let begun = Instant::now();
        let _ = within(wait, || begun.elapsed() >= wait);
        let ended = running.kill();
        assert_eq!(ended.signal(), Some(9), "it was done before the kill: the test is too small\n{ended}");
        kills += 1;
        no_position_is_ahead(world);
    }
    world.configure(fast);
    world.bench.sync([]).run();
    let ended = world.bench.sync(["--source", "crm"]).run().with_code(0);
    no_position_is_ahead(world);
    assert_eq!(world.bench.luma.members().len() as u64, people, "{ended}");
    let db = world.bench.db();
    assert_eq!(
        db.count("select count(*) from batches where state in ('pending', 'in_flight')"),
        0,
        "{ended}"
    );
    assert_eq!(db.count("select count(*) from runs where finished_at is null"), 0, "{ended}");
    let position = db.rows("select position from source_positions");
    assert!(position[0][0].contains(&moment(people - 1)), "{position:?}\n{ended}");
    let sent = db.count("select count(*) from member_queue where state = 'delivered'");
    assert_eq!(sent.unsigned_abs(), people, "each person has one row that was sent\n{ended}");
}

/// Everybody up to the position of the source is held by Luma.
#[track_caller]
fn no_position_is_ahead(world: &World) {
    if !world.has_passes() {
        return;
    }
    let Some(position) = world.bench.db().rows("select position from source_positions").pop() else { return };
    let held = world.bench.luma.members();
    let mut number = 0;
    loop {
        let email = format!("p{number:06}@example.org");
        assert!(held.contains_key(&email), "`{email}` was passed over by {position:?}");
        if position[0].contains(&moment(number)) {
            return;
        }
        number += 1;
    }
}

fn a_source_is_taken_in_by_one_process_at_a_time(world: &World) {
    world.people(0..200_000);
    world.source("crm", "select id, email, updated_at from people order by email desc", "");
    let running = world.bench.sync(["--source", "crm"]).spawn();
    let taking = "select count(*) from source_passes where state = 'taking'";
    wait_until(PATIENCE, "a pass", || world.has_passes() && world.bench.db().count(taking) == 1);
    running.suspend();
    assert_eq!(world.bench.db().count(taking), 1, "the test is too small: the pass is over");
    let other = world.bench.sync(["--source", "crm"]).run().with_code(75);
    assert!(other.stderr.contains("source `crm` is being taken in now"), "{other}");
    running.resume();
    let ended = running.wait().with_code(0);
    assert_eq!(ended.report().rows("delivered"), 200_000, "{ended}");
    assert_eq!(world.bench.luma.snapshot().repeats, 0, "{ended}");
}
