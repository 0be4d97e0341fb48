//! Forgetting and tracing: rows go and stay counted, nobody who waits is sent, what is in a request is let be.

use lumasync::domain::code::Code;
use lumasync::domain::outcome::Outcome;
use lumasync::domain::person::Person;
use lumasync::store::{ForgetError, Happening, RunCounts, Settlement, Suppression};

use super::fixture::{ACCOUNT, Fixture, delivered, people, refs, settlement};

on_every_database! {
    who_waits_is_never_sent_and_the_numbers_add_up,
    who_is_in_a_request_is_let_be_until_it_is_answered,
    what_was_delivered_stays_counted_and_is_known_no_more,
    whoever_is_alone_in_a_request_leaves_no_row_behind,
    a_failed_row_that_is_forgotten_is_not_retried,
    answers_that_quote_the_person_keep_all_but_the_address,
    whoever_keeps_what_they_read_is_told_to_read_it_anew,
    a_story_is_told_in_the_order_of_time,
}

pub(super) fn person(email: &str) -> Person {
    Person::parse(email).expect("somebody")
}

/// The counts of a run, which are the same however they are taken.
pub(super) async fn counts(db: &Fixture, run: i64) -> RunCounts {
    let run = db.store.run(run).await.expect("read").expect("a run");
    let counts = db.store.count_rows(&run).await.expect("counted");
    assert_eq!(db.store.run_counts(&run).await.expect("counted"), counts, "by rows and by batches");
    assert_eq!(counts.read, counts.accounted(), "{counts:?}");
    counts
}

async fn who_waits_is_never_sent_and_the_numbers_add_up(db: &Fixture) {
    let run = db.list(&refs(&people(0..6)), "tag-vip", 3).await;
    let before = db.everything().await;
    let looked = db.store.forget(&person("P0001@example.org"), db.now(), true).await.expect("looked");
    assert_eq!((looked.rows, looked.waiting, db.everything().await), (1, 1, before));
    let erased = db.store.forget(&person("P0001@example.org"), db.now(), false).await.expect("forgotten");
    assert_eq!((erased.rows, erased.waiting), (1, 1));
    let counted = counts(db, run).await;
    assert_eq!((counted.pending, counted.canceled, counted.read), (5, 1, 6));
    let worker = db.worker().await;
    let batches = db.claim(worker, 9).await;
    let sent: Vec<&str> =
        batches.iter().flat_map(|batch| &batch.recipients).map(|row| row.email.as_str()).collect();
    assert_eq!(sent.len(), 5);
    assert!(!sent.contains(&"p0001@example.org"), "{sent:?}");
    for batch in &batches {
        db.deliver(batch).await;
    }
    assert_eq!(counts(db, run).await.delivered, 5);
    let again = db.store.forget(&person("p0001@example.org"), db.now(), false).await.expect("forgotten");
    assert_eq!(again.rows, 0, "nothing is counted twice");
    assert_eq!(counts(db, run).await.canceled, 1);
}

async fn who_is_in_a_request_is_let_be_until_it_is_answered(db: &Fixture) {
    let run = db.list(&refs(&people(0..3)), "tag-vip", 3).await;
    let worker = db.worker().await;
    let batch = db.claim(worker, 1).await.remove(0);
    let before = db.everything().await;
    let said = db.store.forget(&person("p0002@example.org"), db.now(), false).await.expect_err("in flight");
    assert!(matches!(said, ForgetError::InFlight), "{said}");
    assert_eq!(db.everything().await, before);
    db.deliver(&batch).await;
    db.store.forget(&person("p0002@example.org"), db.now(), false).await.expect("forgotten");
    assert_eq!(counts(db, run).await.delivered, 3);
}

async fn what_was_delivered_stays_counted_and_is_known_no_more(db: &Fixture) {
    let run = db.list(&refs(&people(0..3)), "tag-vip", 3).await;
    let worker = db.worker().await;
    let batch = db.claim(worker, 1).await.remove(0);
    db.deliver(&batch).await;
    db.execute("insert into member_queue (email, name) values ('P0000@Example.org ', 'Ana')").await;
    let before = counts(db, run).await;
    let erased = db.store.forget(&person("p0000@example.org"), db.now(), false).await.expect("forgotten");
    assert_eq!((erased.rows, erased.waiting, erased.confirmed), (2, 1, 1));
    assert_eq!(counts(db, run).await, before);
    assert_eq!(db.count("select members from accounts where name = 'main'").await, 2);
    assert_eq!(db.count("select count(*) from ledger where email_key like 'p0000%'").await, 0);
    assert_eq!(db.count("select count(*) from member_queue where lower(email) like 'p0000%'").await, 0);
    assert_eq!(db.count("select count(*) from member_queue").await, 2, "neighbours are left");
    let story = db.store.trace(&person("p0000@example.org")).await.expect("a story");
    assert_eq!(story, lumasync::store::Story::default());
}

async fn whoever_is_alone_in_a_request_leaves_no_row_behind(db: &Fixture) {
    let run = db.list(&refs(&people(0..2)), "tag-vip", 1).await;
    let worker = db.worker().await;
    let first = db.claim(worker, 1).await.remove(0);
    db.deliver(&first).await;
    for email in ["p0000@example.org", "p0001@example.org"] {
        db.store.forget(&person(email), db.now(), false).await.expect("forgotten");
    }
    let counted = counts(db, run).await;
    assert_eq!((counted.delivered, counted.canceled, counted.pending), (1, 1, 0));
    assert!(!db.store.has_work(run).await.expect("read"), "nothing is left to send");
    assert_eq!(db.store.run_requests(run).await.expect("counted"), 1);
}

