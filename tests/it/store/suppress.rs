//! Who is never sent: nobody on the list is claimed, however the list and the rows came to meet.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use lumasync::domain::outcome::Outcome;
use lumasync::domain::refusal::Control;
use lumasync::store::{Claim, ClaimedBatch, Settlement, Store, StoreError, SuppressedRows, Suppression};
use tokio::task::JoinSet;

use super::fixture::{ACCOUNT, FREE, Fixture, ask, delivered, faulted, people, refs, settlement};

on_every_database! {
    nobody_on_the_list_is_claimed_and_the_numbers_add_up,
    rows_that_wait_are_ended_and_those_in_a_request_end_as_it_does,
    who_comes_back_from_a_request_or_by_hand_is_not_sent_again,
    a_batch_that_is_being_filled_is_left_to_its_claim,
    halves_and_controls_know_the_list,
    whoever_is_told_that_somebody_is_suppressed_sees_them_claimed_by_nobody,
    an_entry_is_of_its_account_and_can_be_taken_out,
    a_handle_reads_what_others_have_changed,
    the_list_holds_no_address,
}

/// Suppresses people of every account.
async fn suppress(store: &Store, db: &Fixture, people: &[&str]) -> u64 {
    let why = Suppression { account: None, reason: Some("asked"), origin: "by hand", now: db.now() };
    store.suppress(people, &why).await.expect("suppressed")
}

fn addresses(batches: &[ClaimedBatch]) -> Vec<&str> {
    batches.iter().flat_map(|batch| &batch.recipients).map(|row| row.email.as_str()).collect()
}

/// Each row's state by its address.
async fn states(db: &Fixture) -> Vec<Vec<String>> {
    db.rows("select email, state from member_queue order by email").await
}

async fn reports_add_up(db: &Fixture, run: i64) {
    let run = db.store.run(run).await.expect("read").expect("a run");
    let counts = db.store.count_rows(&run).await.expect("counted");
    assert_eq!(counts.read, counts.accounted(), "{counts:?}");
    let mut quick = db.store.run_counts(&run).await.expect("counted");
    // Row by row, one in a request waits.
    quick.pending += std::mem::take(&mut quick.in_flight);
    assert_eq!(quick, counts, "the quick way says the same");
}

async fn nobody_on_the_list_is_claimed_and_the_numbers_add_up(db: &Fixture) {
    let crowd = people(0..7);
    let run = db.list(&refs(&crowd), "tag-vip", 3).await;
    // As another process does, after the intake has looked at the list.
    let other = db.open().await.expect("opened");
    assert_eq!(suppress(&other, db, &[&crowd[1], &crowd[6]]).await, 2);
    let worker = db.worker().await;
    let batches = db.claim(worker, 9).await;
    assert_eq!(
        addresses(&batches),
        ["p0000", "p0002", "p0003", "p0004", "p0005"].map(|name| format!("{name}@example.org"))
    );
    let told =
        db.rows("select email, code, reason from member_queue where state = 'suppressed' order by 1").await;
    let reason = "suppressed since 2026-11-22: asked";
    assert_eq!(told, [[&crowd[1], "suppressed", reason], [&crowd[6], "suppressed", reason]]);
    for batch in &batches {
        db.deliver(batch).await;
    }
    assert_eq!(db.ask(worker, 9, FREE).await, Claim::Idle, "a batch of nobody else is gone");
    assert_eq!(db.count("select count(*) from attempts").await, 2, "and no request was written down for it");
    reports_add_up(db, run).await;
    let report = db.store.run(run).await.expect("read").expect("a run");
    let counts = db.store.run_counts(&report).await.expect("counted");
    assert_eq!((counts.delivered, counts.suppressed, counts.bad()), (5, 2, 0));
}

async fn rows_that_wait_are_ended_and_those_in_a_request_end_as_it_does(db: &Fixture) {
    let crowd = people(0..8);
    let run = db.list(&refs(&crowd), "", 2).await;
    let worker = db.worker().await;
    let sent = db.claim(worker, 2).await;
    suppress(&db.store, db, &[&crowd[0], &crowd[3], &crowd[4], &crowd[6], &crowd[7], "no@example.org"]).await;
    let rows = db.store.end_suppressed(db.now()).await.expect("ended");
    assert_eq!(rows, SuppressedRows { ended: 3, in_flight: 2 });
    reports_add_up(db, run).await;
    for batch in &sent {
        db.deliver(batch).await;
    }
    assert_eq!(addresses(&db.claim(worker, 9).await), [&crowd[5]]);
    let again = db.store.end_suppressed(db.now()).await.expect("ended");
    assert_eq!(again, SuppressedRows::default(), "what was delivered stays");
    assert_eq!(db.count("select count(*) from member_queue where state = 'delivered'").await, 4);
    assert_eq!(db.count("select count(*) from ledger").await, 4);
    reports_add_up(db, run).await;
}

