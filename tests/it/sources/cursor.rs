//! Sources that go on from where they were read to: nobody is passed over, and a position waits for outcomes.

use super::world::{World, moment, on_every_source};
use crate::support::{PATIENCE, wait_until};

on_every_source! {
    only_what_has_come_since_is_read_and_ties_at_the_position_are_not_lost,
    the_overlap_finds_rows_that_were_written_late,
    rows_without_a_moment_are_read_every_time_and_the_future_is_not_believed,
    another_question_begins_anew,
    a_position_waits_for_every_row_and_for_what_was_left_to_earlier_runs,
    a_canceled_run_moves_no_position,
    numbers_are_cursors_too,
}

const QUERY: &str = "select id, email, tags, updated_at from people";
const CURSOR: &str = "cursor = \"updated_at\"\nkey = \"id\"\noverlap = \"0s\"";

impl World {
    /// Rows read and delivered by a sync of the source that ends well.
    #[track_caller]
    fn pass(&self) -> (u64, u64) {
        let report = self.bench.sync(["--source", "crm"]).run().with_code(0).report();
        (report.rows("read"), report.rows("delivered"))
    }

    /// Up to where the source is done.
    fn position(&self) -> Option<String> {
        self.bench.db().rows("select position from source_positions").pop().map(|mut row| row.remove(0))
    }
}

fn only_what_has_come_since_is_read_and_ties_at_the_position_are_not_lost(world: &World) {
    world.people(0..50);
    world.crm.execute(&format!("update people set updated_at = '{}'", moment(7)));
    world.source("crm", QUERY, CURSOR);
    assert_eq!(world.pass(), (50, 50));
    assert_eq!(world.pass(), (0, 0));
    // The same moment, and keys behind the last one; then a change of an old row.
    world.people(50..60);
    world.crm.execute(&format!("update people set updated_at = '{}'", moment(7)));
    assert_eq!(world.pass(), (10, 10));
    world
        .crm
        .execute(&format!("update people set tags = 'press', updated_at = '{}' where id = 3", moment(8)));
    assert_eq!(world.pass(), (1, 1));
    assert_eq!(world.bench.luma.members()["p000003@example.org"], ["tag-press", "tag-vip"]);
    assert!(world.position().expect("one").contains(":00:08"));
    assert_eq!(world.pass(), (0, 0));
}

fn the_overlap_finds_rows_that_were_written_late(world: &World) {
    world.people(600..660);
    world.source("crm", QUERY, &CURSOR.replace("0s", "5m"));
    assert_eq!(world.pass(), (60, 60));
    // Entered before the last one that was read, and seen only now.
    world.people(400..410);
    world.people(100..110);
    assert_eq!(world.pass(), (70, 10), "those of the last five minutes are read again");
    assert!(world.bench.luma.members().contains_key("p000405@example.org"));
    assert!(!world.bench.luma.members().contains_key("p000105@example.org"), "that late is too late");
    assert_eq!(world.bench.luma.snapshot().repeats, 0);
    // An overlap needs something that can be moved back.
    world.crm.execute("insert into people values (1, 'one@example.org', '', '2026-12-01 00:00:00')");
    let cast = if world.is_postgres() { "cast(id as text) || 'x'" } else { "id || 'x'" };
    let query = format!("select email, id, {cast} as version from people");
    world.source("crm", &query, &CURSOR.replace("updated_at", "version").replace("0s", "5m"));
    let ended = world.bench.sync(["--source", "crm"]).run().with_code(78);
    assert!(ended.stderr.contains("neither a moment nor a number"), "{ended}");
    assert!(ended.stderr.contains("hint: name a column of moments"), "{ended}");
    assert_eq!(world.bench.db().count("select count(*) from runs where status = 'failed'"), 1);
}

fn rows_without_a_moment_are_read_every_time_and_the_future_is_not_believed(world: &World) {
    world.people(0..20);
    world.crm.execute("update people set updated_at = null where id < 5");
    world.crm.execute("update people set updated_at = '2099-01-01 00:00:00' where id = 19");
    world.source("crm", QUERY, CURSOR);
    assert_eq!(world.pass(), (20, 20));
    assert!(world.position().expect("one").contains(":00:18"), "{:?}", world.position());
    world.people(20..21);
    assert_eq!(world.pass(), (7, 1), "five without a moment, one of the future, and the new one");
}

