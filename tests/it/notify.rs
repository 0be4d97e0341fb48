//! Notices as a receiver sees them: once for each change of state, signed, without an address, and never at the
//! cost of work.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::support::{Bench, Foreign, Mood, PATIENCE, Post, Receiver, SIGN_KEY, TOKEN, wait_until};

/// Part of every address here, so that a piece of one is seen too.
const MARK: &str = "zqprivate";

fn partial(name: &str) -> String {
    format!("email\n{name}@example.org\nnobody\n")
}

fn waiting(bench: &Bench) -> i64 {
    bench.db().count("select count(*) from notices where outcome is null")
}

/// HMAC-SHA256 as RFC 2104 defines it.
fn hmac(key: &str, message: &str) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key.as_bytes());
    let with = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(with(0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(with(0x5c)).chain_update(inner).finalize();
    outer.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn a_pass_by_hand_tells_each_change_once_and_success_only_after_trouble() {
    let (bench, receiver) = (Bench::new("", ""), Receiver::start());
    bench.configure(&receiver.configure(&bench, ""));
    bench.scratch.write("list.csv", "email\nana@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(receiver.posts().len(), 0, "nothing was wrong");
    bench.scratch.write("list.csv", partial("bo"));
    bench.sync(["list.csv"]).run().with_code(4);
    // The same file is no new run.
    bench.sync(["list.csv"]).run().with_code(4);
    bench.scratch.write("other.csv", "email\ncy@example.org\n");
    bench.sync(["other.csv"]).run().with_code(0);
    bench.scratch.write("list.csv", "email\ndi@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);
    bench.scratch.write("list.csv", "email\ned@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);

    assert_eq!(receiver.topics(), ["partial", "recovered"]);
    let posts = receiver.posts();
    let (bad, good) = (posts[0].json(), posts[1].json());
    assert_eq!((&bad["run"]["id"], &bad["run"]["label"]), (&2.into(), &"list.csv".into()));
    assert_eq!(
        (&bad["run"]["rows"]["delivered"], &bad["run"]["codes"]["email_invalid"]),
        (&1.into(), &1.into())
    );
    assert_eq!((&good["run"]["id"], &good["run"]["after"]), (&4.into(), &2.into()));
    assert_ne!(bad["id"], good["id"]);
    assert_eq!(waiting(&bench), 0);
    assert_eq!(bench.db().count("select count(*) from troubles"), 0);
}

#[test]
fn a_run_that_fails_is_held_or_goes_well_again_is_told_and_only_what_is_asked_for() {
    let (bench, receiver) = (Bench::new("", ""), Receiver::start());
    let crm = Foreign::sqlite(&bench.scratch);
    let source =
        format!("[[source]]\nname = \"crm\"\nurl = \"{}\"\nquery = \"select email from people\"", crm.url);
    bench.configure(&receiver.configure(&bench, &source));
    bench.sync(["--source", "crm"]).run().with_code(78);
    crm.execute("create table people (email text)");
    crm.execute("insert into people values ('ana@example.org')");
    bench.sync(["--source", "crm"]).run().with_code(0);
    assert_eq!(receiver.topics(), ["failed", "recovered"]);
    let failed = receiver.posts()[0].json();
    assert_eq!((&failed["run"]["source"], &failed["run"]["status"]), (&"sql".into(), &"failed".into()));

    let hold = "update runs set status = 'held', finished_at = null where id = 2";
    bench.db_to_write().execute(hold);
    bench.db_to_write().execute("update runs set status = 'running' where id = 2");
    // Not a single second between them, and both are told.
    bench.db_to_write().execute(hold);
    bench.scratch.write("empty.csv", "email\n");
    bench.sync(["empty.csv"]).run().with_code(0);
    assert_eq!(receiver.topics(), ["failed", "recovered", "held", "held"]);

    let only = format!("notify.on = [\"failed\"]\n{source}");
    bench.configure(&receiver.configure(&bench, &only));
    bench.scratch.write("list.csv", partial("bo"));
    bench.sync(["list.csv"]).run().with_code(4);
    assert_eq!(receiver.posts().len(), 4);
    assert_eq!(waiting(&bench), 0);
    bench.configure(&receiver.configure(&bench, &source));
    bench.scratch.write("list.csv", "email\ncy@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(receiver.topics()[4..], ["recovered"], "what was not told was known all the same");
}

#[test]
fn a_post_is_signed_so_that_others_can_tell() {
    let (bench, receiver) = (Bench::new("", ""), Receiver::start());
    bench.configure(&receiver.configure(&bench, ""));
    bench.scratch.write("list.csv", partial("ana"));
    receiver.answer(&[Mood::Status(500), Mood::Status(200)]);
    bench.sync(["list.csv"]).run().with_code(4);
    wait_until(PATIENCE, "the second post", || {
        bench.sync(["list.csv"]).run();
        receiver.topics().len() == 1
    });
    let posts = receiver.posts();
    assert_eq!(posts[0].body, posts[1].body, "the same notice to the last byte");
    for Post { line, headers, body, .. } in posts {
        assert_eq!(line, format!("POST /{TOKEN} HTTP/1.1"));
        assert_eq!(headers["content-type"], "application/json");
        let (time, signed) = headers["lumasync-signature"].split_once(",v1=").expect("two parts");
        let time = time.strip_prefix("t=").expect("a time");
        assert_eq!(signed, hmac(SIGN_KEY, &format!("{time}.{body}")));
    }
    bench.configure(&receiver.configure(&bench, "").replace("notify.secret = \"file:hook.key\"\n", ""));
    bench.lumasync(["notify", "test"]).run().with_code(0);
    let last = receiver.posts().pop().expect("a test");
    assert!(!last.headers.contains_key("lumasync-signature"), "{last:?}");
}

#[test]
fn what_the_receiver_does_not_take_is_posted_again_in_order_and_not_too_soon() {
    let (bench, receiver) = (Bench::new("", ""), Receiver::start());
    bench.configure(&receiver.configure(&bench, ""));
    receiver.answer(&[Mood::HangUp, Mood::Wait(429, 2), Mood::Status(503), Mood::Status(200)]);
    let service = bench.serve();
    for name in ["a", "b", "c"] {
        bench.scratch.write(&format!("drop/members/{name}.csv"), partial(name));
        let done =
            format!("select count(*) from runs where label = '{name}.csv' and finished_at is not null");
        wait_until(PATIENCE, "the run", || bench.db().count(&done) == 1);
    }
    wait_until(PATIENCE, "three notices", || receiver.topics().len() == 3);
    let posts = receiver.posts();
    let label = |post: &Post| post.json()["run"]["label"].as_str().expect("a label").to_owned();
    let labels: Vec<String> = posts.iter().map(label).collect();
    assert_eq!(labels, ["a.csv", "a.csv", "a.csv", "a.csv", "b.csv", "c.csv"]);
    assert!(posts[2].came_at - posts[1].came_at >= Duration::from_secs(2), "it asked for two seconds");
    wait_until(PATIENCE, "the record", || waiting(&bench) == 0);
    service.terminate();
    service.wait().with_code(143);
    assert_eq!(receiver.posts().len(), 6);
    assert_eq!(
        bench.db().rows("select outcome, count(*), max(attempts) from notices group by 1"),
        [["delivered", "3", "4"]]
    );
}

#[test]
fn what_the_receiver_will_never_take_is_given_up_and_shown() {
    let (bench, receiver) = (Bench::new("", ""), Receiver::start());
    bench.configure(&receiver.configure(&bench, ""));
    receiver.answer(&[Mood::Status(410), Mood::Status(404)]);
    for name in ["a.csv", "b.csv"] {
        bench.scratch.write(name, partial(&name[..1]));
        bench.sync([name]).run().with_code(4);
    }
    assert_eq!(receiver.posts().len(), 2);
    let status = bench.lumasync(["status"]).run().with_code(0).stdout;
    assert!(status.contains("notices   1 notice to be posted since 20"), "{status}");
    assert!(status.contains(": it answered 404 Not Found"), "{status}");
    assert!(status.contains("notices   1 notice given up, the last at 20"), "{status}");
    let status = bench.lumasync(["--output", "json", "status"]).run().with_code(0).stdout;
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let notices = &status["notices"];
    assert_eq!((&notices["waiting"], &notices["given_up"]), (&1.into(), &1.into()), "{notices}");
}

#[test]
fn a_silent_receiver_keeps_nobody_from_work() {
    let (bench, receiver) = (Bench::new("", ""), Receiver::start());
    bench.configure(&receiver.configure(&bench, ""));
    receiver.answer(&[Mood::Silent]);
    let service = bench.serve();
    bench.scratch.write("drop/members/a.csv", partial("ana"));
    wait_until(PATIENCE, "a post that nobody answers", || receiver.posts().len() == 1);
    let held = bench.db().rows("select claims from hook");
    bench.db_to_write().execute(
        "with recursive n(i) as (select 0 union all select i + 1 from n where i < 1999)
         insert into member_queue (email) select 'p' || i || '@example.org' from n",
    );
    let left = "select count(*) from member_queue where state <> 'delivered' and state <> 'invalid'";
    wait_until(PATIENCE, "everybody's delivery", || bench.db().count(left) == 0);
    // All of it while the very first post was still waiting for its answer.
    assert_eq!((receiver.posts().len(), bench.db().rows("select claims from hook")), (1, held));
    assert_eq!(bench.luma.members().len(), 2_001);
    service.terminate();
    service.wait().with_code(143);
    assert!(waiting(&bench) > 0, "it is not lost");
    let answer = bench.db().rows("select answer from notices where outcome is null");
    assert_eq!(answer, [["lumasync ended before the answer"]]);
    receiver.answer(&[Mood::Status(200)]);
    wait_until(PATIENCE, "the next process", || {
        bench.sync([]).run();
        receiver.topics() == ["partial"]
    });
}

#[test]
fn over_three_processes_and_a_kill_every_change_is_told_and_none_as_two() {
    let (bench, receiver) = (Bench::new("", ""), Receiver::start());
    bench.configure(&receiver.configure(&bench, ""));
    receiver.answer(&[Mood::Slow, Mood::Status(500), Mood::Silent, Mood::Slow]);
    let mut services = vec![bench.serve(), bench.serve(), bench.serve()];
    let drop = |number: usize| {
        bench.scratch.write(&format!("drop/members/{number:02}.csv"), partial(&format!("p{number}")));
    };
    (0..4).for_each(drop);
    // It is in the middle of a post that nobody answers.
    let held = || receiver.posts().iter().any(|post| post.mood == Mood::Silent);
    wait_until(PATIENCE, "a post without an answer", held);
    services.remove(0).kill();
    (4..8).for_each(drop);
    services.remove(0).kill();
    (8..12).for_each(drop);
    services.push(bench.serve());
    let runs = "select count(*) from runs where status = 'partial'";
    wait_until(PATIENCE, "all runs", || bench.db().count(runs) == 12);
    wait_until(PATIENCE * 2, "all notices", || waiting(&bench) == 0);
    for service in services {
        service.terminate();
        service.wait().with_code(143);
    }
    let posts = receiver.posts();
    let told = |post: &Post| (post.json()["run"]["id"].as_i64().expect("a run"), post.text("id"));
    let mut taken: Vec<(i64, String)> = posts.iter().filter(|post| post.is_taken()).map(told).collect();
    let answered = taken.len();
    taken.sort();
    taken.dedup();
    let runs: Vec<i64> = taken.iter().map(|(run, _)| *run).collect();
    assert_eq!(runs, (1..=12).collect::<Vec<i64>>(), "each run under one id");
    assert!(answered <= 12 + 2, "only a kill between answer and record tells twice: {answered}");
    assert_eq!(bench.db().count("select count(*) from notices where outcome = 'delivered'"), 12);
}

#[test]
fn no_address_and_no_secret_is_in_a_post_or_in_what_is_said() {
    let refusing = format!("reject-named=bo.{MARK}@example.org");
    let (bench, receiver) = (Bench::new(&refusing, ""), Receiver::start());
    bench.configure(&receiver.configure(&bench, ""));
    let rows = |name: &str| {
        format!(
            "email,tags\nana{name}.{MARK}@example.org,\nbo.{MARK}@example.org,\nci{name}.{MARK} at example.org,\n\
                 di{name}.{MARK}@example.org,{MARK}@example.org\n"
        )
    };
    let labels = [
        format!("ana.{MARK}@example.org.csv"),
        format!("\"ana {MARK}\"@example.org.csv"),
        format!("to-{MARK}%40example.org.csv"),
        format!("{MARK}\u{ff20}example.org.csv"),
        format!("<mailto:{MARK}@example.org>.csv"),
        "plain.csv".to_owned(),
    ];
    let mut said = String::new();
    for (number, label) in labels.iter().enumerate() {
        bench.scratch.write(label, rows(&number.to_string()));
        let ended = bench.sync([label.as_str()]).run().with_code(4);
        said.push_str(&ended.stderr);
    }
    let test = bench.lumasync(["notify", "test"]).run().with_code(0);
    let check = bench.lumasync(["check"]).run().with_code(0);
    assert!(check.stdout.contains("notify    ok      `127.0.0.1` is told of failed, partial"), "{check}");
    receiver.answer(&[Mood::HangUp]);
    let broken = bench.lumasync(["--log-level", "trace", "notify", "test"]).run().with_code(75);
    for ended in [&test, &check, &broken] {
        said.push_str(&ended.stdout);
        said.push_str(&ended.stderr);
    }
    let posts = receiver.posts();
    assert_eq!(posts.len(), labels.len() + 2);
    for post in &posts {
        let bytes = format!("{:?}{}", post.headers, post.body);
        assert!(!bytes.contains(MARK) && !bytes.contains("example.org"), "{bytes}");
        assert!(!bytes.contains(SIGN_KEY) && !bytes.contains(TOKEN), "{bytes}");
    }
    assert!(posts[5].text("text").contains("plain.csv"), "{:?}", posts[5]);
    assert!(!said.contains(TOKEN) && !said.contains(SIGN_KEY), "{said}");
}

#[test]
fn events_that_need_a_person_are_told_once_for_each_doubt() {
    let (bench, receiver) = (Bench::new("reset-after@2", "luma.dialect = \"beta-2021\""), Receiver::start());
    bench.configure(&receiver.configure(&bench, "luma.dialect = \"beta-2021\""));
    let file = format!("name,client_key\nOne,1\nTwo of {MARK}@example.org,2\nThree,3\n");
    bench.scratch.write("events.csv", file);
    bench.sync(["--kind", "events", "events.csv"]).run().with_code(6);
    bench.sync(["--kind", "events", "events.csv"]).run().with_code(6);
    let mut topics = receiver.topics();
    topics.sort();
    assert_eq!(topics, ["partial", "unknown"]);
    let unknown = receiver.posts().into_iter().find(|post| post.text("topic") == "unknown").expect("told");
    let events = &unknown.json()["events"];
    let doubted = bench.db().count("select id from event_queue where state = 'unknown'");
    assert_eq!((&events["count"], &events["ids"][0]), (&1.into(), &doubted.into()), "{unknown:?}");
    assert!(!unknown.body.contains(MARK), "{unknown:?}");
    let number = doubted.to_string();
    bench.lumasync(["events", "resolve", &number, "--created", "evt-1", "--by", "ana"]).run().with_code(0);
    bench.scratch.write("empty.csv", "email\n");
    bench.sync(["empty.csv"]).run().with_code(0);
    assert_eq!(receiver.topics()[2..], ["recovered"], "its run has gone well after all");
}

#[test]
fn a_source_that_stays_away_is_told_once_and_so_is_its_return() {
    let (bench, receiver) = (Bench::new("", ""), Receiver::start());
    let expect = |every: &str| {
        receiver.configure(&bench, &format!("folder.expect = {{ every = \"{every}\", min_rows = 2 }}"))
    };
    bench.configure(&expect("1s"));
    let services = [bench.serve(), bench.serve(), bench.serve()];
    wait_until(PATIENCE, "a notice", || receiver.topics() == ["late"]);
    for service in services {
        service.terminate();
        service.wait().with_code(143);
    }
    assert_eq!(receiver.posts()[0].json()["source"]["standing"], "late");
    bench.configure(&expect("1h"));
    let service = bench.serve();
    wait_until(PATIENCE, "its return", || receiver.topics() == ["late", "recovered"]);
    bench.scratch.write("drop/members/a.csv", "email\nana@example.org\n");
    wait_until(PATIENCE, "a short list", || receiver.topics() == ["late", "recovered", "late"]);
    assert_eq!(receiver.posts()[2].json()["source"]["standing"], "short");
    service.terminate();
    service.wait().with_code(143);
    assert_eq!(receiver.posts().len(), 3);
}

#[test]
fn nobody_is_told_of_a_rehearsal_nor_of_what_was_before_anybody_asked() {
    let (bench, receiver) = (Bench::new("", ""), Receiver::start());
    bench.scratch.write("list.csv", partial("ana"));
    bench.sync(["list.csv"]).run().with_code(4);
    bench.configure(&receiver.configure(&bench, ""));
    bench.scratch.write("empty.csv", "email\n");
    bench.sync(["empty.csv"]).run().with_code(0);
    assert_eq!((receiver.posts().len(), waiting(&bench)), (0, 0));
    let rehearsal = Bench::new("", "");
    rehearsal.configure(&receiver.configure(&rehearsal, ""));
    rehearsal.scratch.write("list.csv", partial("bo"));
    rehearsal.sync(["--sandbox", "list.csv"]).run().with_code(4);
    assert_eq!(receiver.posts().len(), 0);
    let none = bench.lumasync(["--set", "notify.url=env:NO_SUCH", "notify", "test"]).run().with_code(78);
    assert!(none.stderr.contains("`NO_SUCH`, which is not set"), "{none}");
    bench.configure("");
    let none = bench.lumasync(["notify", "test"]).run().with_code(78);
    assert!(none.stderr.contains("there is no `notify.url`\nhint: "), "{none}");
}