async fn who_comes_back_from_a_request_or_by_hand_is_not_sent_again(db: &Fixture) {
    let crowd = people(0..4);
    let run = db.list(&refs(&crowd), "tag-vip", 2).await;
    let worker = db.worker().await;
    let [first, second] = <[ClaimedBatch; 2]>::try_from(db.claim(worker, 2).await).expect("two");
    suppress(&db.store, db, &[&crowd[0], &crowd[2]]).await;
    db.settle(faulted(&first, db.now())).await.expect("settled");
    let code = lumasync::domain::code::Code::AttemptsExhausted;
    let failed = Outcome::Failed { code, reason: "503".to_owned() };
    db.settle(settlement(&second, failed, Some("transient"))).await.expect("settled");
    let back = db.claim(worker, 9).await;
    assert_eq!(addresses(&back), [&crowd[1]]);
    db.deliver(&back[0]).await;
    let (rows, _) = db.store.retry_failed(Some(run), None, [db.now(); 2], false).await.expect("back");
    assert_eq!(rows, 2);
    assert_eq!(db.store.end_suppressed(db.now()).await.expect("ended").ended, 1);
    let again = db.claim(worker, 9).await;
    assert_eq!(addresses(&again), [&crowd[3]]);
    db.deliver(&again[0]).await;
    let ended = ["suppressed", "delivered", "suppressed", "delivered"];
    let expected: Vec<Vec<String>> =
        crowd.iter().zip(ended).map(|(email, state)| vec![email.clone(), state.to_owned()]).collect();
    assert_eq!(states(db).await, expected);
    reports_add_up(db, run).await;
}

async fn a_batch_that_is_being_filled_is_left_to_its_claim(db: &Fixture) {
    let (crowd, tags) = (people(0..4), db.tag_set("").await);
    let (file, _) = db.file("a list", 2).await;
    db.part(&file, 0, &refs(&crowd[..2]), tags, 9).await.expect("taken in");
    suppress(&db.store, db, &refs(&crowd)).await;
    let rows = db.store.end_suppressed(db.now()).await.expect("looked");
    assert_eq!(rows, SuppressedRows::default());
    db.part(&file, 1, &refs(&crowd[2..]), tags, 9).await.expect("nobody is in its way");
    assert_eq!(db.store.end_suppressed(db.now()).await.expect("ended").ended, 4, "now it is taken in");
    let worker = db.worker().await;
    assert_eq!(db.ask(worker, 9, FREE).await, Claim::Idle);
    assert_eq!(db.count("select count(*) from attempts").await, 0);
    reports_add_up(db, file.run_id).await;
}

async fn halves_and_controls_know_the_list(db: &Fixture) {
    let crowd = people(0..6);
    let run = db.list(&refs(&crowd[..2]), "tag-vip", 9).await;
    let worker = db.worker().await;
    let accepted = db.claim(worker, 1).await.remove(0);
    db.deliver(&accepted).await;
    let control = async || db.store.accepted_row(&accepted, Control::SameTags).await.expect("read");
    assert_eq!(control().await.map(|(email, _)| email), Some(crowd[0].clone()));
    suppress(&db.store, db, &[&crowd[0]]).await;
    assert_eq!(control().await.map(|(email, _)| email), Some(crowd[1].clone()));
    suppress(&db.store, db, &[&crowd[1]]).await;
    assert_eq!(control().await, None, "nobody is left to ask again for");
    reports_add_up(db, run).await;

    let run = db.list(&refs(&crowd[2..]), "tag-vip", 9).await;
    let whole = db.claim(worker, 1).await.remove(0);
    suppress(&db.store, db, &[&crowd[3]]).await;
    db.settle(settlement(&whole, Outcome::Split, Some("refused"))).await.expect("halved");
    assert_eq!(addresses(&db.claim(worker, 9).await), [&crowd[2], &crowd[4], &crowd[5]]);
    reports_add_up(db, run).await;
}

async fn whoever_is_told_that_somebody_is_suppressed_sees_them_claimed_by_nobody(db: &Fixture) {
    let crowd = Arc::new(people(0..240));
    let run = db.list(&refs(&crowd), "tag-vip", 4).await;
    let told: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let mut tasks = JoinSet::new();
    for lane in 0..2 {
        let (store, now) = (db.open().await.expect("opened"), db.now());
        let (crowd, told) = (Arc::clone(&crowd), Arc::clone(&told));
        tasks.spawn(async move {
            for email in crowd.iter().skip(lane).step_by(6) {
                let why = Suppression { account: None, reason: None, origin: "by hand", now };
                store.suppress(&[email], &why).await.expect("suppressed");
                told.lock().expect("a lock").insert(email.clone());
            }
            0
        });
    }
    for _ in 0..3 {
        let (store, clock, worker) = (db.open().await.expect("opened"), db.clock.clone(), db.worker().await);
        let told = Arc::clone(&told);
        tasks.spawn(async move {
            let mut sent = 0;
            loop {
                let before = told.lock().expect("a lock").clone();
                match ask(&store, &clock, worker, 2, FREE).await {
                    Claim::Batches(batches) => {
                        let of = addresses(&batches);
                        assert!(of.iter().all(|email| !before.contains(*email)), "{of:?} of {before:?}");
                        sent += of.len();
                        let settlements: Vec<Settlement> = batches.iter().map(delivered).collect();
                        settle(&store, &settlements, &clock).await;
                    }
                    Claim::Idle => return sent,
                    Claim::Wait(..) | Claim::Unknown => tokio::task::yield_now().await,
                }
            }
        });
    }
    let sent: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(told.lock().expect("a lock").len(), 80);
    let ended = "select count(*) from member_queue where state = 'suppressed'";
    assert_eq!(db.count(ended).await, 240 - i64::try_from(sent).expect("few"));
    reports_add_up(db, run).await;
}