fn another_question_begins_anew(world: &World) {
    world.people(0..20);
    world.source("crm", QUERY, CURSOR);
    assert_eq!(world.pass(), (20, 20));
    assert_eq!(world.pass(), (0, 0));
    for (lines, delivered) in [("tags = [\"press\"]", 20), ("timeout = \"1m\"\ntags = [\"press\"]", 0)] {
        world.source("crm", QUERY, &format!("{CURSOR}\n{lines}"));
        let read = if delivered > 0 { 20 } else { 0 };
        assert_eq!(world.pass(), (read, delivered), "{lines}");
    }
    world.configure("tags.gold = \"tag-gold\"");
    assert_eq!(world.pass(), (20, 0), "a name that means something now may stand in any row");
}

fn a_position_waits_for_every_row_and_for_what_was_left_to_earlier_runs(world: &mut World) {
    world.people(0..30);
    world.luma("slow=30s@2");
    world.configure("batch.max_rows = 10\nluma.max_in_flight = 1");
    world.source("crm", QUERY, CURSOR);
    let running = world.bench.sync(["--source", "crm"]).spawn();
    wait_until(PATIENCE, "two imports", || world.bench.luma.snapshot().imports == 2);
    wait_until(PATIENCE, "an outcome", || {
        world.bench.db().count("select count(*) from member_queue where state = 'delivered'") == 10
    });
    let ended = running.kill();
    assert_eq!(world.position(), None, "rows are still to be sent\n{ended}");
    world.people(30..35);
    // The pass leaves to the first run what waits there.
    let ended = world.bench.sync(["--source", "crm"]).run().with_code(0);
    let reports = ended.reports();
    assert_eq!(reports.len(), 2, "{ended}");
    assert_eq!((reports[0].rows("read"), reports[0].rows("delivered")), (30, 30), "{ended}");
    assert_eq!((reports[1].rows("read"), reports[1].rows("delivered")), (35, 5), "{ended}");
    assert_eq!(reports[1].rows("unchanged"), 30, "{ended}");
    assert_eq!(world.bench.luma.members().len(), 35);
    assert_eq!(world.bench.luma.snapshot().repeats, 10, "only what was in a request at the kill\n{ended}");
    assert!(world.position().expect("one").contains(":00:34"));
    assert_eq!(world.pass(), (0, 0));
}

fn a_canceled_run_moves_no_position(world: &mut World) {
    world.people(0..30);
    world.luma("slow=30s@1");
    world.configure("batch.max_rows = 10\nluma.max_in_flight = 1");
    world.source("crm", QUERY, CURSOR);
    let running = world.bench.sync(["--source", "crm"]).spawn();
    wait_until(PATIENCE, "an import", || world.bench.luma.snapshot().imports == 1);
    running.kill();
    world.bench.lumasync(["runs", "cancel", "1"]).run().with_code(0);
    assert_eq!(world.position(), None);
    world.luma("");
    assert_eq!(world.pass().0, 30, "what was canceled is read again");
    assert_eq!(world.bench.luma.members().len(), 30);
    assert!(world.position().expect("one").contains(":00:29"));
}

fn numbers_are_cursors_too(world: &World) {
    world.people(0..30);
    let query = "select id * 3 as version, cast(id as text) as nr, email from people";
    world.source("crm", query, "cursor = \"version\"\nkey = \"nr\"\noverlap = \"0s\"");
    assert_eq!(world.pass(), (30, 30));
    world.people(100..110);
    world.people(30..32);
    assert_eq!(world.pass(), (12, 12), "100 comes behind 87, as numbers do and texts do not");
    world.people(110..111);
    world.people(40..41);
    assert_eq!(world.pass(), (1, 1));
    let real = "select id + 0.5 as version, id as nr, email from people";
    world.source("crm", real, "cursor = \"version\"\nkey = \"nr\"\noverlap = \"1s\"");
    assert_eq!(world.pass(), (44, 1));
    world.people(111..112);
    assert_eq!(world.pass(), (3, 1), "one second back, and what is new");
}