async fn a_failed_row_that_is_forgotten_is_not_retried(db: &Fixture) {
    let run = db.list(&refs(&people(0..3)), "tag-vip", 3).await;
    let worker = db.worker().await;
    let batch = db.claim(worker, 1).await.remove(0);
    let gone = Outcome::Failed { code: Code::AttemptsExhausted, reason: "no luck".to_owned() };
    db.settle(settlement(&batch, gone, Some("transient"))).await.expect("settled");
    db.store.forget(&person("p0000@example.org"), db.now(), false).await.expect("forgotten");
    assert_eq!(counts(db, run).await.failed, 3);
    let causes = db.store.causes(run).await.expect("causes");
    assert_eq!((causes.len(), causes[0].rows, causes[0].more_rows()), (1, 3, 1), "{causes:?}");
    let (rows, _) = db.store.retry_failed(None, None, [db.now(); 2], false).await.expect("retried");
    assert_eq!(rows, 2);
    let counted = counts(db, run).await;
    assert_eq!((counted.pending, counted.failed), (2, 1));
}

async fn answers_that_quote_the_person_keep_all_but_the_address(db: &Fixture) {
    db.list(&refs(&people(0..2)), "tag-vip", 2).await;
    let worker = db.worker().await;
    let batch = db.claim(worker, 1).await.remove(0);
    let reason = "Luma refuses P0000@example.org, not xp0000@example.org".to_owned();
    let refused = Outcome::Rejected { places: vec![0, 1], reason: reason.clone(), probe: false };
    let settled = Settlement { detail: Some(reason), ..settlement(&batch, refused, Some("refused")) };
    db.settle(settled).await.expect("settled");
    db.execute(
        "update accounts set blocked_until = '2026-11-22T19:00:00.000000Z', block_cause = 'faults',
                block_reason = 'p0000@example.org'",
    )
    .await;
    let erased = db.store.forget(&person("p0000@example.org"), db.now(), false).await.expect("forgotten");
    assert_eq!(erased.texts, 3, "{erased:?}");
    let struck = "Luma refuses [forgotten], not xp0000@example.org";
    let texts = db.rows("select reason from member_queue union all select detail from attempts").await;
    assert_eq!(texts, [[struck], [struck]]);
    assert_eq!(db.rows("select block_reason from accounts").await, [["[forgotten]"]]);
}

async fn a_story_is_told_in_the_order_of_time(db: &Fixture) {
    let run = db.list(&refs(&people(0..3)), "tag-vip", 3).await;
    let worker = db.worker().await;
    db.clock.advance(std::time::Duration::from_secs(1));
    let batch = db.claim(worker, 1).await.remove(0);
    db.clock.advance(std::time::Duration::from_secs(1));
    let answered = Settlement { detail: Some("well".to_owned()), ..delivered(&batch) };
    db.settle(answered).await.expect("settled");
    db.execute("insert into member_queue (email) values ('Pia <p0001@example.org>')").await;
    let story = db.store.trace(&person("P0001@EXAMPLE.org")).await.expect("a story");
    let told: Vec<&str> = story
        .moments
        .iter()
        .map(|moment| match &moment.what {
            Happening::Came { .. } => "came",
            Happening::Asked { .. } => "asked",
            Happening::Answered { .. } => "answered",
            Happening::Ended { .. } => "ended",
        })
        .collect();
    // The row of another program is dated by the database's own clock.
    let mut expected = vec!["came", "asked", "answered", "ended"];
    let new = story.moments.iter().position(|moment| moment.what == Happening::Came { row: 4 });
    expected.insert(new.expect("the new row"), "came");
    assert_eq!(told, expected);
    assert_eq!(story.rows.iter().map(|row| row.state.as_str()).collect::<Vec<_>>(), ["delivered", "new"]);
    assert_eq!((story.confirmed.len(), story.confirmed[0].run_id), (1, run));
    assert_eq!((story.confirmed[0].account.as_str(), story.confirmed[0].tags.as_str()), (ACCOUNT, "tag-vip"));
}

async fn whoever_keeps_what_they_read_is_told_to_read_it_anew(db: &Fixture) {
    let reason = Some("asked for by p0001@example.org");
    let why = Suppression { account: None, reason, origin: "by hand", now: db.now() };
    db.store.suppress(&["p0002@example.org"], &why).await.expect("suppressed");
    let told = || async {
        let screen = db.store.screen(ACCOUNT).await.expect("read");
        screen.reason("p0002@example.org").expect("suppressed").to_string()
    };
    assert!(told().await.contains("p0001@example.org"));
    let before = db.store.removals().await.expect("counted");
    db.store.forget(&person("p0001@example.org"), db.now(), true).await.expect("looked");
    assert_eq!(db.store.removals().await.expect("counted"), before);
    db.store.forget(&person("p0001@example.org"), db.now(), false).await.expect("forgotten");
    assert!(db.store.removals().await.expect("counted") > before);
    assert!(told().await.ends_with("asked for by [forgotten]"), "{}", told().await);
}