/// Writes outcomes, however often others are in the way.
async fn settle(store: &Store, settlements: &[Settlement], clock: &lumasync::clock::Clock) {
    loop {
        match store.turn(settlements, None, clock).await {
            Err(error) if error.is_conflict() => {}
            settled => return drop(settled.expect("settled")),
        }
    }
}

async fn an_entry_is_of_its_account_and_can_be_taken_out(db: &Fixture) {
    let (ana, bo) = ("ana@example.org", "bo@example.org");
    let paris = Suppression { account: Some("paris"), reason: None, origin: "by hand", now: db.now() };
    let sees = async |account: &str, email: &str| {
        db.store.screen(account).await.expect("read").reason(email).map(ToString::to_string)
    };
    assert_eq!(db.store.suppress(&[ana, bo, ana], &paris).await.expect("suppressed"), 2, "twice is once");
    assert_eq!(db.store.suppress(&[ana], &paris).await.expect("suppressed"), 0);
    assert_eq!(sees(ACCOUNT, ana).await, None);
    assert_eq!(sees("paris", ana).await.as_deref(), Some("suppressed since 2026-11-22"));
    assert_eq!(suppress(&db.store, db, &[ana]).await, 1, "for all is another entry");
    assert!(sees(ACCOUNT, ana).await.is_some());
    assert_eq!(db.store.unsuppress(&[ana, bo], Some(ACCOUNT)).await.expect("removed"), 0);
    assert_eq!(db.store.unsuppress(&[ana], Some("paris")).await.expect("removed"), 1);
    assert!(sees("paris", ana).await.is_some(), "the entry of all accounts stands");
    assert_eq!(db.store.unsuppress(&[ana, "cy@example.org"], None).await.expect("removed"), 1);
    assert_eq!((sees("paris", ana).await, sees(ACCOUNT, ana).await), (None, None));
    assert!(sees("paris", bo).await.is_some());
    let (entries, all) = db.store.suppressions(Some(ACCOUNT), 9).await.expect("read");
    assert_eq!((entries.len(), all), (0, 0));
    assert_eq!(db.store.suppressions(None, 9).await.expect("read").1, 1);
    db.list(&[ana], "", 9).await;
    assert_eq!(addresses(&db.claim(db.worker().await, 9).await), [ana], "who was taken off is sent");
}

async fn a_handle_reads_what_others_have_changed(db: &Fixture) {
    let crowd = people(0..30);
    let other = db.open().await.expect("opened");
    let sees = async |store: &Store| -> Result<Vec<bool>, StoreError> {
        let screen = store.screen(ACCOUNT).await?;
        Ok(crowd.iter().map(|email| screen.reason(email).is_some()).collect())
    };
    let mut expected = vec![false; crowd.len()];
    for (at, email) in crowd.iter().enumerate() {
        let (here, there) = if at % 2 == 0 { (&db.store, &other) } else { (&other, &db.store) };
        suppress(here, db, &[email]).await;
        expected[at] = true;
        assert_eq!(sees(there).await.expect("read"), expected, "after {at} were entered");
        if at % 7 == 3 {
            // The last one and an earlier one.
            for gone in [at, at / 2] {
                here.unsuppress(&[&crowd[gone]], None).await.expect("removed");
                expected[gone] = false;
            }
            assert_eq!(sees(there).await.expect("read"), expected, "after some were taken out");
        }
        assert_eq!(sees(here).await.expect("read"), expected);
    }
    other.unsuppress(&refs(&crowd), None).await.expect("removed");
    assert_eq!(sees(&db.store).await.expect("read"), vec![false; crowd.len()]);
}

async fn the_list_holds_no_address(db: &Fixture) {
    suppress(&db.store, db, &["ana@example.org"]).await;
    let (entries, _) = db.store.suppressions(None, 9).await.expect("read");
    let secret = &db.rows("select secret from suppression_list").await[0][0];
    assert_eq!((secret.len(), entries[0].digest.len()), (64, 32));
    assert!(!format!("{:?} {entries:?}", db.store).contains(secret.as_str()));
    let stored = db.rows("select * from suppressions").await.concat().concat();
    assert!(!stored.contains("ana") && !stored.contains("example"), "{stored}");
    let place = db.another();
    let elsewhere = place.open().await.expect("another database");
    suppress(&elsewhere, db, &["ana@example.org"]).await;
    let (others, _) = elsewhere.suppressions(None, 9).await.expect("read");
    assert_ne!(others[0].digest, entries[0].digest, "each database has a key of its own");
}
