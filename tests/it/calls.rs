//! People who want different tags share requests: few of them, exactly the wanted tags, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lumasync::sandbox::Options;

use crate::support::{Bench, Luma, PATIENCE, Running, TestDatabase, faulty, wait_until};

/// People who each want some of many tags, as a file and as Luma is to know them.
struct Crowd {
    csv: String,
    members: BTreeMap<String, Vec<String>>,
    sets: usize,
}

impl Crowd {
    fn new(people: usize, tags: usize, each: usize, seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let (mut csv, mut members) = (String::from("email,tags\n"), BTreeMap::new());
        let mut sets = BTreeSet::new();
        for person in 0..people {
            let own: BTreeSet<String> =
                (0..each).map(|_| format!("tag-t{:03}", chance.usize(..tags))).collect();
            let own: Vec<String> = own.into_iter().collect();
            let _ = writeln!(csv, "p{person}@example.org,{}", own.join(";"));
            sets.insert(own.clone());
            members.insert(format!("p{person}@example.org"), own);
        }
        Self { csv, members, sets: sets.len() }
    }

    /// They want these tags as well.
    fn wanting_also(&self, seed: u64) -> Self {
        let more = Self::new(self.members.len(), 20, 3, seed);
        let unite = |(email, own): (&String, &Vec<String>)| {
            let all: BTreeSet<String> = own.iter().chain(&self.members[email]).cloned().collect();
            (email.clone(), all.into_iter().collect())
        };
        let members = more.members.iter().map(unite).collect();
        Self { members, ..more }
    }
}

/// Nobody is called delivered whom Luma does not know with all that the row wants, and nothing is left over.
fn all_is_accounted_for(bench: &Bench, people: usize) {
    let db = bench.db();
    let people = i64::try_from(people).expect("few");
    assert_eq!(db.count("select count(*) from member_queue where state = 'delivered'"), people);
    assert_eq!(db.count("select count(*) from batches where state in ('pending', 'in_flight')"), 0);
    assert_eq!(
        db.count("select coalesce(sum(row_count - away_rows), 0) from batches where state = 'delivered'"),
        people,
        "the batches count each row once"
    );
    assert_eq!(db.count("select count(*) from call_waits"), 0, "nothing waits for anything");
}

