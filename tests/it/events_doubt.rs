//! Events while Luma fails: how many may end in doubt, what the policy makes of them, and that all goes on
//! once Luma is well.

use crate::events::{insert, migrated, names};
use crate::support::{PATIENCE, wait_until};

#[test]
fn the_policy_sends_again_as_often_as_attempts_are_allowed() {
    let extra = "events.on_unknown = \"send_again\"\nretry.max_attempts = 3\nluma.max_in_flight = 1";
    let bench = migrated("reset@1+", extra);
    insert(&bench, "('Demo', null, null)");
    bench.sync([]).run().with_code(6);
    assert_eq!(bench.db().rows("select state, attempts from event_queue"), [["unknown", "3"]]);
    let by = bench.db().rows("select distinct decided_by, decision from event_resolutions");
    assert_eq!(by, [["events.on_unknown", "send_again"]]);

    // Doubt that an earlier pass has left is ended by the next one.
    let bench = migrated("reset@1", "");
    insert(&bench, "('Demo', null, null)");
    bench.sync([]).run().with_code(6);
    bench.configure("events.on_unknown = \"send_again\"");
    bench.sync([]).run().with_code(0);
    assert_eq!(names(&bench), ["Demo"]);
}

#[test]
fn while_luma_fails_events_are_not_thrown_after_each_other_into_doubt() {
    let bench = migrated("500@1+", "luma.max_in_flight = 2\nretry.max_backoff = \"100ms\"");
    let values: Vec<String> = (0..40).map(|number| format!("('Event {number}', null, null)")).collect();
    insert(&bench, &values.join(","));
    let service = bench.serve();
    wait_until(PATIENCE, "five faults", || {
        bench.db().count("select faults from accounts") >= 5 || bench.luma.snapshot().requests > 8
    });
    service.terminate();
    service.wait().with_code(143);
    let in_doubt = bench.db().count("select count(*) from event_queue where state = 'unknown'");
    // The probe succeeds here and lets five more go; without it all forty would be in doubt.
    assert!(in_doubt < 40, "{in_doubt} events in doubt");
}

#[test]
fn once_luma_is_well_again_all_other_events_follow() {
    // Four are lost together after the first, so that nobody had reason to set a pause.
    let bench = migrated(
        "reset@1,reset@2,reset@3,reset@4,reset@5",
        "luma.max_in_flight = 4\nretry.max_backoff = \"200ms\"",
    );
    insert(&bench, &(1..=20).map(|n| format!("('Night {n}', null, null)")).collect::<Vec<_>>().join(","));
    bench.sync([]).run().with_code(6);
    let states = bench.db().rows("select state, count(*) from event_queue group by state order by state");
    assert_eq!(states, [["created", "15"], ["unknown", "5"]]);
    let asked = bench.db().count("select count(*) from attempts where route = 'GET /user'");
    assert!(asked <= 3, "{asked} questions");
}

#[test]
fn an_event_that_was_asked_for_on_a_guess_is_never_called_refused() {
    let extra = "events.on_unknown = \"send_again\"\nretry.initial_backoff = \"10ms\"";
    let bench = migrated("reset-after@1,400@2", extra);
    insert(&bench, "('Demo', null, null)");
    bench.sync([]).run().with_code(6);
    let told = bench.db().rows("select state, attempts, reason like '%may have made it%' from event_queue");
    assert_eq!(told, [["unknown", "2", "1"]]);
    // Asking once more would tell nothing new: a person has to look.
    bench.sync([]).run().with_code(6);
    assert_eq!(names(&bench), ["Demo"]);
    bench.lumasync(["events", "resolve", "1", "--created", "evt-1", "--by", "Ana"]).run().with_code(0);
    bench.sync([]).run().with_code(0);
}