#[test]
fn people_who_nearly_all_want_other_tags_take_few_requests() {
    let bench = Bench::new("", "batch.max_rows = 100");
    let crowd = Crowd::new(1_000, 40, 5, 1);
    bench.scratch.write("list.csv", &crowd.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert!(crowd.sets > 900, "{}", crowd.sets);
    assert!(bench.luma.members() == crowd.members, "{ended}");
    let requests = bench.luma.snapshot().imports;
    // A pass for each of the tags, and an import of all.
    assert!(requests <= 40 * 2 + 10, "{requests} requests\n{ended}");
    assert_eq!(ended.report().rows("delivered"), 1_000, "{ended}");
    all_is_accounted_for(&bench, 1_000);
}

#[test]
fn what_people_have_already_is_not_sent_for_its_own_sake() {
    let bench = Bench::new("", "batch.max_rows = 100");
    let crowd = Crowd::new(300, 20, 3, 2);
    bench.scratch.write("list.csv", &crowd.csv);
    bench.sync(["list.csv"]).run().with_code(0);
    let before = bench.luma.snapshot().imports;
    let more = crowd.wanting_also(3);
    bench.scratch.write("more.csv", &more.csv);
    let ended = bench.sync(["more.csv"]).run().with_code(0);
    assert!(bench.luma.members() == more.members, "{ended}");
    let requests = bench.luma.snapshot().imports - before;
    assert!(requests <= 20 * 3 + 3, "{requests} requests\n{ended}");
}

#[test]
fn rows_of_the_queue_share_requests_too() {
    let bench = Bench::new("", "batch.max_rows = 100");
    let crowd = Crowd::new(500, 20, 4, 4);
    bench.lumasync(["db", "migrate"]).run().with_code(0);
    let rows: Vec<String> =
        crowd.members.iter().map(|(email, tags)| format!("('{email}', '{}')", tags.join(";"))).collect();
    bench.db_to_write().execute(&format!("insert into member_queue (email, tags) values {}", rows.join(",")));
    let ended = bench.sync([]).run().with_code(0);
    assert!(bench.luma.members() == crowd.members, "{ended}");
    let requests = bench.luma.snapshot().imports;
    assert!(requests <= 20 * 2 + 5, "{requests} requests for {} sets\n{ended}", crowd.sets);
    all_is_accounted_for(&bench, 500);
}

#[test]
fn whoever_is_refused_in_the_middle_leaves_and_the_others_get_all_they_want() {
    let extra = "batch.max_rows = 50\nretry.max_attempts = 20\nretry.max_backoff = \"20ms\"";
    let bench = Bench::new("reject=p7@example.org,500@5%,reset-after@5%", extra);
    let mut crowd = Crowd::new(200, 20, 4, 5);
    bench.scratch.write("list.csv", &crowd.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    crowd.members.remove("p7@example.org");
    assert!(bench.luma.members() == crowd.members, "{ended}");
    let report = ended.report();
    assert_eq!((report.rows("delivered"), report.rows("rejected")), (199, 1), "{ended}");
    all_is_accounted_for(&bench, 199);
}

/// Kills in the middle of passes, with faults, until everybody is done.
fn kill_until_done(bench: &Bench, people: usize, kills: usize, start: impl Fn() -> Running) {
    let all = i64::try_from(people).expect("few");
    let passed = || {
        if !bench.has_db() {
            return 0;
        }
        let sql = "select count(*) from attempts where verdict = 'accepted' and batch_id is not null";
        bench.db().count(sql)
    };
    for _ in 0..kills {
        let before = passed();
        let running = start();
        wait_until(PATIENCE * 4, "a few more calls", || passed() >= before + 12);
        running.kill();
        let sql = "select count(*) from member_queue where state = 'pending' and calls_left is not null";
        assert!(bench.db().count(sql) > 0, "the kill met nobody between two calls");
    }
    let left = "select count(*) from member_queue where state = 'pending'";
    assert!(bench.db().count(left) > 0 && bench.db().count(left) <= all);
}

#[test]
fn fifty_thousand_people_have_exactly_their_tags_after_kills_in_the_middle_of_passes() {
    let extra = "batch.max_rows = 500\nretry.max_attempts = 50\nretry.max_backoff = \"20ms\"";
    let bench = Bench::new("500@2%,reset@2%,reset-after@3%", extra);
    let crowd = Crowd::new(50_000, 40, 4, 6);
    bench.scratch.write("list.csv", &crowd.csv);
    kill_until_done(&bench, 50_000, 5, || bench.sync(["list.csv"]).spawn());
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert!(bench.luma.members() == crowd.members, "{ended}");
    assert_eq!(ended.report().rows("delivered"), 50_000, "{ended}");
    assert_eq!(bench.db().count("select count(*) from runs"), 1);
    all_is_accounted_for(&bench, 50_000);
}

#[test]
fn three_processes_on_one_postgres_pass_people_on_to_each_other() {
    let Some(database) = TestDatabase::new() else { return };
    let extra =
        "batch.max_rows = 50\nretry.max_attempts = 50\nretry.max_backoff = \"20ms\"\nworker.lease = \"5s\"";
    let bench = Bench::with_options_on(&database.url, faulty("500@2%,reset-after@3%,slow=5ms"), extra);
    let crowd = Crowd::new(1_500, 30, 5, 7);
    std::fs::create_dir_all(bench.scratch.path("drop/members")).expect("a folder");
    bench.scratch.write("drop/members/list.csv", &crowd.csv);
    let mut services: Vec<Running> = (0..3).map(|_| bench.serve()).collect();
    for turn in 0..4_i64 {
        let sql = "select count(*) from attempts where verdict = 'accepted' and batch_id is not null";
        wait_until(PATIENCE * 4, "some calls", || bench.db().count(sql) >= (turn + 1) * 15);
        services.remove(0).kill();
        services.push(bench.serve());
    }
    wait_until(PATIENCE * 4, "the end of the run", || {
        bench.db().count("select count(*) from runs where status = 'succeeded'") == 1
    });
    for service in services {
        service.terminate();
        service.wait().with_code(143);
    }
    assert!(bench.luma.members() == crowd.members);
    all_is_accounted_for(&bench, 1_500);
}

#[test]
fn what_failed_in_the_middle_comes_back_with_all_it_wants() {
    let extra = "batch.max_rows = 50\nretry.max_attempts = 2\nretry.max_backoff = \"20ms\"";
    let bench = Bench::new("500@40%", extra);
    let crowd = Crowd::new(300, 20, 4, 8);
    bench.scratch.write("list.csv", &crowd.csv);
    bench.sync(["list.csv"]).run().with_code(4);
    let failed = bench.db().count("select count(*) from member_queue where state = 'failed'");
    assert!(failed > 0, "nothing has failed");
    let calm = Luma::start(faulty(""));
    bench.point_to(&calm, extra);
    bench.lumasync(["retry"]).run().with_code(0);
    let ended = bench.sync([]).run().with_code(0);
    let (requests, most) = (calm.snapshot().imports, u64::try_from(failed / 2).expect("few"));
    assert!(requests <= most.max(20), "{requests} requests for {failed} rows\n{ended}");
    let (first, second) = (bench.luma.members(), calm.members());
    for (email, wanted) in &crowd.members {
        let of = |held: &BTreeMap<String, Vec<String>>| held.get(email).cloned().unwrap_or_default();
        let has: BTreeSet<String> = of(&first).into_iter().chain(of(&second)).collect();
        assert_eq!(has.into_iter().collect::<Vec<_>>(), *wanted, "{email}");
    }
    all_is_accounted_for(&bench, 300);
}

/// Today's API with the tags that a crowd may want.
fn calendar() -> Options {
    let known_tags = (0..20).map(|tag| format!("tag-t{tag:03}=T{tag}")).collect();
    Options { limit: None, known_tags, record: true, ..Options::default() }
}

const APPLY: &str = "/v1/calendars/contact-tags/apply";

fn applied(luma: &Luma) -> usize {
    luma.requests().iter().filter(|request| request.path.contains(APPLY)).count()
}

#[test]
fn todays_api_gives_contacts_single_tags_without_importing_them_again() {
    let extra = "luma.dialect = \"v1\"\nluma.verify = \"none\"\nbatch.max_rows = 100";
    let bench = Bench::with(calendar(), extra);
    let crowd = Crowd::new(400, 20, 2, 9);
    bench.scratch.write("list.csv", &crowd.csv);
    bench.sync(["list.csv"]).run().with_code(0);
    assert!(bench.luma.members() == crowd.members);
    let more = crowd.wanting_also(10);
    bench.scratch.write("more.csv", &more.csv);
    let ended = bench.sync(["more.csv"]).run().with_code(0);
    assert!(bench.luma.members() == more.members, "{ended}");
    assert!(applied(&bench.luma) > 0, "no tag was given by its own route\n{ended}");
}

#[test]
fn whoever_is_no_contact_any_more_is_imported_instead_of_given_a_tag() {
    let extra = "luma.dialect = \"v1\"\nluma.verify = \"none\"\nbatch.max_rows = 10";
    let bench = Bench::with(calendar(), extra);
    bench.scratch.write("list.csv", "email,tags\nana@example.org,tag-t001\nbo@example.org,tag-t002\n");
    bench.sync(["list.csv"]).run().with_code(0);
    // They are removed there, which nobody tells us.
    let other = Luma::start(calendar());
    bench.point_to(&other, extra);
    let more = "email,tags\nana@example.org,tag-t001;tag-t003\nbo@example.org,tag-t002;tag-t003\n";
    bench.scratch.write("more.csv", more);
    let ended = bench.sync(["more.csv"]).run().with_code(0);
    assert_eq!(applied(&other), 1, "{ended}");
    let tag = vec!["tag-t003".to_owned()];
    let both = ["ana@example.org", "bo@example.org"].map(|email| (email.to_owned(), tag.clone()));
    assert!(other.members() == BTreeMap::from(both), "{:?}\n{ended}", other.members());
    assert_eq!(ended.report().rows("delivered"), 2, "{ended}");
}
